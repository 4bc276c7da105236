//! One request from head to head: route, hygiene, dispatch, outcome, delivery.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Method, Request, Response, Version};
use hyper::body::{Body as _, Incoming};
use tracing::Instrument;
use ulid::Ulid;

use super::{
    Context,
    activity::Busy,
    dispatch::{Peer, dispatch},
    hygiene,
    metrics::InFlight,
    native::RefusalStyle,
    route::{self, Route},
    surface::Surface,
    watch::Head,
};
use crate::body::{self, Body};

/// Answers one request. `head` is its raw head, if it came over HTTP/1 and was seen.
pub(super) async fn answer(
    context: Arc<Context>,
    peer: Peer,
    busy: Busy,
    head: Option<Head>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let route = route::classify(&context.native, request.method(), request.uri().path());
    let span = tracing::info_span!("request", id = %Ulid::generate(), route = route.name());
    let delivery = Delivery {
        is_head: request.method() == Method::HEAD,
        is_http2: request.version() == Version::HTTP_2,
        is_medium: route.is_inspected(),
        stall: context.bounds.stall,
    };
    let surface = match route.is_of_homeserver(request.uri().query()) {
        true => Surface::Federation,
        false => Surface::of(request.uri().path()),
    };
    let style = refusal_style(&route, context.native.refusal);
    let answering = async {
        let mut in_flight = context.metrics.begin(route.name());
        let handled = match hygiene::check(&request, &route, head.as_ref()) {
            Ok(()) => dispatch(&context, peer, request, route).await,
            Err(error) => Err(error),
        };
        let (response, outcome) = match handled {
            Ok(handled) => handled,
            Err(error) => {
                let outcome = error.outcome();
                (error.into_response(surface, style), outcome)
            }
        };
        let response = response.map(|body| deliver(body, &delivery, busy));
        in_flight.outcome = outcome;
        log(&in_flight, &response, delivery.is_medium);
        Ok(response)
    };
    answering.instrument(span).await
}

/// How an answer goes out.
struct Delivery {
    is_head: bool,
    is_http2: bool,
    is_medium: bool,
    stall: Duration,
}

/// The body as it is sent, keeping the connection busy until its end.
fn deliver(body: Body, delivery: &Delivery, busy: Busy) -> Body {
    // HTTP/2 would send it; and what we say of a refusal is a body like any other.
    let body = body::holding(if delivery.is_head { body::empty() } else { body }, busy);
    match delivery {
        Delivery { is_http2: true, stall, .. } => body::leased(body, *stall, body::SMALL_PIECE),
        Delivery { is_medium: true, stall, .. } if !fits_a_socket(&body) => body::leased(body, *stall, usize::MAX),
        _ => body,
    }
}

/// True if the kernel takes a whole body at once, so that it is nobody's to hold open.
fn fits_a_socket(body: &Body) -> bool {
    body.size_hint().exact().is_some_and(|bytes| bytes <= 128 * 1024)
}

fn log(in_flight: &InFlight<'_>, response: &Response<Body>, inspected: bool) {
    let (status, outcome, ms) = (response.status().as_u16(), in_flight.outcome, in_flight.begun.elapsed().as_millis());
    if inspected {
        tracing::info!(status, outcome, ms, "answered");
    } else {
        tracing::debug!(status, outcome, ms, "answered");
    }
}

/// A file that was refused before it was stored is not one that cannot be found.
fn refusal_style(route: &Route, style: RefusalStyle) -> RefusalStyle {
    match (route, style) {
        (Route::Upload, RefusalStyle::NotFound) => RefusalStyle::Forbidden,
        _ => style,
    }
}
