//! The connection, and another one once it is lost.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};

use super::{connection::Connection, marker::Marker, servers::Servers};
use crate::cache::{config::RedisConfig, store::StoreError};

type Attempt = Shared<BoxFuture<'static, Result<Connection, StoreError>>>;

/// A connection is made when it is needed, by a task of its own: who has no time left lets go of it, and the next one finds it.
pub(super) struct Link {
    servers: Arc<Servers>,
    marker: Arc<Marker>,
    current: Mutex<(u64, Option<Attempt>)>,
}

impl Link {
    /// Does not connect yet. Commands are given up, and connections with them, after a good part of `timeout`.
    pub(super) fn new(config: &RedisConfig, timeout: Duration, marker: Marker) -> Result<Self, String> {
        let servers = Arc::new(Servers::new(config, timeout * 4 / 5)?);
        Ok(Self { servers, marker: Arc::new(marker), current: Mutex::default() })
    }

    /// Has something done over the connection.
    pub(super) async fn run<T, F>(&self, work: impl FnOnce(Connection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (number, attempt) = self.attempt();
        let connection = attempt.await.inspect_err(|_| self.give_up(number))?;
        let is_cluster = matches!(connection, Connection::Cluster(_));
        let outcome = work(connection).await;
        if outcome.as_ref().is_err_and(|error| is_lost(error, is_cluster)) {
            self.give_up(number);
        }
        outcome.map_err(|error| reason(&error))
    }

    /// As [`Link::run`], and once more if it failed: a connection that is seldom used may have been lost long ago.
    pub(super) async fn run_again<T, F>(&self, work: impl Fn(Connection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        match self.run(&work).await {
            Err(StoreError::Failed(_)) => self.run(&work).await,
            outcome => outcome,
        }
    }

    fn attempt(&self) -> (u64, Attempt) {
        let (number, current) = &mut *self.current.lock().expect("no panic while held");
        let attempt = current.get_or_insert_with(|| {
            *number += 1;
            let (servers, marker) = (Arc::clone(&self.servers), Arc::clone(&self.marker));
            let task = tokio::spawn(async move {
                let connection = servers.connect().await.map_err(|error| reason(&error))?;
                marker.look(connection.clone()).await;
                Ok(connection)
            });
            let aborted = |_| Err(StoreError::Failed("the connection was given up".to_owned()));
            async move { task.await.unwrap_or_else(aborted) }.boxed().shared()
        });
        (*number, attempt.clone())
    }

    /// Has the next one connect anew, unless that has happened already.
    fn give_up(&self, number: u64) {
        let mut current = self.current.lock().expect("no panic while held");
        if current.0 == number {
            current.1 = None;
        }
    }
}

/// True if another connection may do better. A cluster's finds nodes that moved or came back by itself, and knows more of them
/// than the configuration; but its password is that of long ago. One server that leaves a command unanswered may have gone
/// without a word, and one that takes no writes may be no master any more.
fn is_lost(error: &RedisError, is_cluster: bool) -> bool {
    if error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) {
        return true;
    }
    if is_cluster {
        return error.kind() == ErrorKind::ClusterConnectionNotFound;
    }
    let is_no_master =
        matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown));
    error.is_io_error() || error.is_unrecoverable_error() || is_no_master || error.to_string().contains("READONLY")
}

/// What it means to who asked.
fn reason(error: &RedisError) -> StoreError {
    // Scripts of older servers have the code somewhere in the text.
    if error.code() == Some("OOM") || error.to_string().contains("OOM command not allowed") {
        return StoreError::Full;
    }
    match error.is_timeout() {
        true => StoreError::Late,
        false => StoreError::Failed(error.to_string()),
    }
}
