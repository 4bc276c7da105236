//! Bodies of the encrypted routes: an attachment, in clear or in an envelope.

use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    body,
    crypto::attachment::{Attachment, AttachmentError, EncryptedFile},
    http::{Context, error::ApiError},
    json,
};

/// Far above any attachment's description, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The members are read one at a time: the envelope wins, and then it does not matter what `file` is.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    file: Option<&'a RawValue>,
    #[serde(borrow)]
    encrypted_body: Option<&'a RawValue>,
}

/// Reads the attachment that a request describes.
pub(super) async fn read(context: &Context, incoming: Incoming) -> Result<Attachment, ApiError> {
    let body =
        body::small(body::incoming(incoming), MAX_BODY, context.bounds.stall).await.map_err(|error| match error {
            body::SmallError::TooLarge => ApiError::JsonTooLarge,
            body::SmallError::Stalled => ApiError::RequestStalled,
            body::SmallError::Broken => ApiError::RequestBroken,
        })?;
    let request: Request<'_> = parse(&body)?;
    match (request.encrypted_body, request.file) {
        // Every way to fail looks the same from here on, down to a schema that came out of the envelope.
        (Some(sealed), _) => unseal(context, sealed).ok_or(ApiError::BadEnvelope),
        (None, Some(file)) => Attachment::try_from(parse::<EncryptedFile>(file.get().as_bytes())?).map_err(explain),
        (None, None) => Err(ApiError::MalformedJson("either `file` or `encrypted_body` is required".to_owned())),
    }
}

fn unseal(context: &Context, sealed: &RawValue) -> Option<Attachment> {
    let plaintext = context.envelope.open(&json::object(sealed.get().as_bytes()).ok()?).ok()?;
    let request: Request<'_> = json::object(&plaintext).ok()?;
    let file: EncryptedFile = json::object(request.file?.get().as_bytes()).ok()?;
    Attachment::try_from(file).ok()
}

/// What serde says of types and missing members quotes values, which may be a key; only where and what kind is told.
fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, ApiError> {
    json::object(text).map_err(|error| {
        let what = if error.is_data() { "not an object with the members it must have" } else { "not JSON" };
        ApiError::MalformedJson(format!("{what} (line {} column {})", error.line(), error.column()))
    })
}

fn explain(error: AttachmentError) -> ApiError {
    match error {
        AttachmentError::Schema(_) => ApiError::MalformedJson(error.to_string()),
        AttachmentError::Media(_) => ApiError::MalformedMedia,
        AttachmentError::Material => ApiError::Decrypt("The key, the IV or the hash is malformed"),
    }
}
