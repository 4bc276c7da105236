//! The ways around a scanner of media that are known, numbered as in the catalogue that the project works with: one test
//! each. It shows that the attack does not deliver what is infected and, where that could be lost with it, that the
//! harmless twin of the attack still works.
//!
//! What a client library would clean up on its way is sent over a bare socket.

mod answers;
mod changes;
mod content;
mod keys;
mod load;
mod paths;
mod redirects;
mod uploads;
mod wire;

use crate::harness::{App, Clamd, Homeserver, Stored, Wire, eicar, start};

const V1: &str = "/_matrix/client/v1/media/download/hs.test/m";
const UPLOAD: &str = "/_matrix/media/v3/upload";

/// A homeserver that gives everyone this medium on every path there is, and an application in front of it.
async fn everywhere(medium: &[u8]) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd, app) = start().await;
    let stored = Stored::media(medium).open();
    homeserver.respond_with(move |_| Some(stored.clone()));
    (homeserver, clamd, app)
}

fn is_infected(bytes: &[u8]) -> bool {
    let eicar = eicar();
    bytes.windows(eicar.len()).any(|window| window == eicar)
}

/// Asserts that an answer over a bare socket is a refusal that carries nothing.
#[track_caller]
fn assert_refused(answer: &Wire, status: u16, what: &str) {
    assert!(!is_infected(&answer.0), "{what}: delivered");
    assert_eq!(answer.status(), status, "{what}: {}", answer.0.escape_ascii());
    assert_eq!(answer.answers(), 1, "{what}: {}", answer.0.escape_ascii());
}
