//! Forms with a file (`multipart/form-data`, RFC 7578), taken in as they come.
//!
//! A file that is sent here in clear may be encrypted afterwards, so it must touch no disk. Only with its key before it is
//! it known to be ciphertext.

mod pieces;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::header::{CONTENT_ENCODING, HeaderName};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use multer::{Field, Multipart};
use tokio::time::timeout;

pub(super) use self::pieces::MAX_AROUND;
use self::pieces::Pieces;
use super::request::read_key;
use crate::{
    body::{self, BoxError, ReceiveError},
    crypto::attachment::AttachmentKey,
    facts::Declared,
    http::{Context, error::ApiError, occasion},
    spool::{Spool, SpoolError},
};

/// Says how the content of a part is encoded; nobody does so any more.
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// A file, and what opens it if it is encrypted.
pub(super) struct Form {
    pub file: Spool,
    pub key: Option<AttachmentKey>,
    /// What the form calls the file.
    pub declared: Declared,
}

/// Takes in a form whose body is declared to have so many bytes. Of its parts, which come in any order, `body` is the file,
/// and `file` says what the request bodies of other routes say; others are skipped.
pub(super) async fn receive(
    context: &Context,
    body: &mut Incoming,
    boundary: String,
    declared: Option<u64>,
) -> Result<Form, ApiError> {
    let stall = context.bounds.stall;
    let delivered = Arc::new(AtomicU64::new(0));
    let mut form = Multipart::new(Pieces::new(body, Arc::clone(&delivered), stall), boundary);
    let (mut file, mut key, mut called) = (None, None, Declared::default());
    while let Some(part) =
        timeout(stall, form.next_field()).await.map_err(|_| ApiError::RequestStalled)?.map_err(unusable)?
    {
        match part.name() {
            Some("body") if file.is_none() => {
                called = declared_by(&part);
                file = Some(take_in(context, part, &delivered, key.is_some(), declared).await?);
            }
            Some("file") if key.is_none() => {
                let text =
                    timeout(stall, part.bytes()).await.map_err(|_| ApiError::RequestStalled)?.map_err(unusable)?;
                key = Some(read_key(context, &text).await?);
            }
            Some("body" | "file") => return Err(ApiError::MalformedForm("A part is given twice")),
            _ => (),
        }
    }
    let file = file.ok_or(ApiError::MalformedForm("No part is called `body`"))?;
    Ok(Form { file, key, declared: called })
}

/// What the head of a part says. Its name is taken as the parser has it, which is also how it finds the part.
fn declared_by(part: &Field<'_>) -> Declared {
    let head = occasion::declared(part.headers());
    Declared { name: head.name.or_else(|| part.file_name().and_then(occasion::file_name)), ..head }
}

async fn take_in(
    context: &Context,
    part: Field<'_>,
    delivered: &AtomicU64,
    is_ciphertext: bool,
    declared: Option<u64>,
) -> Result<Spool, ApiError> {
    let is_encoded = |name| part.headers().get_all(name).iter().any(|encoding| !is_none(encoding.as_bytes()));
    if is_encoded(CONTENT_ENCODING) || is_encoded(TRANSFER_ENCODING) {
        return Err(ApiError::MalformedForm("The file must not be encoded"));
    }
    let (max, spooler) = (context.bounds.max_media_bytes, &context.spooler);
    let filling = if is_ciphertext { spooler.begin(max, declared) } else { spooler.begin_in_memory(max, declared) };
    let count = |bytes: &Bytes| _ = delivered.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    let bytes = StreamBody::new(part.inspect_ok(count).map_ok(Frame::data).map_err(BoxError::from));
    body::receive(bytes, filling, context.bounds.stall).await.map_err(|error| match error {
        ReceiveError::Broken(error) => error.downcast().map_or(ApiError::RequestBroken, |error| unusable(*error)),
        ReceiveError::Spool(SpoolError::TooLarge) => ApiError::FormTooLarge,
        error => ApiError::from_request(error),
    })
}

/// True for the encodings that are none.
fn is_none(encoding: &[u8]) -> bool {
    [&b"binary"[..], b"8bit", b"7bit", b"identity"].iter().any(|none| encoding.eq_ignore_ascii_case(none))
}

/// What the parser says quotes the form; it is told where nobody else reads it.
fn unusable(error: multer::Error) -> ApiError {
    match error {
        multer::Error::StreamReadFailed(error) => {
            error.downcast().map_or(ApiError::RequestBroken, |error: Box<pieces::Refused>| (*error).into())
        }
        _ => ApiError::MalformedForm("Not a well-formed form"),
    }
}
