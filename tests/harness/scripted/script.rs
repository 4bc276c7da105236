//! What a scripted clamd does when it is asked something: a list of steps.

use std::sync::Arc;

use tokio::sync::Notify;

/// One step. After the last one a connection of its own is closed, and a session goes on.
#[derive(Clone, Debug)]
pub enum Step {
    /// Takes all bytes of what is to be scanned. Until then a stream was read up to the end of its first chunk.
    ReadAll,
    /// Sends this in one piece. `{id}` becomes the number that a session puts before a reply, or nothing, and `{}` that and
    /// `stream` or `fd[9]`.
    Send(Vec<u8>),
    /// Sends the same byte by byte.
    SendSplit(Vec<u8>),
    /// Tells the test that it got so far.
    Signal(Arc<Notify>),
    /// Waits for the test.
    Wait(Arc<Notify>),
    /// Ends its own side of the connection and leaves the other open.
    HalfClose,
    /// Closes the connection.
    Close,
    /// Resets the connection. A local socket knows no reset, unless something in it is still unread.
    Reset,
    /// Says nothing more until its client has gone.
    Hang,
    /// Crashes: all connections end, and new ones are refused until [`revive`](super::ScriptedClamd::revive).
    Die,
}

impl Step {
    pub fn send(bytes: impl AsRef<[u8]>) -> Self {
        Self::Send(bytes.as_ref().to_vec())
    }

    pub fn send_split(bytes: impl AsRef<[u8]>) -> Self {
        Self::SendSplit(bytes.as_ref().to_vec())
    }
}

/// All steps, or what chooses them.
#[derive(Clone)]
pub struct Script {
    pub(super) course: Course,
    pub(super) for_canaries_too: bool,
}

/// Makes a script of the bytes to scan.
type Choice = dyn Fn(&[u8]) -> Script + Send + Sync;

/// How steps are known.
#[derive(Clone)]
pub(super) enum Course {
    Steps(Arc<[Step]>),
    /// By the bytes to scan, once all are there.
    ByContent(Arc<Choice>),
}

impl Script {
    /// These steps.
    pub fn steps(steps: impl Into<Vec<Step>>) -> Self {
        Self { course: Course::Steps(steps.into().into()), for_canaries_too: false }
    }

    /// Takes all bytes and goes on as `choose` says of them.
    pub fn by_content(choose: impl Fn(&[u8]) -> Self + Send + Sync + 'static) -> Self {
        Self { course: Course::ByContent(Arc::new(choose)), for_canaries_too: false }
    }

    /// Takes all bytes, then sends this and closes.
    pub fn reply(reply: impl AsRef<[u8]>) -> Self {
        Self::steps([Step::ReadAll, Step::send(reply)])
    }

    /// Finds nothing, and says so as clamd does.
    pub fn clean() -> Self {
        Self::reply(b"{}: OK\0")
    }

    /// Sends this before it has taken all bytes, and closes.
    pub fn early(reply: impl AsRef<[u8]>) -> Self {
        Self::steps([Step::send(reply)])
    }

    /// Takes all bytes and answers when notified.
    pub fn held(until: &Arc<Notify>, reply: impl AsRef<[u8]>) -> Self {
        Self::steps([Step::ReadAll, Step::Wait(Arc::clone(until)), Step::send(reply)])
    }

    /// Takes all bytes and never answers.
    pub fn hang() -> Self {
        Self::steps([Step::ReadAll, Step::Hang])
    }

    /// Also gets its canaries wrong: says this of everything.
    pub fn always(reply: impl AsRef<[u8]>) -> Self {
        Self { for_canaries_too: true, ..Self::reply(reply) }
    }
}
