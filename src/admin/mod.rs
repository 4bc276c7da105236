//! The operators' side: health, metrics and epochs, on a listener of its own that is never exposed to clients.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        StatusCode,
        header::{CONTENT_TYPE, ORIGIN},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use prometheus::Registry;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::{engine::Engine, lifecycle::Lifecycle, reload::Reloader, telemetry::metrics};

/// `admin` section of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the operators' side.
    pub listen: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090) }
    }
}

/// What operators can ask about.
#[derive(Clone)]
pub struct Context {
    /// Ready or not.
    pub engine: Arc<dyn Engine>,
    /// Draining or not.
    pub lifecycle: Lifecycle,
    /// Reads secrets again.
    pub reloader: Reloader,
    /// What is counted.
    pub registry: Registry,
}

/// Serves until everything else has ended, so that a drain can be watched.
pub async fn serve(listener: TcpListener, context: Context) {
    let stopped = context.lifecycle.dropping().clone();
    let routes = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(export))
        .merge(commands())
        .with_state(context);
    let serving = async { axum::serve(listener, routes).await };
    if let Some(Err(error)) = stopped.run_until_cancelled(serving).await {
        tracing::error!(%error, "the admin listener failed");
    }
}

/// What changes something. A browser that is made to ask for it names the page that made it, and is refused.
fn commands() -> Router<Context> {
    let routes = Router::new().route("/epoch/bump", post(bump)).route("/reload", post(reload));
    routes.route_layer(middleware::from_fn(async |request: Request, next: Next| {
        match request.headers().contains_key(ORIGIN) {
            true => (StatusCode::FORBIDDEN, "not from a web page\n").into_response(),
            false => next.run(request).await,
        }
    }))
}

/// Ready to take requests: the required engines have told clean from infected just now, and the process is not about to end.
async fn readyz(State(context): State<Context>) -> (StatusCode, String) {
    match (context.lifecycle.draining().is_cancelled(), context.engine.ready()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned()),
        (false, Err(why)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not all required engines pass their canaries\n{why}\n"))
        }
        (false, Ok(())) => (StatusCode::OK, "ready\n".to_owned()),
    }
}

/// Makes all verdicts so far outdated.
async fn bump(State(context): State<Context>) -> (StatusCode, String) {
    let bump = context.engine.bump();
    tracing::warn!(bump, "epoch bumped by the operator; every verdict so far is outdated");
    (StatusCode::OK, format!("epoch bumped to {bump}\n"))
}

/// Reads secrets again. What cannot be used replaces nothing.
async fn reload(State(context): State<Context>) -> (StatusCode, String) {
    match context.reloader.reload().await {
        Ok(text) => (StatusCode::OK, format!("{text}\n")),
        Err(problem) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}; nothing was replaced\n")),
    }
}

async fn export(State(context): State<Context>) -> Response {
    match metrics::encode(&context.registry) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
