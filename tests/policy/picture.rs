//! A picture, and a rule against it.

use crate::harness::{App, Homeserver, PNG, Stored, scans};

/// Refuses pictures.
pub(super) const NO_PICTURES: &str = "version: 1
rules:
  - id: no-pictures
    match: {type: image/png}
    action: block
";

/// Nothing to say.
pub(super) const NOTHING: &str = "version: 1
rules: []
";

pub(super) const PICTURE: &str = "/_matrix/client/v1/media/download/hs.test/picture";

/// What the homeserver has: a picture.
pub(super) fn put_picture(homeserver: &Homeserver) {
    homeserver.put_media("picture", &Stored::media(PNG));
}

/// The status of a request for the picture.
pub(super) async fn picture(app: &App) -> u16 {
    app.get(PICTURE).await.status.as_u16()
}

/// All scans so far.
pub(super) async fn scanned(app: &App) -> u64 {
    let (clean, infected) = scans(app).await;
    clean + infected
}
