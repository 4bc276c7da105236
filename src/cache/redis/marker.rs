//! Tells whether all who share a prefix share the secret, too. Those who do not have nothing in common, and find each other's
//! entries unreadable.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use redis::RedisResult;

use super::connection::Connection;
use crate::cache::{
    codec::{Codec, CodecError},
    entry::Entry,
    key::{Key, KeyRing},
};

/// An entry at a name that does not depend on the secret, sealed under it. It says nothing else.
#[derive(Clone)]
pub(super) struct Marker {
    name: String,
    sealed_as: Key,
    codec: Codec,
    warned: Arc<AtomicBool>,
}

impl Marker {
    pub(super) fn new(prefix: &str, ring: &KeyRing, codec: Codec) -> Self {
        let (name, sealed_as) = (format!("{prefix}:secret"), ring.single("secret"));
        Self { name, sealed_as, codec, warned: Arc::default() }
    }

    /// Leaves the marker, or compares the one that is there.
    pub(super) async fn look(&self, connection: Connection) {
        match self.found(connection).await {
            Ok(true) => self.warned.store(false, Ordering::Relaxed),
            Ok(false) if !self.warned.swap(true, Ordering::Relaxed) => tracing::error!(
                "another secret is in use under cache.redis.prefix: nothing is shared with those who have it; all need the \
                 same file at cache.secret_path, or prefixes of their own"
            ),
            Ok(false) => (),
            // Whatever it is, the next command will say.
            Err(error) => tracing::debug!(%error, "the secret of those who share the store was not compared"),
        }
    }

    async fn found(&self, mut connection: Connection) -> RedisResult<bool> {
        let there: Option<Vec<u8>> = redis::cmd("GET").arg(&self.name).query_async(&mut connection).await?;
        if let Some(there) = there {
            let read = self.codec.decode(self.sealed_as, &there, SystemTime::now());
            return Ok(!matches!(read, Err(CodecError::Seal)));
        }
        self.leave(connection, &["NX"]).await?;
        Ok(true)
    }

    /// Puts ours in place of what is there.
    pub(super) async fn replace(&self, connection: Connection) -> RedisResult<()> {
        self.leave(connection, &[]).await
    }

    async fn leave(&self, mut connection: Connection, condition: &[&str]) -> RedisResult<()> {
        let registry = Entry::Epochs(Arc::default());
        let ours = self.codec.encode(self.sealed_as, &registry, SystemTime::now());
        redis::cmd("SET").arg(&self.name).arg(ours).arg(condition).query_async(&mut connection).await
    }
}
