//! Which servers there are, and how to connect to them.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError,
    RedisResult, TlsCertificates, TlsMode,
    cluster::ClusterClientBuilder,
    io::tcp::TcpSettings,
    sentinel::{SentinelClientBuilder, SentinelServerType},
};
use zeroize::Zeroizing;

use super::connection::Connection;
use crate::{
    cache::config::{RedisConfig, RedisMode},
    trust,
};

/// Longest time until a server that is there has let us in.
const CONNECT: Duration = Duration::from_secs(2);

/// How often a cluster is asked again for what moves within it.
const MOVES: u32 = 3;

/// Servers, as configured.
pub(super) struct Servers {
    mode: RedisMode,
    infos: Vec<ConnectionInfo>,
    certificates: Option<TlsCertificates>,
    master: String,
    username: Option<String>,
    password_file: Option<PathBuf>,
    sentinel_password_file: Option<PathBuf>,
    answers_within: Duration,
}

impl Servers {
    /// Reads the configuration, and the files that it names. An error names the setting.
    pub(super) fn new(config: &RedisConfig, answers_within: Duration) -> Result<Self, String> {
        let named = config.nodes.iter().map(|node| ("cache.redis.nodes", node));
        let urls = std::iter::once(("cache.redis.url", &config.url)).chain(named);
        let infos = urls.map(|(key, url)| parse(key, url, config.mode)).collect::<Result<Vec<_>, _>>()?;
        check(config, &infos)?;
        let certificates = config.ca_file.as_deref().map(certificates).transpose()?;
        let servers = Self {
            mode: config.mode,
            infos,
            certificates,
            master: config.master.clone(),
            username: config.username.clone(),
            password_file: config.password_file.clone(),
            sentinel_password_file: config.sentinel_password_file.clone(),
            answers_within,
        };
        let readable = |file: &Option<PathBuf>, key: &str| {
            let Some(file) = file else { return Ok(()) };
            password(file).map(drop).map_err(|error| format!("cannot read {key} {}: {error}", file.display()))
        };
        readable(&servers.password_file, "cache.redis.password_file")?;
        readable(&servers.sentinel_password_file, "cache.redis.sentinel_password_file")?;
        Ok(servers)
    }

    /// Connects, with the password that is in the file now.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        let connecting = async {
            match self.mode {
                RedisMode::Standalone => self.connect_to_one().await,
                RedisMode::Sentinel => self.connect_to_master().await,
                RedisMode::Cluster => self.connect_to_cluster().await,
            }
        };
        let late = |_| Err(io::Error::from(io::ErrorKind::TimedOut).into());
        tokio::time::timeout(CONNECT, connecting).await.unwrap_or_else(late)
    }

    async fn connect_to_one(&self) -> RedisResult<Connection> {
        let info = self.infos[0].clone();
        let login = self.login(info.redis_settings().clone()).await?;
        let info = info.set_redis_settings(login).set_tcp_settings(tcp());
        let client = match self.certificates.clone() {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        client.get_multiplexed_async_connection_with_config(&self.timeouts()).await.map(Connection::One)
    }

    /// Asks the sentinels each time, since the master may be another one now.
    async fn connect_to_master(&self) -> RedisResult<Connection> {
        let addresses = self.infos.iter().map(|info| info.addr().clone());
        let mut builder = SentinelClientBuilder::new(addresses, &self.master, SentinelServerType::Master)?
            .set_client_to_redis_db(self.infos[0].redis_settings().db())
            .set_client_to_redis_tcp_settings(tcp());
        if let Some(username) = &self.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = password_now(self.password_file.as_ref()).await? {
            builder = builder.set_client_to_redis_password(password.as_str());
        }
        if let Some(password) = password_now(self.sentinel_password_file.as_ref()).await? {
            builder = builder.set_client_to_sentinel_password(password.as_str());
        }
        if is_tls(&self.infos[0]) {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            if let Some(certificates) = &self.certificates {
                builder = builder
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_certificates(certificates.clone());
            }
        }
        let mut client = builder.build()?;
        client.get_async_connection_with_config(&self.timeouts()).await.map(Connection::One)
    }

    async fn connect_to_cluster(&self) -> RedisResult<Connection> {
        let mut builder = ClusterClientBuilder::new(self.infos.iter().cloned())
            .connection_timeout(CONNECT / 2)
            .response_timeout(self.answers_within)
            .retries(MOVES)
            .min_retry_wait(5)
            .max_retry_wait(50)
            .tcp_settings(tcp());
        if let Some(username) = &self.username {
            builder = builder.username(username);
        }
        if let Some(password) = password_now(self.password_file.as_ref()).await? {
            builder = builder.password(password.as_str());
        }
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        builder.build()?.get_async_connection().await.map(Connection::Cluster)
    }

    /// With nothing that a user would need a right for beside those to the keys.
    async fn login(&self, redis: RedisConnectionInfo) -> RedisResult<RedisConnectionInfo> {
        let mut redis = redis.set_skip_set_lib_name();
        if let Some(username) = &self.username {
            redis = redis.set_username(username);
        }
        if let Some(password) = password_now(self.password_file.as_ref()).await? {
            redis = redis.set_password(password.as_str());
        }
        Ok(redis)
    }

    fn timeouts(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(self.answers_within))
    }
}

/// Commands are small and nobody should wait until they are many.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn is_tls(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), ConnectionAddr::TcpTls { .. })
}

/// Errors do not repeat the address: there may be a password in it.
fn parse(key: &str, url: &str, mode: RedisMode) -> Result<ConnectionInfo, String> {
    let info = url.into_connection_info().map_err(|_| {
        format!("{key}: not an address of Redis or Valkey; it begins with redis://, rediss://, valkey://, valkeys:// or unix://")
    })?;
    let redis = info.redis_settings();
    let problem = match info.addr() {
        _ if redis.password().is_some() || redis.username().is_some() => {
            "credentials do not belong into an address; set cache.redis.username and cache.redis.password_file"
        }
        ConnectionAddr::TcpTls { insecure: true, .. } => "certificates are always checked; see cache.redis.ca_file",
        ConnectionAddr::Unix(_) if mode == RedisMode::Cluster => "nodes of a cluster have no unix sockets",
        _ if mode == RedisMode::Cluster && redis.db() != 0 => "a cluster has no numbered databases",
        _ => return Ok(info),
    };
    Err(format!("{key}: {problem}"))
}

fn check(config: &RedisConfig, infos: &[ConnectionInfo]) -> Result<(), String> {
    let problem = if config.mode == RedisMode::Standalone && !config.nodes.is_empty() {
        "cache.redis.nodes: a standalone server is alone; is cache.redis.mode meant to be sentinel or cluster?"
    } else if infos.iter().any(|info| is_tls(info) != is_tls(&infos[0])) {
        "cache.redis.nodes: some addresses speak TLS and some do not"
    } else if config.ca_file.is_some() && !is_tls(&infos[0]) {
        "cache.redis.ca_file is set, and cache.redis.url does not speak TLS; rediss:// would"
    } else if config.sentinel_password_file.is_some() && config.mode != RedisMode::Sentinel {
        "cache.redis.sentinel_password_file is set, and cache.redis.mode is not sentinel"
    } else if config.username.is_some() && config.password_file.is_none() {
        "cache.redis.username needs cache.redis.password_file"
    } else if config.prefix.is_empty() || !config.prefix.bytes().all(is_plain) {
        "cache.redis.prefix may have letters, digits and . _ - : in it, and must have some"
    } else {
        return Ok(());
    };
    Err(problem.to_owned())
}

/// Others would mean something in patterns, or to a cluster.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-:".contains(&byte)
}

fn certificates(file: &Path) -> Result<TlsCertificates, String> {
    trust::roots(Some(file), "cache.redis.ca_file", true).map_err(|error| format!("{error:#}"))?;
    let pem = std::fs::read(file).map_err(|error| format!("cannot read cache.redis.ca_file: {error}"))?;
    Ok(TlsCertificates { client_tls: None, root_cert: Some(pem) })
}

/// The password that is in a file now. The file may lie where reading takes its time.
async fn password_now(file: Option<&PathBuf>) -> RedisResult<Option<Zeroizing<String>>> {
    let Some(file) = file.cloned() else { return Ok(None) };
    let reading = tokio::task::spawn_blocking(move || password(&file));
    Ok(Some(reading.await.map_err(io::Error::other)??))
}

fn password(file: &Path) -> Result<Zeroizing<String>, PasswordError> {
    let text = Zeroizing::new(std::fs::read_to_string(file)?);
    let line = text.lines().next().map(str::trim_end).filter(|line| !line.is_empty());
    line.map(|line| Zeroizing::new(line.to_owned())).ok_or(PasswordError::Empty)
}

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
enum PasswordError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error("its first line is empty")]
    Empty,
}

impl From<PasswordError> for RedisError {
    fn from(error: PasswordError) -> Self {
        io::Error::other(format!("the password file cannot be read: {error}")).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut RedisConfig)) -> String {
        let mut config = RedisConfig::default();
        change(&mut config);
        Servers::new(&config, Duration::from_secs(1)).err().unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_an_address_is_said_without_its_password() {
        for url in ["", "127.0.0.1", "http://127.0.0.1", "redis://:hidden@127.0.0.1", "redis://who:hidden@127.0.0.1"] {
            let problem = problem(|config| config.url = url.to_owned());
            assert!(problem.starts_with("cache.redis.url: ") && !problem.contains("hidden"), "{url}: {problem}");
        }
        let node = problem(|config| {
            config.mode = RedisMode::Cluster;
            config.nodes = vec!["redis://a/1".to_owned()];
        });
        assert!(node.starts_with("cache.redis.nodes: "), "{node}");
    }

    #[tokio::test]
    async fn a_password_file_that_takes_its_time_keeps_nobody_else_from_working() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "one").unwrap();
        let config = RedisConfig {
            url: "redis://127.0.0.1:1".to_owned(),
            password_file: Some(file.clone()),
            ..RedisConfig::default()
        };
        let servers = Servers::new(&config, Duration::from_secs(1)).unwrap();
        std::fs::remove_file(&file).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RWXU).unwrap();
        let (works, working) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            let has_worked = working.recv_timeout(Duration::from_secs(10)).is_ok();
            std::fs::write(file, "two").unwrap();
            has_worked
        });
        let (connected, sent) = tokio::join!(servers.connect(), async { works.send(()) });
        assert!(connected.is_err() && sent.is_ok() && writer.join().unwrap());
    }

    #[test]
    fn settings_that_do_not_go_together_are_named() {
        let nodes = problem(|config| config.nodes = vec!["redis://127.0.0.1:1".to_owned()]);
        let master = problem(|config| config.sentinel_password_file = Some("/dev/null".into()));
        let file = problem(|config| config.password_file = Some("/nowhere".into()));
        let authorities = problem(|config| {
            config.url = "rediss://localhost".to_owned();
            config.ca_file = Some("/nowhere".into());
        });
        let plain = problem(|config| config.ca_file = Some("/nowhere".into()));
        let prefix = problem(|config| config.prefix = "a*".to_owned());
        assert!(nodes.starts_with("cache.redis.nodes: "), "{nodes}");
        assert!(master.starts_with("cache.redis.sentinel_password_file "), "{master}");
        assert!(file.contains("cache.redis.password_file /nowhere"), "{file}");
        assert!(authorities.contains("cache.redis.ca_file /nowhere"), "{authorities}");
        assert!(plain.contains("cache.redis.ca_file"), "{plain}");
        assert!(prefix.contains("cache.redis.prefix"), "{prefix}");
        assert_eq!(problem(|_| ()), "");
    }
}
