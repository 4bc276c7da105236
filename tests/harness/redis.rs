//! Real servers of Redis, or of Valkey where that is installed instead, each with a folder and a port of its own.

use std::{
    fmt::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use redis::{Client, FromRedisValue, TlsCertificates, aio::MultiplexedConnection};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::eventually;

const NEEDED: &str = "Redis or Valkey is needed: apt-get install redis-server, or run tests/run.sh";

/// A running server, killed on drop. What it holds is gone when it ends.
pub struct RedisServer {
    dir: TempDir,
    port: u16,
    options: String,
    password: Option<&'static str>,
    /// The certificate that it shows, if it speaks TLS alone.
    certificate: Option<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts one with further lines of its configuration.
    pub async fn start_with(options: &str) -> Self {
        let mut server = Self::prepare(options);
        server.launch().await;
        server
    }

    /// Starts one that speaks TLS alone, with a certificate for `localhost`, and wants a password.
    pub async fn start_with_tls(password: &'static str) -> Self {
        let mut server = Self::prepare("");
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(server.path("cert.pem"), cert.pem()).unwrap();
        std::fs::write(server.path("key.pem"), signing_key.serialize_pem()).unwrap();
        let [cert_file, key_file] = ["cert.pem", "key.pem"].map(|name| server.path(name).display().to_string());
        server.options = format!(
            "port 0\ntls-port {}\ntls-cert-file {cert_file}\ntls-key-file {key_file}\ntls-ca-cert-file {cert_file}\n\
             tls-auth-clients no\nrequirepass {password}\n",
            server.port
        );
        (server.certificate, server.password) = (Some(cert.pem()), Some(password));
        server.launch().await;
        server
    }

    /// One that is yet to be launched.
    pub fn prepare(options: &str) -> Self {
        // A socket's path must be short, so it cannot be below just any temporary directory.
        let dir = tempfile::Builder::new().prefix("lz").tempdir_in("/tmp").unwrap();
        Self { dir, port: free_port(), options: options.to_owned(), password: None, certificate: None, process: None }
    }

    /// Starts it, for the first time or after [`RedisServer::stop`], on the same port.
    pub async fn launch(&mut self) {
        let (dir, port) = (self.dir.path().display(), self.port);
        let own = format!(
            "port {port}\nbind 127.0.0.1\nunixsocket {dir}/redis.sock\ndir {dir}\nsave \"\"\nlogfile {dir}/log\n\
             repl-diskless-sync-delay 0\n{}\n",
            self.options
        );
        std::fs::write(self.path("conf"), own).unwrap();
        self.process = Some(spawn(&self.path("conf"), &[]));
        eventually(NEEDED, || async { self.try_ask::<String>(&["PING"]).await.is_ok() }).await;
    }

    /// Ends it as a crash would.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Has it answer nothing from now on, with all connections as they are.
    pub fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// Has it go on.
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.process.as_ref().expect("launched"))
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its address, as in the configuration.
    pub fn url(&self) -> String {
        match self.certificate {
            Some(_) => format!("rediss://localhost:{}", self.port),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// Its local socket, as in the configuration.
    pub fn socket_url(&self) -> String {
        format!("unix://{}", self.path("redis.sock").display())
    }

    /// A section of the configuration that keeps verdicts here, with these further settings of `cache.redis`. Its secret is in
    /// the server's folder, so that all who have this share it.
    pub fn section(&self, settings: &str) -> String {
        section(&self.url(), &self.path("cache_secret"), settings)
    }

    /// The same, with time for a machine that has much to do: whoever has no answer in time scans for itself.
    pub fn patient_section(&self) -> String {
        self.section("").replacen("cache: {", "cache: {timeout: 10s, ", 1)
    }

    /// What it answers to a command.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).await.unwrap()
    }

    /// What it answers to a command, if it does.
    pub async fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        command(words).query_async(&mut self.connect().await?).await
    }

    /// A connection to it.
    pub async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        let url = match self.password {
            Some(password) => self.url().replace("://", &format!("://:{password}@")),
            None => self.url(),
        };
        let root_cert = self.certificate.clone().map(String::into_bytes);
        let client = match root_cert {
            Some(_) => Client::build_with_tls(url, TlsCertificates { client_tls: None, root_cert })?,
            None => Client::open(url)?,
        };
        client.get_multiplexed_async_connection().await
    }

    /// All that it holds.
    pub async fn dump(&self) -> Vec<(String, Vec<u8>)> {
        let mut connection = self.connect().await.unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        let mut all = Vec::new();
        for key in keys {
            let value: Option<Vec<u8>> = redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap();
            all.extend(value.map(|value| (key, value)));
        }
        all
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A section of the configuration.
fn section(url: &str, secret: &Path, settings: &str) -> String {
    let secret = secret.display();
    format!("cache: {{store: redis, secret_path: '{secret}', redis: {{url: '{url}'{settings}}}}}")
}

fn command(words: &[&str]) -> redis::Cmd {
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn spawn(conf: &Path, more: &[&str]) -> Child {
    let start = |program: &str| {
        let mut command = Command::new(program);
        command.arg(conf).args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    };
    start("redis-server").or_else(|_| start("valkey-server")).expect(NEEDED)
}

/// Three masters that share the keys.
pub struct RedisCluster(pub [RedisServer; 3]);

impl RedisCluster {
    /// Starts one and waits until all nodes agree that it works.
    pub async fn start() -> Self {
        let node = || {
            // The default for the second port is too high for some of the first ones.
            let options = format!("cluster-enabled yes\ncluster-port {}\ncluster-node-timeout 1000\n", free_port());
            async move { RedisServer::start_with(&options).await }
        };
        let nodes = [node().await, node().await, node().await];
        for (node, (first, last)) in nodes.iter().zip([("0", "5460"), ("5461", "10922"), ("10923", "16383")]) {
            node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
        }
        for node in &nodes[1..] {
            let bus = node.options.lines().find_map(|line| line.strip_prefix("cluster-port ")).unwrap();
            nodes[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string(), bus]).await;
        }
        for node in &nodes {
            let works = || async {
                let info: String = node.ask(&["CLUSTER", "INFO"]).await;
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            eventually("the cluster works", works).await;
        }
        Self(nodes)
    }

    /// As [`RedisServer::section`], with but one node named.
    pub fn section(&self, settings: &str) -> String {
        self.0[0].section(&format!(", mode: cluster{settings}"))
    }
}

/// A sentinel, which watches a server that has another one ready to take its place.
pub struct Sentinel {
    pub first: RedisServer,
    pub second: RedisServer,
    dir: TempDir,
    port: u16,
    process: Child,
}

impl Sentinel {
    /// Starts all three and waits until the sentinel knows that a second server is there.
    pub async fn start() -> Self {
        let first = RedisServer::start().await;
        let second = RedisServer::start_with(&format!("replicaof 127.0.0.1 {}\n", first.port)).await;
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut conf = format!("port {port}\nbind 127.0.0.1\ndir {}\n", dir.path().display());
        writeln!(conf, "sentinel monitor mymaster 127.0.0.1 {} 1", first.port).unwrap();
        conf += "sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 3000\n";
        std::fs::write(dir.path().join("conf"), conf).unwrap();
        let process = spawn(&dir.path().join("conf"), &["--sentinel"]);
        let sentinel = Self { first, second, dir, port, process };
        let knows = || async {
            let replicas: redis::RedisResult<Vec<redis::Value>> =
                sentinel.ask(&["SENTINEL", "REPLICAS", "mymaster"]).await;
            let said: redis::RedisResult<String> = sentinel.second.try_ask(&["INFO", "replication"]).await;
            let is_in_sync = said.is_ok_and(|said| said.contains("master_link_status:up"));
            replicas.is_ok_and(|replicas| replicas.len() == 1) && is_in_sync
        };
        eventually("the sentinel knows both servers", knows).await;
        sentinel
    }

    async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let client = Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        command(words).query_async(&mut client.get_multiplexed_async_connection().await?).await
    }

    /// Waits until the second server has taken the first one's place.
    pub async fn has_failed_over(&self) {
        // It lets go of everybody when it changes its mind about what it is.
        let said = || self.second.try_ask::<String>(&["INFO", "replication"]);
        let is_master = || async { said().await.is_ok_and(|said| said.contains("role:master")) };
        eventually("the second server is the master", is_master).await;
    }

    /// As [`RedisServer::section`], of whichever server is the master.
    pub fn section(&self) -> String {
        let url = format!("redis://127.0.0.1:{}", self.port);
        section(&url, &self.dir.path().join("cache_secret"), ", mode: sentinel")
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
