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
    error::{Languages, Style},
    hygiene,
    metrics::InFlight,
    native::RefusalStyle,
    route::Route,
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
    let route = context.classify(request.method(), request.uri().path());
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
    let style = Style {
        languages: Languages::of(request.headers()),
        refusal: refusal_style(&route, context.native.refusal),
        compat: context.compat.answers,
    };
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
                (error.into_response(surface, &style), outcome)
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
        Delivery { is_http2: true, is_medium, stall, .. } => body::leased(body, *stall, H2_PIECE, *is_medium),
        Delivery { is_medium: true, stall, .. } if !is_little(&body) => body::leased(body, *stall, H1_PIECE, true),
        _ => body,
    }
}

/// Bytes of a body that an HTTP/2 stream is given at a time. Who takes longer than the lease for these few is not slow.
const H2_PIECE: usize = 16 * 1024;

/// Bytes of a body that an HTTP/1 connection is given at a time. What it was given leaves our budgets and lets go of its
/// place before it is sent.
const H1_PIECE: usize = 64 * 1024;

/// Little enough to leave to the connection.
fn is_little(body: &Body) -> bool {
    body.size_hint().exact().is_some_and(|bytes| bytes <= 2 * H1_PIECE as u64)
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

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::http::activity::Activity;

    /// hyper lets go of a body with its last frame, however much of that is still to be sent.
    #[tokio::test]
    async fn a_medium_leaves_in_pieces_that_keep_what_it_holds_until_the_last() {
        for is_http2 in [false, true] {
            let held = Arc::new(());
            let body = body::holding(body::full(vec![1; 1 << 20]), Arc::clone(&held));
            let stall = Duration::from_secs(30);
            let delivery = Delivery { is_head: false, is_http2, is_medium: true, stall };
            let mut body = deliver(body, &delivery, Activity::new().begin());
            let mut left = 1 << 20;
            while let Some(frame) = body.frame().await {
                let piece = frame.unwrap().into_data().unwrap().len();
                assert!(piece <= 64 * 1024 && Arc::strong_count(&held) == 2, "{piece} with {left} left");
                left -= piece;
            }
            assert_eq!(left, 0);
        }
    }
}
