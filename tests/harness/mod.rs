//! What tests are built of: an application, a fake homeserver, clamds and specimens.

mod app;
mod binary;
mod c_icap;
mod cdn;
mod clamd;
mod client;
mod database;
mod fake_icap;
mod flavour;
mod frames;
mod homeserver;
mod payloads;
mod program;
mod redis;
mod scanner;
mod scripted;
mod specimens;
mod wire;

pub use self::{
    app::{App, AppBuilder, put_policy, start},
    binary::{Binary, lazaret, signal},
    c_icap::CIcap,
    cdn::{Cdn, tls_for},
    clamd::Clamd,
    client::{Answer, Client, request},
    database::{daily_database, signature},
    fake_icap::{FakeIcap, ODD, When},
    flavour::{FLAVOURS, Flavour, Imitation, Medium},
    frames::frames,
    homeserver::{Homeserver, Seen, Stored},
    payloads::{
        FORM, RECOGNISABLE, edited, envelope, form, not_utf8, public_key, published_key, put_sealed, with_envelope,
        with_file, with_member,
    },
    program::Program,
    redis::{RedisCluster, RedisServer, Sentinel},
    scanner::{CLEAN, DOWNLOAD_ENCRYPTED, INFECTED, MALFORMED, SCAN_ENCRYPTED, path, scans},
    scripted::{Ask, Script, ScriptedClamd, Specimen, Step},
    specimens::{PNG, Sealed, eicar, encrypted_zip, gzip, marker, nested_gzip, seal, seal_from},
    wire::{BareHomeserver, Wire, late_upload, raw, target},
};

/// Replaces a file at once, so that nobody sees half of it.
pub fn replace(file: &std::path::Path, content: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Polls `condition` until it holds: for states of other processes that announce themselves in no other way.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let limit = std::time::Duration::from_mins(1);
    tokio::time::timeout(limit, waiting).await.unwrap_or_else(|_| panic!("not within {limit:?}: {what}"));
}
