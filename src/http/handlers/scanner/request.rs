//! Bodies of the encrypted routes: an attachment, in clear or in an envelope.

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use super::hold::or_hold;
use crate::{
    body,
    crypto::{
        attachment::{Attachment, AttachmentError, AttachmentKey, EncryptedFile},
        envelope::EnvelopeKeys,
    },
    http::{Context, error::ApiError},
    json,
    limits::Charge,
};

/// Longest body, in bytes: what the Matrix Content Scanner takes.
const MAX_BODY: usize = 1024 * 1024;

/// Far above any attachment's description, in bytes. What is longer is paid for by the memory budget.
const MAX_UNPAID: usize = 64 * 1024;

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
    let (mut incoming, stall) = (incoming, context.bounds.stall);
    let received = timeout(stall, receive(&mut incoming, context.spooler.charge())).await;
    let (body, _paid) = match received.map_err(|_| ApiError::RequestStalled)? {
        Err(error @ ApiError::JsonTooLarge) => {
            // Who still sends would not read the answer.
            body::discard(incoming, stall).await;
            return Err(error);
        }
        received => received?,
    };
    let arrived = Instant::now();
    described(context, &members(&body)?, arrived)
        .await
        .unwrap_or_else(|| Err(ApiError::MalformedJson("either `file` or `encrypted_body` is required".to_owned())))
}

/// Reads the key that a form has beside the file: as other requests do, or for itself alone. The file need not have an
/// address yet.
pub(super) async fn read_key(context: &Context, text: &[u8]) -> Result<AttachmentKey, ApiError> {
    let arrived = Instant::now();
    described(context, &members(text)?, arrived)
        .await
        .unwrap_or_else(|| AttachmentKey::try_from(parse::<EncryptedFile>(text)?).map_err(explain))
}

async fn receive(body: &mut Incoming, mut charge: Charge) -> Result<(BytesMut, Charge), ApiError> {
    let (mut text, mut is_paid) = (BytesMut::new(), false);
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|_| ApiError::RequestBroken)?.into_data() else { continue };
        let len = text.len() + bytes.len();
        if len > MAX_BODY {
            return Err(ApiError::JsonTooLarge);
        }
        if len > MAX_UNPAID && !std::mem::replace(&mut is_paid, true) && !charge.grow(MAX_BODY as u64) {
            return Err(ApiError::Overloaded("no memory for a large body"));
        }
        text.extend_from_slice(&bytes);
    }
    Ok((text, charge))
}

fn members(text: &[u8]) -> Result<Request<'_>, ApiError> {
    std::str::from_utf8(text).map_err(|_| ApiError::NotUtf8)?;
    parse(text)
}

/// The attachment, or the key, that either member describes; `None` if there is neither.
async fn described<T>(context: &Context, request: &Request<'_>, arrived: Instant) -> Option<Result<T, ApiError>>
where
    T: TryFrom<EncryptedFile, Error = AttachmentError>,
{
    match (request.encrypted_body, request.file) {
        (Some(sealed), _) => Some(open(&context.envelope, sealed, arrived).await),
        (None, Some(file)) => {
            Some(parse(file.get().as_bytes()).and_then(|file: EncryptedFile| T::try_from(file).map_err(explain)))
        }
        (None, None) => None,
    }
}

/// Every way to fail looks the same, in its time, too, down to a schema that came out of the envelope.
async fn open<T: TryFrom<EncryptedFile>>(
    keys: &EnvelopeKeys,
    sealed: &RawValue,
    arrived: Instant,
) -> Result<T, ApiError> {
    or_hold(unseal(keys, sealed), arrived).await.ok_or(ApiError::BadEnvelope)
}

fn unseal<T: TryFrom<EncryptedFile>>(keys: &EnvelopeKeys, sealed: &RawValue) -> Option<T> {
    let plaintext = keys.open(&json::object(sealed.get().as_bytes()).ok()?).ok()?;
    let request: Request<'_> = json::object(&plaintext).ok()?;
    let file: EncryptedFile = json::object(request.file?.get().as_bytes()).ok()?;
    T::try_from(file).ok()
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

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde_json::{Value, json, value::to_raw_value};
    use vodozemac::{
        Curve25519PublicKey,
        pk_encryption::{Message, PkDecryption, PkEncryption},
    };

    use super::*;
    use crate::crypto::envelope;

    fn member(message: &Message) -> Value {
        let [ciphertext, mac] = [&message.ciphertext, &message.mac].map(|bytes| BASE64_STANDARD.encode(bytes));
        json!({"ciphertext": ciphertext, "mac": mac, "ephemeral": message.ephemeral_key.to_base64()})
    }

    fn seal(key: Curve25519PublicKey, text: &str) -> Message {
        PkEncryption::from_key(key).encrypt(text.as_bytes()).unwrap()
    }

    /// One envelope for each stage at which opening can fail, the last of them opens.
    fn envelopes(key: Curve25519PublicKey) -> Vec<Value> {
        let file = |url: &str, k: &str| {
            let key = json!({"kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"], "k": k});
            let hashes = json!({"sha256": "A".repeat(43)});
            json!({"file": {"v": "v2", "url": url, "key": key, "iv": "A".repeat(22), "hashes": hashes}}).to_string()
        };
        let (good, k) = ("mxc://hs.test/m", "A".repeat(43));
        let mut bad_padding = seal(key, &file(good, &k));
        bad_padding.ciphertext.truncate(16);
        let mut bad_mac = seal(key, "{}");
        bad_mac.mac[0] ^= 1;
        let mut rows = vec![json!(7), json!({}), json!({"ciphertext": "!", "mac": "!", "ephemeral": "!"})];
        rows.extend([bad_padding, bad_mac, seal(PkDecryption::new().public_key(), "{}")].iter().map(member));
        let texts = ["x", "{}", r#"{"file":{}}"#, &file("mxc://../m", &k), &file(good, "AAAA"), &file(good, &k)];
        rows.extend(texts.map(|text| member(&seal(key, text))));
        rows
    }

    #[tokio::test(start_paused = true)]
    async fn every_failure_is_told_at_the_same_time() {
        let dir = tempfile::tempdir().unwrap();
        let config = envelope::Config { request_secret_path: dir.path().join("secret"), ..Default::default() };
        let keys = EnvelopeKeys::load_or_create(&config).unwrap();
        let mut envelopes = envelopes(Curve25519PublicKey::from_base64(&keys.public_key()).unwrap());
        let good = to_raw_value(&envelopes.pop().unwrap()).unwrap();
        let arrived = Instant::now();
        assert!(open::<Attachment>(&keys, &good, arrived).await.is_ok());
        assert!(arrived.elapsed().is_zero(), "nobody waits for what opens");
        for bad in envelopes {
            let (sealed, arrived) = (to_raw_value(&bad).unwrap(), Instant::now());
            let failure = open::<Attachment>(&keys, &sealed, arrived).await.unwrap_err();
            assert!(matches!(failure, ApiError::BadEnvelope), "{bad}: {failure}");
            assert_eq!(arrived.elapsed().as_micros(), 25_000, "{bad}");
        }
    }
}
