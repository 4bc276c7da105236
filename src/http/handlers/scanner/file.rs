//! A file that its sender wants to know about before it is uploaded anywhere.

use std::sync::Arc;

use http::{header::CONTENT_TYPE, request::Parts};
use hyper::body::Incoming;

use super::{
    fetch::admit,
    form::{MAX_AROUND, receive},
};
use crate::{
    facts::{Direction, Occasion},
    http::{
        Context,
        error::ApiError,
        handlers::{fetch::declared_length, inspect_spool, reader, upload::read_off},
    },
    inspect::Way,
};

/// Scans the file in a form. It costs scans, and the homeserver is asked for no medium: so it is asked who the caller is.
pub(super) async fn scan(
    context: &Context,
    parts: &Parts,
    mut incoming: Incoming,
    route: &'static str,
) -> Result<(), ApiError> {
    let received = async {
        let boundary = check(context, parts)?;
        let user = admit(context, &parts.headers).await?;
        let form = receive(context, &mut incoming, boundary, declared_length(&parts.headers)).await?;
        Ok((form, user))
    };
    let (form, user) = match received.await {
        Ok(received) => received,
        Err(error) => {
            read_off(parts, incoming, context.bounds.stall).await;
            return Err(error);
        }
    };
    context.metrics.taken_in("upload").inc_by(form.file.len());
    let reader = reader::client(context, &parts.headers, None);
    let way = form.key.as_ref().map_or(Way::Upload(Some(reader)), |key| Way::Keyed(key, reader));
    let occasion = Occasion { user, declared: form.declared, ..Occasion::new(Direction::Scan, route) };
    inspect_spool(context, None, &Arc::new(form.file), way, &Arc::new(occasion)).await?;
    Ok(())
}

/// The boundary of the form, if its head is that of one that can be taken.
fn check(context: &Context, parts: &Parts) -> Result<String, ApiError> {
    let most = context.bounds.max_media_bytes.saturating_add(MAX_AROUND);
    if declared_length(&parts.headers).is_some_and(|length| length > most) {
        return Err(ApiError::FormTooLarge);
    }
    let mut kinds = parts.headers.get_all(CONTENT_TYPE).iter();
    let kind = kinds.next().filter(|_| kinds.next().is_none()).and_then(|kind| kind.to_str().ok());
    let boundary = kind.and_then(|kind| multer::parse_boundary(kind).ok());
    // RFC 2046 §5.1.1.
    let boundary = boundary.filter(|boundary| (1..=70).contains(&boundary.len()));
    boundary.ok_or(ApiError::MalformedForm("Not multipart/form-data"))
}
