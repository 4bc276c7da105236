//! What tests are built of: an application, a fake homeserver, clamds and specimens.

mod app;
mod cdn;
mod clamd;
mod client;
mod database;
mod flavour;
mod frames;
mod homeserver;
mod scanner;
mod scripted;
mod specimens;
mod wire;

pub use self::{
    app::{App, AppBuilder, start},
    cdn::Cdn,
    clamd::Clamd,
    client::{Answer, Client, request},
    database::{daily_database, signature},
    flavour::{FLAVOURS, Flavour, Imitation, Medium},
    frames::frames,
    homeserver::{Homeserver, Seen, Stored},
    scanner::{CLEAN, INFECTED, MALFORMED, scans},
    scripted::{Ask, Script, ScriptedClamd, Specimen, Step},
    specimens::{Sealed, eicar, encrypted_zip, gzip, marker, nested_gzip, seal, seal_from},
    wire::{BareHomeserver, Wire, late_upload, raw, target},
};

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
