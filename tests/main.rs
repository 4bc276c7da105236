//! Behaviour of the whole application, in process, between a fake homeserver and a real clamd.
//!
//! Each test starts an application of its own on ports of its own. What cannot be had of a real clamd (wrong, late and
//! missing replies) comes from a scripted one.

#![expect(unreachable_pub, reason = "a test binary has no other crates to be visible to")]

mod harness;

mod admin;
mod bypass;
mod clamd_truth;
mod clients;
mod coalescing;
mod contract;
mod direct;
mod doctor;
mod download;
mod encrypted;
mod engine_failure;
mod engine_pool;
mod engine_table;
mod engines;
mod flavours;
mod hostile;
mod icap;
mod keys;
mod known_media;
mod limits;
mod native;
mod opaque;
mod passthrough;
mod policy;
mod redirect;
mod scripted_clamd;
mod shutdown;
mod store;
mod tls;
mod upload;
mod weaknesses;
