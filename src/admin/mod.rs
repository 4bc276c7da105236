//! The operators' side: health, metrics, epochs, the policy, and what is remembered of media, on a listener of its own that is never exposed
//! to clients.

mod answer;
mod cache;
mod overrides;
mod policy;
mod words;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HOST, ORIGIN},
        uri::Authority,
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use prometheus::Registry;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    engine::Engine, inspect::Inspector, lifecycle::Lifecycle, media::ServerName, reload::Reloader, spool::Spooler,
    telemetry::metrics,
};

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
    /// Remembers verdicts.
    pub inspector: Arc<Inspector>,
    /// Draining or not.
    pub lifecycle: Lifecycle,
    /// Reads secrets and the policy again.
    pub reloader: Reloader,
    /// Has room for a policy that is tried.
    pub spooler: Arc<Spooler>,
    /// The homeserver's name, if it is known: whose media are local.
    pub server_name: Option<ServerName>,
    /// Whose turn it is to have the past replayed.
    pub replays: Arc<Semaphore>,
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

/// What changes something, or tells what was found in media. Browsers, which can be made to ask for it, are refused.
fn commands() -> Router<Context> {
    let routes = Router::new().route("/epoch/bump", post(bump)).route("/reload", post(reload));
    let routes = routes.merge(cache::routes()).merge(overrides::routes()).merge(policy::routes());
    routes.route_layer(middleware::from_fn(async |request: Request, next: Next| match may_be_of_a_page(&request) {
        true => (StatusCode::FORBIDDEN, "not from a web page; name this side by its address\n").into_response(),
        false => next.run(request).await,
    }))
}

/// True if a web page may have had a browser ask. Browsers say that they do, but not where a page has its own name lead here and
/// asks itself, so to say, without encryption; then it is that name that they ask for.
fn may_be_of_a_page(request: &Request) -> bool {
    let headers = request.headers();
    let asked = headers
        .get(HOST)
        .map(|host| host.to_str().unwrap_or("."))
        .or_else(|| Some(request.uri().authority()?.as_str()));
    let is_named = asked.is_some_and(|host| !host.parse().is_ok_and(|host| is_no_domain(&host)));
    headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") || is_named
}

/// True for addresses, and for names that nobody in the world has registered.
fn is_no_domain(host: &Authority) -> bool {
    let host = host.host();
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() || !host.contains('.')
}

/// Ready to take requests: the required engines have told clean from infected just now, and the process is not about to end.
async fn readyz(State(context): State<Context>) -> (StatusCode, String) {
    match (context.lifecycle.draining().is_cancelled(), context.engine.ready()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned()),
        (false, Err(why)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("not all required engines pass their canaries\n{why}\n"))
        }
        (false, Ok(())) => match context.inspector.trouble() {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(why) => (StatusCode::OK, format!("ready, degraded\n{why}\n")),
        },
    }
}

/// Makes all verdicts so far outdated.
async fn bump(State(context): State<Context>) -> (StatusCode, String) {
    match context.inspector.bump().await {
        (bump, None) => (StatusCode::OK, format!("epoch bumped to {bump}\n")),
        (bump, Some(error)) => {
            let kept =
                "bumped here, but not kept: others, and this process once it is started again, may not hear of it";
            (StatusCode::SERVICE_UNAVAILABLE, format!("epoch {kept} ({bump}; {error}); do it again\n"))
        }
    }
}

/// Reads secrets and the policy again. What cannot be used replaces nothing.
async fn reload(State(context): State<Context>) -> (StatusCode, String) {
    match context.reloader.reload().await {
        Ok(text) => (StatusCode::OK, format!("{text}\n")),
        Err(problem) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{problem}\n")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_may_have_been_made_to_ask_is_told_from_the_rest() {
        let asks = |name: &str, value: &str| {
            let request = Request::get("/cache/stats").header(name, value);
            may_be_of_a_page(&request.body(axum::body::Body::empty()).unwrap())
        };
        for host in
            ["127.0.0.1:9090", "10.0.0.7", "[::1]:9090", "[fe80::1]", "localhost:9090", "localhost", "lazaret:9090"]
        {
            assert!(!asks("host", host), "{host}");
        }
        for host in
            ["evil.test:9090", "evil.test", "localhost.", "127.0.0.1.evil.test", "1.2.3", "", "a b", "[::1", "\u{e9}"]
        {
            assert!(asks("host", host), "{host}");
        }
        assert!(asks("origin", "null") && asks("sec-fetch-site", "same-origin") && asks("sec-fetch-site", "none"));
        assert!(!asks("accept", "*/*"), "who names nothing is no browser");
        let absolute = Request::get("http://evil.test/cache/stats").body(axum::body::Body::empty()).unwrap();
        assert!(may_be_of_a_page(&absolute));
    }
}
