//! Walks through all that is kept, node by node.

use redis::{
    Cmd, FromRedisValue, Pipeline, RedisResult, Value,
    aio::ConnectionLike,
    cluster_routing::{RoutingInfo, SingleNodeRoutingInfo},
    from_redis_value,
};

use super::{LONGEST, RedisStore, connection::Connection};
use crate::cache::{
    codec,
    entry::Entry,
    key::Key,
    store::{Cursor, Page, Stats, StoreError},
};

/// Keys that a server looks at in one step; it does nothing else meanwhile.
const STEP: usize = 100;

/// Bytes of a value that say when it expires.
const HEAD: usize = 21;

/// A server that has some of the keys. The only one has no address.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Node {
    host: String,
    port: u16,
}

/// Where a walk is.
#[derive(Clone, Default)]
struct Place {
    node: Node,
    cursor: u64,
}

impl Place {
    fn read(cursor: &Cursor) -> Option<Self> {
        let mut words = std::str::from_utf8(&cursor.0).ok()?.split(' ');
        let (cursor, port, host) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.to_owned());
        Some(Self { node: Node { host, port }, cursor })
    }

    fn written(&self) -> Cursor {
        Cursor(format!("{} {} {}", self.cursor, self.node.port, self.node.host).into_bytes())
    }

    /// The place to look at: where it was, or the beginning of the node that comes next if that one is gone.
    fn among(&self, nodes: &[Node]) -> Option<Self> {
        let node = nodes.iter().find(|node| **node >= self.node)?.clone();
        let cursor = if node == self.node { self.cursor } else { 0 };
        Some(Self { node, cursor })
    }

    /// Where it goes on.
    fn next(&self, cursor: u64, nodes: &[Node]) -> Option<Self> {
        match cursor {
            0 => nodes.iter().find(|node| **node > self.node).map(|node| Self { node: node.clone(), cursor: 0 }),
            cursor => Some(Self { node: self.node.clone(), cursor }),
        }
    }
}

impl Connection {
    /// Those who have keys, in an order that stays.
    async fn nodes(&mut self) -> RedisResult<Vec<Node>> {
        let Self::Cluster(cluster) = self else { return Ok(vec![Node::default()]) };
        let slots: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(cluster).await?;
        let masters = slots.into_iter().filter_map(|range| range.into_iter().nth(2));
        let nodes = masters.map(|master| {
            let mut parts = Vec::<Value>::from_redis_value(master)?.into_iter();
            let (host, port) = (parts.next().unwrap_or(Value::Nil), parts.next().unwrap_or(Value::Nil));
            Ok(Node { host: from_redis_value(host)?, port: from_redis_value(port)? })
        });
        let mut nodes = nodes.collect::<RedisResult<Vec<_>>>()?;
        nodes.sort();
        nodes.dedup();
        Ok(nodes)
    }

    async fn ask<T: FromRedisValue>(&mut self, node: &Node, command: Cmd) -> RedisResult<T> {
        match self {
            Self::One(one) => command.query_async(one).await,
            Self::Cluster(cluster) => {
                let reply = cluster.route_command(command, RoutingInfo::SingleNode(node.route())).await?;
                Ok(from_redis_value(reply)?)
            }
        }
    }

    /// The same command for each of these keys, which the node has. What one of them fails with is its answer.
    async fn ask_each(
        &mut self,
        node: &Node,
        command: &Cmd,
        keys: &[String],
        more: &[usize],
    ) -> RedisResult<Vec<Value>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(keys.len());
        for key in keys {
            pipeline.add_command(command.clone()).arg(key).arg(more);
        }
        match self {
            Self::One(one) => one.req_packed_commands(&pipeline, 0, keys.len()).await,
            Self::Cluster(cluster) => cluster.route_pipeline(pipeline, 0, keys.len(), node.route()).await,
        }
    }

    /// A step of a walk: where it goes on, and names.
    async fn scan(&mut self, place: &Place, prefix: &str) -> RedisResult<(u64, Vec<String>)> {
        let mut command = redis::cmd("SCAN");
        command.arg(place.cursor).arg("MATCH").arg(format!("{prefix}:*")).arg("COUNT").arg(STEP);
        self.ask(&place.node, command).await
    }
}

impl Node {
    fn route(&self) -> SingleNodeRoutingInfo {
        SingleNodeRoutingInfo::ByAddress { host: self.host.clone(), port: self.port }
    }
}

impl RedisStore {
    /// See [`VerdictStore::walk`](crate::cache::VerdictStore::walk).
    pub(super) async fn page(&self, from: Option<Cursor>) -> Result<Page, StoreError> {
        let place = match from {
            None => Place::default(),
            Some(from) => Place::read(&from).ok_or_else(|| StoreError::Failed("no place to go on from".to_owned()))?,
        };
        let place = &place;
        let step = |mut connection: Connection| async move {
            let nodes = connection.nodes().await?;
            let Some(place) = place.among(&nodes) else { return Ok((Vec::new(), None)) };
            let (cursor, names) = connection.scan(&place, &self.prefix).await?;
            let values = connection.ask_each(&place.node, &redis::cmd("GETRANGE"), &names, &[0, LONGEST]).await?;
            Ok((names.into_iter().zip(values).collect(), place.next(cursor, &nodes)))
        };
        let (found, next): (Vec<_>, _) = self.patient.run_again(step).await?;
        let entries = found.into_iter().filter_map(|(name, value)| self.entry(&name, &value)).collect();
        Ok(Page { entries, next: next.map(|place| place.written()) })
    }

    fn entry(&self, name: &str, value: &Value) -> Option<(Key, Entry)> {
        let Value::BulkString(bytes) = value else { return None };
        let key = self.key(name)?;
        Some((key, self.read(key, bytes).ok()??))
    }

    fn key(&self, name: &str) -> Option<Key> {
        name.strip_prefix(&self.prefix)?.strip_prefix(':').and_then(Key::parse)
    }

    /// See [`VerdictStore::clear`](crate::cache::VerdictStore::clear).
    pub(super) async fn forget_all(&self) -> Result<(), StoreError> {
        let mut place = Some(Place::default());
        while let Some(here) = &place {
            place = self.patient.run_again(|connection| self.forget_some(connection, here)).await?;
        }
        self.patient.run_again(|connection| self.marker.replace(connection)).await
    }

    /// A step of that; gives where it goes on.
    async fn forget_some(&self, mut connection: Connection, place: &Place) -> RedisResult<Option<Place>> {
        let nodes = connection.nodes().await?;
        let Some(place) = place.among(&nodes) else { return Ok(None) };
        let (cursor, mut names) = connection.scan(&place, &self.prefix).await?;
        names.retain(|name| self.key(name).is_some());
        let range = [0, HEAD - 1];
        let heads = connection.ask_each(&place.node, &redis::cmd("GETRANGE"), &names, &range).await?;
        let mut kept = heads.iter().map(never_expires);
        names.retain(|_| !kept.next().unwrap_or_default());
        connection.ask_each(&place.node, &redis::cmd("UNLINK"), &names, &[]).await?;
        Ok(place.next(cursor, &nodes))
    }

    /// See [`VerdictStore::stats`](crate::cache::VerdictStore::stats).
    pub(super) async fn size(&self) -> Result<Stats, StoreError> {
        let measure = |mut connection: Connection| async move {
            let mut stats = Stats::default();
            for node in connection.nodes().await? {
                stats.entries += connection.ask::<u64>(&node, redis::cmd("DBSIZE")).await?;
                let mut memory = redis::cmd("INFO");
                memory.arg("memory");
                let text: String = connection.ask(&node, memory).await?;
                let used = text.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse::<u64>().ok());
                stats.bytes += used.unwrap_or_default();
            }
            Ok(stats)
        };
        self.patient.run_again(measure).await
    }
}

/// True for what there is one of: nothing else is kept for ever.
fn never_expires(head: &Value) -> bool {
    matches!(head, Value::BulkString(bytes) if bytes.len() == HEAD && codec::expiry(bytes).is_none())
}
