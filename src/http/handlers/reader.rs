//! Who is given a medium, as it is kept.

use http::HeaderMap;

use crate::{
    cache::key::Reader,
    http::{
        Context,
        credential::{origin, token},
    },
};

/// A client, by its access token.
pub(super) fn client(context: &Context, headers: &HeaderMap, query: Option<&str>) -> Reader {
    context.inspector.reader(token(headers, query))
}

/// A homeserver, by its name.
pub(super) fn server(context: &Context, headers: &HeaderMap) -> Reader {
    context.inspector.reader(origin(headers))
}
