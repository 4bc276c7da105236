//! An engine behind ICAP: what it says counts, and what it does not say is never clean.

mod doctor;
mod fake;
mod odd;
mod real;
mod tls;

use crate::harness::{Answer, App, AppBuilder, Homeserver, Stored};

const PATH: &str = "/_matrix/client/v1/media/download/hs.test/";

/// An application with one ICAP engine and nothing else, with more settings of that engine.
fn behind(homeserver: &Homeserver, url: &str, settings: &str) -> AppBuilder {
    AppBuilder::new(homeserver).with(&format!("engines: {{icap: [{}]}}", engine(url, settings)))
}

fn engine(url: &str, settings: &str) -> String {
    let hurry = if settings.contains("probe_interval") { "" } else { ", probe_interval: 200ms" };
    let small = if settings.contains("max_bytes") { "" } else { ", max_bytes: 4MiB" };
    format!("{{name: appliance, url: '{url}'{hurry}{small}{settings}}}")
}

/// Puts a medium and reads it.
async fn read(homeserver: &Homeserver, app: &App, id: &str, body: &[u8]) -> Answer {
    homeserver.put_media(id, &Stored::media(body));
    app.get(&format!("{PATH}{id}")).await
}

/// Scans by that engine that ended with `verdict` so far.
async fn scans(app: &App, verdict: &str) -> u64 {
    app.scans_by("appliance", verdict).await
}

/// Why the application is not ready, once it says so in these words.
async fn is_not_ready(app: &App, words: &str) {
    crate::harness::eventually(words, || async {
        let answer = app.admin.get("/readyz").await;
        answer.status != 200 && answer.text().contains(words)
    })
    .await;
}
