//! The held session of a backend, for `VERSION` alone.
//!
//! A verdict names the signatures that it was made with only if the version is asked for after the scan as well: the
//! one before it is known already, and databases do not go backwards. `VERSION` is answered by clamd's receiving thread
//! itself, so that a session costs a tenth of what a connection for each question would.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Mutex,
    time::{Duration, Instant, timeout},
};

use super::{
    address::Address,
    conn::{self, ConnError, STALL_TIMEOUT, Stream},
    protocol::{self, Command, ProtocolError, Said, TroubleKind, Version},
};

/// clamd closes a session that was silent for its `ReadTimeout`, and counts it among its connections until then.
const IDLE: Duration = Duration::from_secs(10);

/// After so many commands a session is renewed.
const MAX_COMMANDS: u32 = 10_000;

/// More than any VERSION.
const MAX_REPLY: usize = 4096;

/// Asks one clamd for its version.
pub(super) struct Control {
    address: Address,
    held: Mutex<Held>,
}

struct Held {
    session: Option<Session>,
    /// What was answered last, and when it was asked.
    last: Option<(Instant, Version)>,
    command: Command,
}

struct Session {
    stream: Stream,
    commands: u32,
    used: Instant,
}

impl Control {
    /// Nothing is connected yet.
    pub(super) fn new(address: Address) -> Self {
        Self { address, held: Mutex::new(Held { session: None, last: None, command: Command::Version }) }
    }

    /// The version in force at some moment after this call. Scans that end together share one question.
    pub(super) async fn version(&self) -> Result<Version, ConnError> {
        let since = Instant::now();
        let mut held = self.held.lock().await;
        if let Some((asked, version)) = &held.last
            && *asked >= since
        {
            return Ok(version.clone());
        }
        let asked = Instant::now();
        let version = self.ask(&mut held).await?;
        held.last = Some((asked, version.clone()));
        Ok(version)
    }

    async fn ask(&self, held: &mut Held) -> Result<Version, ConnError> {
        // Taken out for the time of the question: if this future is dropped, half a reply must not be left in a session.
        let session = held.session.take().filter(Session::is_fresh);
        let was_held = session.is_some();
        match self.ask_in_time(session, held).await {
            // clamd may have closed it just now.
            Err(_) if was_held => self.ask_in_time(None, held).await,
            outcome => outcome,
        }
    }

    /// Whoever waits for the lock must not wait for a session that has died.
    async fn ask_in_time(&self, session: Option<Session>, held: &mut Held) -> Result<Version, ConnError> {
        timeout(STALL_TIMEOUT, self.ask_in(session, held)).await.unwrap_or(Err(ConnError::Stalled))
    }

    async fn ask_in(&self, session: Option<Session>, held: &mut Held) -> Result<Version, ConnError> {
        let mut session = match session {
            Some(session) => session,
            None => Session::open(&self.address).await?,
        };
        let said = match session.ask(held.command).await? {
            // clamd 1.5 can be told not to answer VERSION, and ends the session then.
            Said::Trouble(trouble) if trouble.kind == TroubleKind::Command && held.command == Command::Version => {
                held.command = Command::VersionCommands;
                session = Session::open(&self.address).await?;
                session.ask(held.command).await?
            }
            said => said,
        };
        match said {
            Said::Version(version) => {
                held.session = Some(session);
                Ok(version)
            }
            Said::Trouble(trouble) => Err(ProtocolError::Unknown(trouble.text).into()),
            other => Err(ProtocolError::Unknown(format!("{other:?}")).into()),
        }
    }
}

impl Session {
    async fn open(address: &Address) -> Result<Self, ConnError> {
        let mut stream = conn::connect(address).await?;
        stream.write_all(b"zIDSESSION\0").await.map_err(ConnError::Lost)?;
        Ok(Self { stream, commands: 0, used: Instant::now() })
    }

    fn is_fresh(&self) -> bool {
        self.commands < MAX_COMMANDS && self.used.elapsed() < IDLE
    }

    async fn ask(&mut self, command: Command) -> Result<Said, ConnError> {
        self.commands += 1;
        self.stream.write_all(command.bytes()).await.map_err(ConnError::Lost)?;
        let received = self.reply().await.map_err(ConnError::Lost)?;
        self.used = Instant::now();
        Ok(protocol::parse_in_session(&received, command, self.commands)?)
    }

    /// clamd writes a reply in several small pieces, and its kernel keeps the second back until we have acknowledged the
    /// first, which ours would do 40 ms later. It has to be told so each time.
    fn acknowledge_at_once(&self) -> std::io::Result<()> {
        match &self.stream {
            Stream::Left(_) => Ok(()),
            Stream::Right(stream) => Ok(rustix::net::sockopt::set_tcp_quickack(stream, true)?),
        }
    }

    /// What arrives until the end of a reply; more than one reply is for the parser to refuse.
    async fn reply(&mut self) -> std::io::Result<Vec<u8>> {
        let mut received = Vec::with_capacity(128);
        while protocol::split(&received).is_none() && received.len() < MAX_REPLY {
            self.acknowledge_at_once()?;
            if self.stream.read_buf(&mut received).await? == 0 {
                break;
            }
        }
        Ok(received)
    }
}
