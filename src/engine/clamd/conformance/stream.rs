//! clamd's `StreamMaxLength`, without a stream.
//!
//! clamd takes the announced length of a chunk at its word: if that is more than it would take it refuses at once, else it
//! waits for the bytes. So a length is announced and nothing sent.

use std::{io, time::Duration};

use tokio::{io::AsyncWriteExt, time::timeout};
use tokio_util::either::Either;

use crate::{
    engine::clamd::{
        address::Address,
        conn::{self, ConnError},
        protocol::{Command, Said},
    },
    verdict::Verdict,
};

/// For a refusal that was sent before the PONG on another connection and may yet arrive after it.
const GRACE: Duration = Duration::from_millis(20);

/// The same where a network may have to send it twice.
const LONG_GRACE: Duration = Duration::from_millis(500);

/// The longest stream that a clamd takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StreamLimit {
    /// All that we need.
    Enough,
    /// Less than we need.
    Less,
    /// So many bytes, which is less than we need.
    AtMost(u64),
    /// It did not say.
    Unknown(String),
}

/// The reply to a command.
pub(super) async fn ask(address: &Address, command: Command, patience: Duration) -> Result<Said, String> {
    let answered = timeout(patience, conn::ask(address, command)).await.map_err(|_| silence(patience))?;
    answered.map_err(|error| error.to_string())
}

/// The process that listens, if the kernel tells.
pub(super) async fn peer(address: &Address, patience: Duration) -> Option<i32> {
    match timeout(patience, conn::connect(address)).await.ok()?.ok()? {
        Either::Left(stream) => stream.peer_cred().ok()?.pid(),
        Either::Right(_) => None,
    }
}

/// Whether streams of `needed` bytes are taken; with `exactly`, also how long ones are taken if not.
pub(super) async fn limit(address: &Address, needed: u64, exactly: bool, patience: Duration) -> StreamLimit {
    // No chunk is longer, and no StreamMaxLength.
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    let outcome = match takes(address, needed, LONG_GRACE, patience).await {
        Ok(true) => return StreamLimit::Enough,
        Ok(false) if exactly => largest(address, needed, patience).await.map(StreamLimit::AtMost),
        Ok(false) => return StreamLimit::Less,
        Err(why) => Err(why),
    };
    outcome.unwrap_or_else(StreamLimit::Unknown)
}

/// Halves the span between what is taken, nothing, and what is refused; then makes sure that no refusal came late.
async fn largest(address: &Address, refused: u32, patience: Duration) -> Result<u64, String> {
    let (mut taken, mut refused) = (0, refused);
    while taken + 1 < refused {
        let middle = taken + (refused - taken) / 2;
        match takes(address, middle, GRACE, patience).await? {
            true => taken = middle,
            false => refused = middle,
        }
    }
    match takes(address, taken, LONG_GRACE, patience).await? {
        true => Ok(taken.into()),
        false => Err("its refusals come too late to tell".to_owned()),
    }
}

/// clamd has one thread that reads all connections, in the order in which they came. Once it answered PING on a later one
/// it has also read the announcement, and has refused it if it was going to.
async fn takes(address: &Address, length: u32, grace: Duration, patience: Duration) -> Result<bool, String> {
    let asking = async {
        let mut stream = conn::connect(address).await?;
        let announcement = [Command::Instream.bytes(), &length.to_be_bytes()].concat();
        stream.write_all(&announcement).await.map_err(ConnError::Lost)?;
        match conn::ask(address, Command::Ping).await? {
            Said::Pong => (),
            other => return Err(ConnError::Lost(io::Error::other(format!("PING was answered {other:?}")))),
        }
        match timeout(grace, conn::reply(&mut stream, Command::Instream)).await {
            Err(_) => Ok(true),
            Ok(Ok(Said::Verdict(Verdict::Incomplete { .. }))) => Ok(false),
            Ok(other) => Err(ConnError::Lost(io::Error::other(format!("INSTREAM was answered {other:?}")))),
        }
    };
    let answered = timeout(patience, asking).await.map_err(|_| silence(patience))?;
    answered.map_err(|error| error.to_string())
}

/// Words for a clamd that says nothing.
pub(super) fn silence(patience: Duration) -> String {
    format!("no answer within {patience:?}")
}
