//! The `native` section of the configuration, and what it comes with.

mod answers;
mod routes;
mod types;
mod waiting;

use crate::harness::{App, AppBuilder, Clamd, Homeserver};

const V1: &str = "/_matrix/client/v1/media/download/hs.test/m";
const UPLOAD: &str = "/_matrix/media/v3/upload";
const FEDERATION: &str = "/_matrix/federation/v1/media/download/m";

async fn start_with(settings: &str) -> (Homeserver, Clamd, App) {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(settings).start().await;
    (homeserver, clamd, app)
}
