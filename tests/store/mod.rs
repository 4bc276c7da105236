//! The verdict store: what outlives the process, what nodes share, and what new signatures change.

mod admin;
mod disk;
mod exposure;
mod fleet;
mod redis;
mod redis_servers;
mod redis_store;
mod rescan;
mod signatures;
