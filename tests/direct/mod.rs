//! Media without a homeserver of our own: each from the server that its address names.
//!
//! Names with a number show that this mode has none of the weaknesses of its model, W4, W5 and W21 in the table of
//! `tests/weaknesses`.

mod addresses;
mod discovery;
mod redirects;
mod routes;
mod tokens;

use std::{io::Write as _, net::TcpListener};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::harness::{Answer, App, AppBuilder, CLEAN, Cdn, Clamd, Seen, Stored, path};

const WELL_KNOWN: &str = "/.well-known/matrix/client";
const VERSIONS: &str = "/_matrix/client/versions";
const EVERYWHERE: &str = "private_networks: [127.0.0.0/8, '::1/128']";

/// A running application without a homeserver, and what it needs to run.
struct World {
    app: App,
    _clamd: Clamd,
    _authorities: NamedTempFile,
}

impl World {
    /// Trusts these servers' certificates, and may connect to all of this machine.
    async fn start(servers: &[&Cdn], settings: &str) -> Self {
        Self::within(EVERYWHERE, servers, settings, "").await
    }

    /// Trusts these servers' certificates; with other sections of the configuration beside its own.
    async fn within(reach: &str, servers: &[&Cdn], settings: &str, sections: &str) -> Self {
        let mut authorities = NamedTempFile::new().unwrap();
        for server in servers {
            authorities.write_all(&std::fs::read(server.ca_file()).unwrap()).unwrap();
        }
        let clamd = Clamd::start().await;
        let ca_file = authorities.path().display();
        let section = format!("direct: {{enabled: true, ca_file: '{ca_file}', {reach}, {settings}}}");
        let app = AppBuilder::direct().clamd(&clamd).with(&section).with(sections).start().await;
        Self { app, _clamd: clamd, _authorities: authorities }
    }

    /// A scanner route for a medium, asked without a token.
    async fn get(&self, route: &str, server: &str, id: &str) -> Answer {
        self.app.client.get(&path(&format!("{route}/{server}/{id}"))).await
    }

    /// Asserts that a medium is to be had.
    async fn assert_clean(&self, server: &str, id: &str) {
        let answer = self.get("scan", server, id).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, CLEAN), "{server}/{id}");
    }

    async fn discoveries(&self, outcome: &str) -> u64 {
        self.app.metric(&format!("lazaret_discoveries_total{{outcome=\"{outcome}\"}}")).await
    }
}

/// Has a server name a base URL.
fn point(server: &Cdn, base_url: &str) {
    let text = json!({"m.homeserver": {"base_url": base_url}}).to_string();
    server.put_stored(WELL_KNOWN, Stored::json(200, &text));
}

/// Makes a homeserver of it.
fn serve_versions(server: &Cdn) {
    server.put_stored(VERSIONS, Stored::json(200, r#"{"versions":["v1.11"]}"#));
}

/// The path of a medium of the server with this name.
fn native(prefix: &str, kind: &str, name: &str, id: &str) -> String {
    let name = name.replace(':', "%3A").replace('[', "%5B").replace(']', "%5D");
    format!("{prefix}/{kind}/{name}/{id}")
}

/// Puts a medium of the server with this name on the route that takes no token.
fn put_medium(server: &Cdn, name: &str, id: &str, body: &[u8]) {
    server.put_stored(&native("/_matrix/media/v3", "download", name, id), Stored::media(body));
}

fn targets(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| seen.target.as_str()).collect()
}

/// What is said of a server that is not asked, or not there.
#[track_caller]
fn assert_not_reached(answer: &Answer, what: &str) {
    let body = json!({"reason": "MCS_MEDIA_REQUEST_FAILED", "info": "Failed to reach the remote server"});
    assert_eq!((answer.status.as_u16(), answer.json()), (502, body), "{what}");
    answer.assert_scanner_error(502, "MCS_MEDIA_REQUEST_FAILED");
}

/// Status and body of an error.
fn error(status: u16, reason: &str, info: &str) -> (u16, Value) {
    (status, json!({"reason": reason, "info": info}))
}

/// A port on which nobody answers, and which knows whether anyone tried.
struct Trap(TcpListener);

impl Trap {
    fn set(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    #[track_caller]
    fn assert_untouched(&self) {
        let tried = self.0.accept();
        assert!(tried.is_err(), "somebody connected: {tried:?}");
    }
}

#[test]
fn a_trap_knows_who_connected() {
    let trap = Trap::set("127.0.0.1");
    trap.assert_untouched();
    let _peer = std::net::TcpStream::connect(("127.0.0.1", trap.port())).unwrap();
    assert!(trap.0.accept().is_ok());
}
