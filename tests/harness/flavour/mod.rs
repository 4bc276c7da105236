//! Homeservers as they differ: which routes they have, and what they say there.

mod quirks;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use http::Method;

use self::quirks::json;
use super::{Homeserver, Seen, Stored};

/// A kind of homeserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Synapse,
    Dendrite,
    /// Also what conduwuit does where nothing else is said.
    Tuwunel,
    /// matrix-media-repo, which only serves media.
    Mmr,
}

/// All of them.
pub const FLAVOURS: [Flavour; 4] = [Flavour::Synapse, Flavour::Dendrite, Flavour::Tuwunel, Flavour::Mmr];

/// A medium, and where it is.
#[derive(Clone, Debug)]
pub enum Medium {
    /// Here: its bytes and its content type.
    Stored(Vec<u8>, String),
    /// On a CDN. Only matrix-media-repo has such.
    Elsewhere(String),
    /// Announced, and not uploaded yet.
    Awaited,
}

/// Media of `hs.test` by their ids.
type Media = Arc<Mutex<HashMap<String, Medium>>>;

/// A running imitation of a homeserver called `hs.test`.
pub struct Imitation {
    pub homeserver: Homeserver,
    media: Media,
}

impl Imitation {
    pub async fn start(flavour: Flavour) -> Self {
        let (homeserver, media) = (Homeserver::start().await, Media::default());
        let known = Arc::clone(&media);
        homeserver.respond_with(move |seen| Some(flavour.answer(seen, &known)));
        Self { homeserver, media }
    }

    /// Has a medium as `mxc://hs.test/{id}`.
    pub fn put(&self, id: &str, bytes: &[u8], kind: &str) {
        self.put_medium(id, Medium::Stored(bytes.to_vec(), kind.to_owned()));
    }

    pub fn put_medium(&self, id: &str, medium: Medium) {
        self.media.lock().unwrap().insert(id.to_owned(), medium);
    }

    /// The bytes of a medium, if it has them.
    pub fn bytes(&self, id: &str) -> Option<Vec<u8>> {
        match self.media.lock().unwrap().get(id) {
            Some(Medium::Stored(bytes, _)) => Some(bytes.clone()),
            _ => None,
        }
    }
}

impl Flavour {
    /// Answers like this homeserver.
    fn answer(self, seen: &Seen, media: &Media) -> Stored {
        let path = seen.target.split('?').next().unwrap_or_default();
        let is_known = seen.header("authorization") == Some("Bearer token");
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match segments.as_slice() {
            // It is refused for want of a token, before it has done anything.
            _ if matches!(&seen.method, &Method::POST | &Method::PUT) && !is_known => json("{}"),
            ["_matrix", "client", "v1", "media", "config"] => self.limit(),
            ["_matrix", "client", "v1", "media", kind @ ("download" | "thumbnail"), "hs.test", id, ..] => {
                self.read(seen, media, kind, id)
            }
            ["_matrix", "federation", "v1", "media", "download" | "thumbnail", id] => self.federation(media, id),
            ["_matrix", "media", "v1", "create"] if self.has_async_uploads() => Self::create(media),
            ["_matrix", "media", "v3", "upload", "hs.test", id] if self.has_async_uploads() => {
                self.fill(seen, media, id)
            }
            ["_matrix", "media", "v3" | "r0" | "v1", rest @ ..] => self.legacy(seen, media, rest),
            ["_matrix", "client", "v3", "account", "whoami"] if self != Self::Mmr => {
                json(r#"{"user_id":"@alice:hs.test"}"#)
            }
            _ => self.error(404, "M_UNRECOGNIZED", "Unrecognized request"),
        }
    }

    fn legacy(self, seen: &Seen, media: &Media, rest: &[&str]) -> Stored {
        match rest {
            ["config"] => self.limit(),
            ["upload"] => self.upload(seen, media),
            ["download" | "thumbnail", "hs.test", id, ..] => self.read_legacy(media, rest[0], id),
            _ => self.error(404, "M_UNRECOGNIZED", "Unrecognized request"),
        }
    }

    fn read(self, seen: &Seen, media: &Media, kind: &str, id: &str) -> Stored {
        if seen.method == "HEAD" && !self.knows_head() {
            return self.error(405, "M_UNRECOGNIZED", "Method not allowed");
        }
        match media.lock().unwrap().get(id) {
            Some(Medium::Stored(bytes, content_type)) => self.medium(seen, bytes, content_type, kind == "thumbnail"),
            Some(Medium::Elsewhere(url)) => self.error(307, "M_UNKNOWN", "Elsewhere").header("location", url),
            Some(Medium::Awaited) => self.error(504, "M_NOT_YET_UPLOADED", "Media has not been uploaded yet"),
            None => self.error(404, "M_NOT_FOUND", "Not found"),
        }
    }

    fn federation(self, media: &Media, id: &str) -> Stored {
        match media.lock().unwrap().get(id) {
            Some(Medium::Stored(bytes, content_type)) => self.multipart(bytes, content_type),
            Some(Medium::Elsewhere(url)) => self.multipart_elsewhere(url),
            Some(Medium::Awaited) | None => self.error(404, "M_NOT_FOUND", "Not found"),
        }
    }

    fn upload(self, seen: &Seen, media: &Media) -> Stored {
        if !self.takes_chunks() && seen.header("content-length").is_none() {
            return self.error(400, "M_UNKNOWN", "Request must specify a Content-Length");
        }
        let mut media = media.lock().unwrap();
        let id = format!("uploaded{}", media.len());
        media.insert(id.clone(), medium_of(seen));
        json(&format!(r#"{{"content_uri":"mxc://hs.test/{id}"}}"#))
    }

    fn create(media: &Media) -> Stored {
        media.lock().unwrap().insert("created".to_owned(), Medium::Awaited);
        json(
            r#"{"content_uri":"mxc://hs.test/created","unused_expires_at":1800000000000,"com.beeper.msc3870.upload_url":"https://cdn.test/put"}"#,
        )
    }

    fn fill(self, seen: &Seen, media: &Media, id: &str) -> Stored {
        let mut media = media.lock().unwrap();
        match media.get(id) {
            Some(Medium::Awaited) => {
                media.insert(id.to_owned(), medium_of(seen));
                json("{}")
            }
            Some(_) => self.error(409, "M_CANNOT_OVERWRITE_MEDIA", "Media ID already has content"),
            None => self.error(404, "M_NOT_FOUND", "Unknown media ID"),
        }
    }

    fn limit(self) -> Stored {
        json(&format!(r#"{{"m.upload.size":{}}}"#, self.largest_upload()))
    }
}

fn medium_of(seen: &Seen) -> Medium {
    let content_type = seen.header("content-type").unwrap_or("application/octet-stream");
    Medium::Stored(seen.body.to_vec(), content_type.to_owned())
}
