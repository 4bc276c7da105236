//! One suite over imitations of the homeservers that there are: what each does differently from the others must make no
//! difference to who is protected, and none that a client could see.

mod federation;
mod heads;
mod reads;
mod uploads;

use crate::harness::{Answer, App, AppBuilder, Cdn, Clamd, Client, FLAVOURS, Flavour, Imitation, request};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// An imitation, an application in front of it, and where the former may keep its media.
struct Stage {
    flavour: Flavour,
    server: Imitation,
    cdn: Cdn,
    app: App,
    /// Speaks to the homeserver as if there were nothing in front of it.
    direct: Client,
}

/// Runs a test over each.
async fn over_each(test: impl AsyncFn(Stage)) {
    let clamd = Clamd::start().await;
    for flavour in FLAVOURS {
        let (server, cdn) = (Imitation::start(flavour).await, Cdn::start().await);
        let settings = format!("{}\nlimits: {{max_media_bytes: 20MiB}}", cdn.settings());
        let app = AppBuilder::new(&server.homeserver).clamd(&clamd).with(&settings).start().await;
        let direct = Client::new(server.homeserver.address());
        test(Stage { flavour, server, cdn, app, direct }).await;
    }
}

/// A harmless image of so many bytes.
fn image(len: usize) -> Vec<u8> {
    PNG.iter().copied().chain((0..=240).cycle()).take(len).collect()
}

/// The same request with and without Lazaret.
async fn both(stage: &Stage, method: &str, path: &str) -> (Answer, Answer) {
    let sent = || request(method, path).header("authorization", "Bearer token");
    (stage.app.client.send(sent(), b"").await, stage.direct.send(sent(), b"").await)
}

fn v1(kind: &str, id: &str) -> String {
    let query = if kind == "thumbnail" { "?width=64&height=64&method=scale" } else { "" };
    format!("/_matrix/client/v1/media/{kind}/hs.test/{id}{query}")
}
