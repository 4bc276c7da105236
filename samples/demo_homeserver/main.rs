//! A small homeserver for demonstrations: the media routes of the Matrix client-server API over a store in memory,
//! with one user and one access token. It answers as Synapse does where that matters to a proxy in front of it.
//! Not part of the product, and not for use with real accounts.

#![forbid(unsafe_code)]

mod answer;
mod download;
mod store;
mod upload;

use std::future::IntoFuture;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use clap::Parser;
use percent_encoding::percent_decode_str;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::answer::Refusal;
use crate::store::{MAX_UPLOAD_BYTES, Store};

/// The server part of every media address handed out here.
const SERVER_NAME: &str = "demo.localhost";

/// How long requests under way may take to finish once a signal has asked us to stop.
const GRACE: Duration = Duration::from_secs(3);

/// The three names under which clients old and new know the media API.
const MEDIA_VERSIONS: [&str; 3] = ["v3", "r0", "v1"];

/// An in-memory homeserver for demonstrations: media routes, one user, one access token.
#[derive(Parser)]
#[command(name = "demo_homeserver")]
struct Arguments {
    /// Address to listen on; port 0 takes any free port.
    #[arg(default_value = "127.0.0.1:8008")]
    address: String,
    /// The one access token that is accepted.
    #[arg(long, default_value = "demo-token")]
    token: String,
}

/// What every handler shares.
struct Homeserver {
    token: String,
    store: Store,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { address, token } = Arguments::parse();
    let listener = TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener.local_addr()?;
    writeln!(std::io::stdout(), "demo homeserver on http://{bound}")?;
    let app = router(Arc::new(Homeserver { token, store: Store::default() }));
    serve(listener, app).await
}

/// Serves until SIGINT or SIGTERM; a request that outlives the grace period is cut off.
async fn serve(listener: TcpListener, app: Router) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = CancellationToken::new();
    // Small answers would otherwise wait for the peer's delayed acknowledgement.
    let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    let stopping = async {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        stop.cancel();
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! { served = serving.into_future() => served?, () = stopping => {} }
    Ok(())
}

fn router(homeserver: Arc<Homeserver>) -> Router {
    let guard = middleware::from_fn_with_state(Arc::clone(&homeserver), require_token);
    open_routes()
        .merge(authenticated_routes().route_layer(guard))
        .fallback(unrecognised)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(answer::with_cors))
        .with_state(homeserver)
}

/// Routes that anybody may use. The media routes of old are among them, as on homeservers that have not frozen them.
fn open_routes() -> Router<Arc<Homeserver>> {
    let mut router = Router::new().route("/_matrix/client/versions", get(versions));
    for version in MEDIA_VERSIONS {
        router = media_reads(router, &format!("/_matrix/media/{version}"));
    }
    router
}

fn authenticated_routes() -> Router<Arc<Homeserver>> {
    let mut router = media_reads(Router::new(), "/_matrix/client/v1/media")
        .route("/_matrix/client/v3/account/whoami", get(whoami))
        .route("/_matrix/client/v1/media/config", get(media_config))
        .route("/_matrix/media/v1/create", post(upload::create))
        .route("/_matrix/media/v3/upload/{server}/{media}", put(upload::fill));
    for version in MEDIA_VERSIONS {
        router = router
            .route(&format!("/_matrix/media/{version}/upload"), post(upload::upload))
            .route(&format!("/_matrix/media/{version}/config"), get(media_config));
    }
    router
}

fn media_reads(router: Router<Arc<Homeserver>>, prefix: &str) -> Router<Arc<Homeserver>> {
    router
        .route(&format!("{prefix}/download/{{server}}/{{media}}"), get(download::download))
        .route(&format!("{prefix}/download/{{server}}/{{media}}/{{filename}}"), get(download::download))
        .route(&format!("{prefix}/thumbnail/{{server}}/{{media}}"), get(download::thumbnail))
}

async fn require_token(
    State(homeserver): State<Arc<Homeserver>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let token = presented_token(&request).ok_or(Refusal::MISSING_TOKEN)?;
    if token != homeserver.token {
        return Err(Refusal::UNKNOWN_TOKEN);
    }
    Ok(next.run(request).await)
}

/// The caller's token from the header or the deprecated query parameter; both at once count as none, as on Synapse.
fn presented_token(request: &Request) -> Option<String> {
    let in_query = query_value(request.uri(), "access_token");
    let Some(header) = request.headers().get(header::AUTHORIZATION) else {
        return in_query;
    };
    let token = header.to_str().ok()?.strip_prefix("Bearer ")?.to_owned();
    in_query.is_none().then_some(token)
}

/// The first value of one query parameter, decoded as a form field.
fn query_value(uri: &Uri, name: &str) -> Option<String> {
    let mut pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let value = value.replace('+', " ");
    Some(percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

async fn versions() -> Response {
    answer::json(StatusCode::OK, &json!({"versions": ["v1.11"]}))
}

async fn whoami() -> Response {
    let user = format!("@demo:{SERVER_NAME}");
    answer::json(StatusCode::OK, &json!({"user_id": user, "device_id": "DEMO", "is_guest": false}))
}

async fn media_config() -> Response {
    answer::json(StatusCode::OK, &json!({"m.upload.size": MAX_UPLOAD_BYTES}))
}

async fn unrecognised() -> Refusal {
    Refusal::UNRECOGNISED
}

async fn wrong_method() -> Refusal {
    Refusal::WRONG_METHOD
}
