//! Which request is what: pure, on the raw path, before anything is decoded or rewritten.
//!
//! A path is read twice. The *strict view* matches the raw bytes against the grammar of media routes; what matches is
//! inspected, and what is inside a media prefix without matching is refused. The *loose view* asks whether any router
//! that decodes, merges slashes, resolves dots or ignores case could take the path for a media route; if so it is
//! refused too. Only what is media in neither view is passed through, and always exactly as it came.

use std::borrow::Cow;

use http::Method;

use crate::media::{MalformedMedia, MediaRef};

/// What a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Media to inspect on its way to the client, from a native route.
    Download(Download),
    /// Media to inspect on its way to the homeserver, from a native route.
    Upload,
    /// A route of the scanner API.
    Scanner(Scanner),
    /// A preflight request below a media prefix, whatever it is for.
    Preflight,
    /// Not media.
    Passthrough,
    /// Federation media, which is not served.
    Federation,
    /// Looks like media and is no route.
    Unrecognized,
    /// A route with another method.
    WrongMethod,
}

/// A native read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// What is asked for.
    pub media: MediaRef,
    /// The medium itself or a thumbnail of it.
    pub kind: Kind,
}

/// The medium itself or a thumbnail of it, which may be the medium itself all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/download`.
    Full,
    /// `/thumbnail`.
    Thumbnail,
}

/// A route below `/_matrix/media_proxy/unstable`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanner {
    /// `GET /public_key`.
    PublicKey,
    /// `GET /scan/{server}/{media}`.
    Scan(Result<MediaRef, MalformedMedia>),
    /// `GET /download/{server}/{media}`.
    Download(Result<MediaRef, MalformedMedia>),
    /// `GET /thumbnail/{server}/{media}`.
    Thumbnail(Result<MediaRef, MalformedMedia>),
    /// `POST /scan_encrypted`.
    ScanEncrypted,
    /// `POST /download_encrypted`.
    DownloadEncrypted,
}

impl Route {
    /// The route's name in metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Download(Download { kind: Kind::Full, .. }) => "download",
            Self::Download(Download { kind: Kind::Thumbnail, .. }) => "thumbnail",
            Self::Upload => "upload",
            Self::Scanner(scanner) => match scanner {
                Scanner::PublicKey => "scanner_public_key",
                Scanner::Scan(_) => "scanner_scan",
                Scanner::Download(_) => "scanner_download",
                Scanner::Thumbnail(_) => "scanner_thumbnail",
                Scanner::ScanEncrypted => "scanner_scan_encrypted",
                Scanner::DownloadEncrypted => "scanner_download_encrypted",
            },
            Self::Preflight => "preflight",
            Self::Passthrough => "passthrough",
            Self::Federation => "federation",
            Self::Unrecognized | Self::WrongMethod => "refused",
        }
    }

    /// True for what takes a place among the requests that are inspected.
    pub fn is_inspected(&self) -> bool {
        !matches!(self, Self::Preflight | Self::Passthrough | Self::Federation | Self::Unrecognized | Self::WrongMethod)
    }
}

/// Classifies a request by its method and raw path (up to the first `?`).
pub fn classify(method: &Method, path: &str) -> Route {
    let Some(found) = strict(path) else {
        return if is_media_like(path) { Route::Unrecognized } else { Route::Passthrough };
    };
    match found {
        Found::Route(route, allowed) if allows(allowed, method) => route,
        Found::Pass(allowed) if allows(allowed, method) => Route::Passthrough,
        _ if method == Method::OPTIONS => Route::Preflight,
        Found::Route(..) | Found::Pass(_) => Route::WrongMethod,
        Found::Refuse(route) => route,
    }
}

/// HEAD is a GET whose answer loses its body.
fn allows(allowed: &Method, method: &Method) -> bool {
    method == allowed || (allowed == Method::GET && method == Method::HEAD)
}

/// What the strict view says of a path inside a media prefix.
enum Found {
    /// A route and its method.
    Route(Route, &'static Method),
    /// A route without bytes of media, and its method.
    Pass(&'static Method),
    /// Nothing known.
    Refuse(Route),
}

fn strict(path: &str) -> Option<Found> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    match segments.as_slice() {
        ["_matrix", "client", "v1", "media", rest @ ..] => Some(client(rest)),
        ["_matrix", "media", version @ ("v3" | "r0" | "v1"), rest @ ..] => Some(legacy(version, rest)),
        ["_matrix", "media_proxy", "unstable", rest @ ..] => Some(scanner(rest)),
        ["_matrix", "federation", _, "media", ..] => Some(Found::Refuse(Route::Federation)),
        ["_matrix", "media" | "media_proxy", ..] => Some(Found::Refuse(Route::Unrecognized)),
        _ => None,
    }
}

/// `/_matrix/client/v1/media/...`, the routes of
/// [MSC3916](https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid).
fn client(rest: &[&str]) -> Found {
    match rest {
        ["config" | "preview_url"] => Found::Pass(&Method::GET),
        _ => read(rest),
    }
}

/// `/_matrix/media/{v3,r0,v1}/...`, the routes from before media was authenticated, and all uploads.
fn legacy(version: &str, rest: &[&str]) -> Found {
    match (version, rest) {
        (_, ["config" | "preview_url"]) => Found::Pass(&Method::GET),
        ("v1", ["create"]) => Found::Pass(&Method::POST),
        (_, ["upload"]) => Found::Route(Route::Upload, &Method::POST),
        ("v3", ["upload", server, id]) => match MediaRef::from_segments(server, id) {
            Ok(_) => Found::Route(Route::Upload, &Method::PUT),
            Err(MalformedMedia) => Found::Refuse(Route::Unrecognized),
        },
        _ => read(rest),
    }
}

/// `download/{server}/{media}`, with an optional file name that may be empty, and `thumbnail/{server}/{media}`.
fn read(rest: &[&str]) -> Found {
    let (kind, server, id) = match rest {
        ["download", server, id] | ["download", server, id, _] => (Kind::Full, server, id),
        ["thumbnail", server, id] => (Kind::Thumbnail, server, id),
        _ => return Found::Refuse(Route::Unrecognized),
    };
    match MediaRef::from_segments(server, id) {
        Ok(media) => Found::Route(Route::Download(Download { media, kind }), &Method::GET),
        Err(MalformedMedia) => Found::Refuse(Route::Unrecognized),
    }
}

/// The scanner API answers for malformed addresses too, as its clients expect.
fn scanner(rest: &[&str]) -> Found {
    let media = |rest: &[&str]| match rest {
        [server, id] => MediaRef::from_segments(server, id),
        _ => Err(MalformedMedia),
    };
    let (scanner, method) = match rest {
        ["public_key"] => (Scanner::PublicKey, &Method::GET),
        ["scan", rest @ ..] => (Scanner::Scan(media(rest)), &Method::GET),
        ["download", rest @ ..] => (Scanner::Download(media(rest)), &Method::GET),
        ["thumbnail", rest @ ..] => (Scanner::Thumbnail(media(rest)), &Method::GET),
        ["scan_encrypted"] => (Scanner::ScanEncrypted, &Method::POST),
        ["download_encrypted"] => (Scanner::DownloadEncrypted, &Method::POST),
        _ => return Found::Refuse(Route::Unrecognized),
    };
    Found::Route(Route::Scanner(scanner), method)
}

/// Decodings after which a path is as plain as anyone would make it.
const DECODINGS: usize = 4;

/// Segments that [`is_media_prefix`] looks at. Further ones matter only where `..` can remove some of these.
const DEPTH: usize = 5;

/// The loose view: could some router take this path for media?
fn is_media_like(path: &str) -> bool {
    let mut view = Cow::Borrowed(path);
    for _ in 0..=DECODINGS {
        let climbs = loosen(&view).any(|segment| segment == "..");
        let segments: Vec<String> = loosen(&view).take(if climbs { usize::MAX } else { DEPTH }).collect();
        if is_media_prefix(&resolve(&segments)) || (climbs && is_media_prefix(&without_climbing(&segments))) {
            return true;
        }
        let decoded = percent_encoding::percent_decode_str(&view).decode_utf8_lossy().into_owned();
        if decoded == view {
            return false;
        }
        view = Cow::Owned(decoded);
    }
    // Nobody has an honest reason for yet another layer.
    true
}

/// Segments as the most forgiving router would see them: backslash is a slash, parameters, blanks, control characters,
/// single dots and empty segments do not count, nor does case.
fn loosen(path: &str) -> impl Iterator<Item = String> {
    let bare = |segment: &str| {
        let name = segment.split([';', '?', '#']).next().unwrap_or_default();
        name.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>().to_ascii_lowercase()
    };
    path.split(['/', '\\']).map(bare).filter(|segment| !segment.is_empty() && segment != ".")
}

fn resolve(segments: &[String]) -> Vec<&str> {
    let mut resolved = Vec::new();
    for segment in segments {
        match segment.as_str() {
            ".." => _ = resolved.pop(),
            name => resolved.push(name),
        }
    }
    resolved
}

fn without_climbing(segments: &[String]) -> Vec<&str> {
    segments.iter().map(String::as_str).filter(|segment| *segment != "..").collect()
}

/// Prefixes that carry media on some homeserver, in some version. Deeper segments are user data and may be called
/// anything, `media` included.
fn is_media_prefix(segments: &[&str]) -> bool {
    match segments {
        ["_matrix", "media" | "media_proxy", ..] => true,
        ["_matrix", "client" | "federation", "unstable", _, "media", ..] => true,
        ["_matrix", "client" | "federation", _, "media", ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
