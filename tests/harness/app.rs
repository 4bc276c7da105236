//! The application under test.

use std::{fmt::Write as _, net::SocketAddr};

use lazaret::clock::Clock;
use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{Answer, Clamd, Client, Homeserver, ScriptedClamd, eventually};

/// Settings of an application that is about to start.
pub struct AppBuilder {
    homeserver: String,
    /// Further settings of `homeserver`, as YAML.
    homeserver_settings: String,
    /// Entries of `clamd.backends`, as YAML.
    backends: Vec<String>,
    /// Further settings of `clamd`, as YAML.
    clamd: String,
    /// Further settings of `policy`, as YAML.
    policy: String,
    /// Files of `policy.dir`.
    policies: Vec<(String, String)>,
    clock: Clock,
    /// Further settings of `crypto`, as YAML.
    crypto: String,
    sections: String,
    dir: Option<TempDir>,
    wait_until_ready: bool,
}

impl AppBuilder {
    /// An application in front of `homeserver`; it needs a backend.
    pub fn new(homeserver: &Homeserver) -> Self {
        Self { homeserver: homeserver.url(), ..Self::direct() }
    }

    /// An application without a homeserver; it needs a `direct` section and a backend.
    pub fn direct() -> Self {
        Self {
            homeserver: String::new(),
            homeserver_settings: String::new(),
            backends: Vec::new(),
            clamd: String::new(),
            policy: String::new(),
            policies: Vec::new(),
            clock: Clock::default(),
            crypto: String::new(),
            sections: String::new(),
            dir: None,
            wait_until_ready: true,
        }
    }

    /// In front of another address.
    pub fn homeserver_at(mut self, address: SocketAddr) -> Self {
        self.homeserver = format!("http://{address}");
        self
    }

    /// Adds settings to the `homeserver` section.
    pub fn homeserver_settings(mut self, yaml: &str) -> Self {
        self.homeserver_settings = format!(", {yaml}");
        self
    }

    /// Scans with a real clamd over its local socket.
    pub fn clamd(mut self, clamd: &Clamd) -> Self {
        self.backends.push(backend(&clamd.address()));
        self
    }

    /// Scans with a real clamd over TCP.
    pub fn clamd_over_tcp(mut self, clamd: &Clamd) -> Self {
        self.backends.push(backend(&clamd.tcp_address()));
        self
    }

    /// Scans with a real clamd over its local socket, and watches its signature files.
    pub fn clamd_and_its_files(mut self, clamd: &Clamd) -> Self {
        let database = clamd.database();
        self.backends.push(format!("{{address: '{}', database_dir: '{}'}}", clamd.address(), database.display()));
        self
    }

    /// Scans with a scripted clamd.
    pub fn scripted(mut self, clamd: &ScriptedClamd) -> Self {
        self.backends.push(backend(&clamd.address()));
        self
    }

    /// Adds top-level YAML; `spool`, `crypto`, `clamd`, `policy` and the addresses are set already.
    pub fn with(mut self, yaml: &str) -> Self {
        writeln!(self.sections, "{yaml}").unwrap();
        self
    }

    /// Has a medium scanned again however often an engine did not survive it.
    pub fn without_toxic_media(self) -> Self {
        self.with("inspect: {toxic_ttl: 0s}")
    }

    /// Adds settings to the `clamd` section.
    pub fn clamd_settings(mut self, yaml: &str) -> Self {
        self.clamd = format!(", {yaml}");
        self
    }

    /// Adds settings to the `policy` section.
    pub fn policy(mut self, yaml: &str) -> Self {
        self.policy = format!(", {yaml}");
        self
    }

    /// Puts a file into `policy.dir` before it starts.
    pub fn policy_file(mut self, name: &str, text: &str) -> Self {
        self.policies.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Has policies begin and end by this clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Adds settings to the `crypto` section.
    pub fn crypto(mut self, yaml: &str) -> Self {
        self.crypto = format!(", {yaml}");
        self
    }

    /// Keeps its files where another application had its own.
    pub fn within(mut self, dir: TempDir) -> Self {
        self.dir = Some(dir);
        self
    }

    /// Does not wait for the canaries to pass.
    pub fn without_waiting(mut self) -> Self {
        self.wait_until_ready = false;
        self
    }

    /// Puts the files of `policy.dir` where the configuration looks for them; where there are none, the default policy, as whoever
    /// says where policies are has to have one.
    pub fn write_policies(&self, dir: &std::path::Path) {
        for (name, text) in &self.policies {
            put_policy(dir, name, text);
        }
        if !dir.join("policies").exists() {
            put_policy(dir, "default.yaml", include_str!("../../policies/default.yaml"));
        }
    }

    /// The configuration as YAML, with everything that is written below `dir`.
    pub fn yaml(&self, dir: &std::path::Path, listen: &str, admin: &str) -> String {
        let defaults = [("probe_interval", "100ms"), ("max_backoff", "100ms")];
        let unset = defaults.into_iter().filter(|(key, _)| !self.clamd.contains(key));
        let homeserver = match self.homeserver.as_str() {
            "" => String::new(),
            url => format!("homeserver: {{url: '{url}'{}}}", self.homeserver_settings),
        };
        let cache = if self.sections.contains("cache:") { "" } else { "cache: {store: memory}\n" };
        let hurry: Vec<String> = unset.map(|(key, value)| format!(", {key}: {value}")).collect();
        format!(
            "listen: {listen}\nadmin: {{listen: '{admin}'}}\n{cache}{}\n\
             clamd: {{backends: [{}]{}{}}}\n\
             crypto: {{request_secret_path: '{dir}/secret'{}}}\npolicy: {{dir: '{dir}/policies'{}}}\n{}",
            homeserver,
            self.backends.join(", "),
            hurry.concat(),
            self.clamd,
            self.crypto,
            self.policy,
            if self.sections.contains("spool:") {
                self.sections.replace("DIR", &dir.display().to_string())
            } else {
                format!(
                    "spool: {{dir: '{}/spool'}}\n{}",
                    dir.display(),
                    self.sections.replace("DIR", &dir.display().to_string())
                )
            },
            dir = dir.display(),
        )
    }

    /// Starts it.
    pub async fn start(self) -> App {
        let waits = self.wait_until_ready;
        let app = self.try_start().await.unwrap();
        if waits {
            app.ready().await;
        }
        app
    }

    /// Starts it if it will, and waits for nothing.
    pub async fn try_start(mut self) -> anyhow::Result<App> {
        let dir = self.dir.take().unwrap_or_else(|| tempfile::tempdir().unwrap());
        let file = dir.path().join("lazaret.yaml");
        std::fs::write(&file, self.yaml(dir.path(), "127.0.0.1:0", "127.0.0.1:0")).unwrap();
        let config = lazaret::config::load(Some(&file), []).unwrap_or_else(|error| panic!("{error}"));
        self.write_policies(dir.path());
        let app = lazaret::app::App::build_with(config, self.clock).await?;
        let (public, admin) = (app.public_addr().unwrap(), app.admin_addr().unwrap());
        let (stop, stops) = mpsc::channel(2);
        let running = tokio::spawn(app.run(stops));
        Ok(App { client: Client::new(public), admin: Client::new(admin), public, dir, stop, running })
    }
}

/// Puts a file into the `policy.dir` of an application that keeps its files in `dir`, at once.
pub fn put_policy(dir: &std::path::Path, name: &str, text: &str) {
    let file = dir.join("policies").join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    super::replace(&file, text);
}

fn backend(address: &str) -> String {
    format!("{{address: '{address}'}}")
}

/// A fake homeserver, a real clamd, and between them an application with nothing set but what it needs.
pub async fn start() -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
    (homeserver, clamd, app)
}

/// A running application. Its connections end with the test.
pub struct App {
    /// Speaks to its public side.
    pub client: Client,
    /// Speaks to its operators' side.
    pub admin: Client,
    /// Where its public side listens.
    pub public: SocketAddr,
    /// Where it keeps its files.
    pub dir: TempDir,
    stop: mpsc::Sender<()>,
    running: JoinHandle<bool>,
}

impl App {
    /// Waits until it is ready.
    pub async fn ready(&self) {
        eventually("the application is ready", || async { self.admin.get("/readyz").await.status == 200 }).await;
    }

    /// GET with the token that the fake homeserver accepts.
    pub async fn get(&self, path: &str) -> Answer {
        self.client.send(super::request("GET", path).header("authorization", "Bearer token"), b"").await
    }

    /// POST with the token that the fake homeserver accepts.
    pub async fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.client.send(super::request("POST", path).header("authorization", "Bearer token"), body).await
    }

    /// The value of a counter or gauge of whole numbers, given its name and labels as they are printed; 0 if it is not there.
    pub async fn metric(&self, series: &str) -> u64 {
        let text = self.admin.get("/metrics").await.text();
        let value = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        text.lines().find_map(value).unwrap_or(0)
    }

    /// Waits until a round of canaries that begins after this call has passed.
    pub async fn has_passed_canaries(&self, backend: &str) {
        let rounds = format!("lazaret_canary_rounds_total{{backend=\"{backend}\",outcome=\"passed\"}}");
        let before = self.metric(&rounds).await;
        // One may be under way.
        super::eventually("canaries passed", || async { self.metric(&rounds).await >= before + 2 }).await;
    }

    /// Scans by clamd that ended with `verdict` so far.
    pub async fn scans(&self, verdict: &str) -> u64 {
        self.scans_by("clamd", verdict).await
    }

    /// Scans by an engine that ended with `verdict` so far.
    pub async fn scans_by(&self, engine: &str, verdict: &str) -> u64 {
        self.metric(&format!("lazaret_scans_total{{engine=\"{engine}\",verdict=\"{verdict}\"}}")).await
    }

    /// Asks it to stop; a second time, to stop at once.
    pub async fn stop(&self) {
        self.stop.send(()).await.unwrap();
    }

    /// Stops it, and gives back where it kept its files.
    pub async fn left(self) -> TempDir {
        self.stop().await;
        assert!(self.running.await.unwrap(), "nothing was cut off");
        self.dir
    }

    /// Waits for its end; true if nothing was cut off.
    pub async fn ended(self) -> bool {
        self.running.await.unwrap()
    }
}
