//! One request from head to head: hygiene, route, a place among the others, handler, outcome.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use http::{
    Request, Response, Uri, Version,
    header::{CONTENT_LENGTH, HOST},
    request::Parts,
    uri::PathAndQuery,
};
use hyper::body::Incoming;
use tracing::Instrument;
use ulid::Ulid;

use super::{
    Context,
    activity::Busy,
    error::ApiError,
    handlers::{self, Handled},
    metrics::InFlight,
    respond,
    route::{self, Route},
    surface::Surface,
};
use crate::{
    body::{self, Body},
    upstream::headers::{Client, set_forwarded, set_host, strip_hop_by_hop},
};

/// Answers one request.
pub(super) async fn answer(
    context: Arc<Context>,
    peer: IpAddr,
    busy: Busy,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let route = route::classify(request.method(), request.uri().path());
    let span = tracing::info_span!("request", id = %Ulid::generate(), route = route.name());
    let (is_head, is_http2) = (request.method() == http::Method::HEAD, request.version() == Version::HTTP_2);
    let stall = context.bounds.stall;
    let (metrics, surface) = (Arc::clone(&context), Surface::of(request.uri().path()));
    let answering = async {
        let mut in_flight = metrics.metrics.begin(route.name());
        let inspected = route.is_inspected();
        let (response, outcome) = match dispatch(context, peer, request, route).await {
            Ok(handled) => handled,
            Err(error) => {
                let outcome = error.outcome();
                (error.into_response(surface), outcome)
            }
        };
        // HTTP/2 would send it; and what we say of a refusal is a body like any other.
        let response = if is_head { response.map(|_| body::empty()) } else { response };
        let response = response.map(|body| body::holding(body, busy));
        let response = if is_http2 { response.map(|body| body::leased(body, stall)) } else { response };
        in_flight.outcome = outcome;
        log(&in_flight, &response, inspected);
        Ok(response)
    };
    answering.instrument(span).await
}

fn log(in_flight: &InFlight<'_>, response: &Response<Body>, inspected: bool) {
    let (status, outcome, ms) = (response.status().as_u16(), in_flight.outcome, in_flight.begun.elapsed().as_millis());
    if inspected {
        tracing::info!(status, outcome, ms, "answered");
    } else {
        tracing::debug!(status, outcome, ms, "answered");
    }
}

async fn dispatch(context: Arc<Context>, peer: IpAddr, request: Request<Incoming>, route: Route) -> Handled {
    let (mut parts, incoming) = request.into_parts();
    let target = origin_form(&parts)?;
    prepare(&context, peer, &mut parts);
    let place = match route.is_inspected() {
        false => None,
        true => {
            let place = Arc::clone(&context.bounds.requests).try_acquire_owned();
            Some(place.map_err(|_| ApiError::Overloaded("limits.max_media_requests is reached"))?)
        }
    };
    let (response, outcome) = match route {
        Route::Download(wanted) => handlers::download::download(&context, &wanted.media, parts.headers, target).await?,
        Route::Upload => handlers::upload::upload(&context, parts, target, incoming).await?,
        Route::Scanner(route) => handlers::scanner::handle(&context, parts, route, incoming).await?,
        Route::Passthrough => handlers::passthrough::pass(&context, parts, target, incoming).await?,
        Route::Preflight => (respond::preflight(Surface::of(target.path())), "preflight"),
        Route::Federation => return Err(ApiError::Federation),
        Route::Unrecognized => return Err(ApiError::Unrecognized),
        Route::WrongMethod => return Err(ApiError::WrongMethod),
    };
    Ok((response.map(|body| body::holding(body, place)), outcome))
}

/// The target exactly as it was sent, if it is a path on the one host that the request names. What is classified here is
/// what is forwarded, so forms that others could read differently are refused.
fn origin_form(parts: &Parts) -> Result<PathAndQuery, ApiError> {
    let is_h2 = parts.version == Version::HTTP_2;
    if !is_h2 && (parts.uri.scheme().is_some() || parts.uri.authority().is_some()) {
        return Err(ApiError::BadRequest("The request target must be a path"));
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || (host.is_none() && parts.version == Version::HTTP_11) || contradicts(host, &parts.uri)
    {
        return Err(ApiError::BadRequest("The request must name exactly one host"));
    }
    if parts.headers.get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(ApiError::BadRequest("The request must have one length"));
    }
    let target = parts.uri.path_and_query().filter(|target| target.as_str().starts_with('/'));
    target.cloned().ok_or(ApiError::BadRequest("The request target must be a path"))
}

fn contradicts(host: Option<&http::HeaderValue>, uri: &Uri) -> bool {
    let (Some(host), Some(authority)) = (host, uri.authority()) else { return false };
    !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
}

/// Makes the headers those of a request of our own on behalf of the client.
fn prepare(context: &Context, peer: IpAddr, parts: &mut Parts) {
    let trusted = &context.trusted.0;
    let client = Client::of(peer, &parts.headers, trusted);
    let from_trusted_peer = trusted.iter().any(|net| net.contains(&peer.to_canonical()));
    strip_hop_by_hop(&mut parts.headers);
    set_forwarded(&mut parts.headers, &client, from_trusted_peer);
    set_host(&mut parts.headers, parts.uri.authority());
}
