//! From a clean request to its handler, with a place among the others.

use std::{net::IpAddr, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use http::{
    Request,
    header::{EXPECT, HeaderName},
    request::Parts,
    uri::PathAndQuery,
};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    Context,
    error::ApiError,
    handlers::{
        self, Handled,
        download::Read,
        upload::{AwaitsContinue, read_off},
    },
    hygiene, respond,
    route::Route,
    surface::Surface,
};
use crate::{
    body,
    upstream::headers::{Client, set_forwarded, set_host, strip_hop_by_hop},
};

/// Time for what a client sends although there is no place for it.
const WITHOUT_A_PLACE: Duration = Duration::from_secs(5);

/// Whom a connection comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) address: IpAddr,
    /// `http` or `https`, as the connection is.
    pub(super) scheme: &'static str,
}

/// Answers a request, and keeps its place among the others until the answer was sent.
pub(super) async fn dispatch(context: &Context, peer: Peer, request: Request<Incoming>, route: Route) -> Handled {
    let (mut parts, incoming) = request.into_parts();
    let target = hygiene::origin_form(&parts)?;
    let client = prepare(context, peer, &mut parts);
    let place = match route.is_inspected() {
        false => None,
        true => match context.bounds.places.take(client, &parts.headers, &parts.uri) {
            Ok(place) => Some(place),
            Err(error) => {
                read_off(&parts, incoming, WITHOUT_A_PLACE).await;
                return Err(error);
            }
        },
    };
    let (response, outcome) = handle(context, parts, target, incoming, route).await?;
    Ok((response.map(|body| body::holding(body, place)), outcome))
}

/// The handlers' futures are boxed, since each request would move the largest of them about.
async fn handle(context: &Context, parts: Parts, target: PathAndQuery, incoming: Incoming, route: Route) -> Handled {
    let (of_homeserver, name) = (route.is_of_homeserver(target.query()), route.name());
    match route {
        Route::Download(wanted) => {
            let read = Read { wanted, method: parts.method, headers: parts.headers, target, route: name };
            let answering = handlers::download::download(context, read).boxed();
            if of_homeserver { in_time(context, answering).await } else { answering.await }
        }
        Route::Federation(_) => {
            in_time(context, handlers::federation::federation(context, parts.headers, target, name).boxed()).await
        }
        Route::Upload => handlers::upload::upload(context, parts, target, incoming, name).boxed().await,
        Route::Scanner(route) => handlers::scanner::handle(context, parts, (route, name), incoming).boxed().await,
        Route::Create => handlers::metadata::create(context, parts, target, incoming).boxed().await,
        Route::MediaConfig => handlers::metadata::config(context, parts, target).boxed().await,
        Route::Passthrough => handlers::passthrough::pass(context, parts, target, incoming).boxed().await,
        Route::Preflight => Ok((respond::preflight(Surface::of(target.path())), "preflight")),
        Route::Moved(path) => Ok((respond::moved(&path, target.query()).ok_or(ApiError::Unrecognized)?, "moved")),
        Route::Closed => Err(ApiError::Closed),
        Route::Unrecognized => Err(ApiError::Unrecognized),
        Route::WrongMethod => Err(ApiError::WrongMethod),
    }
}

/// Answers within the time that another homeserver waits.
async fn in_time(context: &Context, answering: BoxFuture<'_, Handled>) -> Handled {
    timeout(context.native.federation_timeout, answering).await.unwrap_or(Err(ApiError::Late))
}

/// Headers by which some servers take a request for another one.
const REWRITERS: [HeaderName; 4] = [
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
];

/// Makes the headers those of a request of our own on behalf of the client, whose address is given.
fn prepare(context: &Context, peer: Peer, parts: &mut Parts) -> IpAddr {
    let trusted = &context.trusted.0;
    let client = Client::of(peer.address, peer.scheme, &parts.headers, trusted);
    for name in REWRITERS {
        parts.headers.remove(name);
    }
    if parts.headers.contains_key(EXPECT) {
        parts.extensions.insert(AwaitsContinue);
    }
    let from_trusted_peer = trusted.iter().any(|net| net.contains(&peer.address.to_canonical()));
    strip_hop_by_hop(&mut parts.headers);
    set_forwarded(&mut parts.headers, &client, from_trusted_peer);
    set_host(&mut parts.headers, parts.uri.authority());
    client.address
}
