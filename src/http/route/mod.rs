//! Which request is what: pure, on the raw path, before anything is decoded or rewritten.
//!
//! A path is read twice. The *strict view* matches the raw bytes against the grammar of media routes; what matches is
//! inspected, and what is inside a media prefix without matching is refused. The *loose view* asks whether any router
//! that decodes, merges slashes, resolves dots or ignores case could take the path for a media route; if so it is
//! refused too. Only what is media in neither view is passed through, and always exactly as it came.

mod loose;

use http::Method;

use self::loose::Views;
use super::{native::Config, prefix::PathPrefix};
use crate::media::{MalformedMedia, MediaRef, is_media_id_segment};

/// What a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Media to inspect on its way to the client, from a native route.
    Download(Download),
    /// Media to inspect on its way to the homeserver, from a native route.
    Upload,
    /// Media to inspect on its way to another homeserver.
    Federation(Kind),
    /// A route of the scanner API.
    Scanner(Scanner),
    /// The makings of a later upload, of which the answer must not lead it past us.
    Create,
    /// What may be uploaded, where our own limit counts too.
    MediaConfig,
    /// A preflight request below a media prefix, whatever it is for.
    Preflight,
    /// The path of a scanner route but for doubled slashes: the path without them.
    Moved(String),
    /// Not media.
    Passthrough,
    /// A legacy read, while these are closed.
    Closed,
    /// Looks like media and is no route, or is a path that nobody reaches through us.
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
    /// From a route that takes no token.
    pub is_legacy: bool,
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
    /// `POST /scan_file`.
    ScanFile,
}

impl Route {
    /// The route's name in metrics and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Download(Download { kind: Kind::Full, .. }) => "download",
            Self::Download(Download { kind: Kind::Thumbnail, .. }) => "thumbnail",
            Self::Upload => "upload",
            Self::Federation(Kind::Full) => "federation_download",
            Self::Federation(Kind::Thumbnail) => "federation_thumbnail",
            Self::Create => "create",
            Self::MediaConfig => "config",
            Self::Scanner(scanner) => match scanner {
                Scanner::PublicKey => "scanner_public_key",
                Scanner::Scan(_) => "scanner_scan",
                Scanner::Download(_) => "scanner_download",
                Scanner::Thumbnail(_) => "scanner_thumbnail",
                Scanner::ScanEncrypted => "scanner_scan_encrypted",
                Scanner::DownloadEncrypted => "scanner_download_encrypted",
                Scanner::ScanFile => "scanner_scan_file",
            },
            Self::Preflight => "preflight",
            Self::Moved(_) => "moved",
            Self::Passthrough => "passthrough",
            Self::Closed | Self::Unrecognized | Self::WrongMethod => "refused",
        }
    }

    /// True for a read in which another homeserver wants media of ours: Synapse asks the legacy routes in this way where it
    /// finds no others. What counts for federation counts here, too.
    pub fn is_of_homeserver(&self, query: Option<&str>) -> bool {
        let local_only = || query.unwrap_or_default().split('&').any(|parameter| parameter == "allow_remote=false");
        matches!(self, Self::Download(Download { is_legacy: true, .. })) && local_only()
    }

    /// True for what takes a place among the requests that are inspected.
    pub fn is_inspected(&self) -> bool {
        matches!(self, Self::Download(_) | Self::Upload | Self::Federation(_) | Self::Scanner(_))
    }
}

/// Classifies a request by its method and raw path (up to the first `?`).
pub fn classify(config: &Config, method: &Method, path: &str) -> Route {
    let Some(found) = strict(config, path) else {
        let shut = |segments: &[&str]| is_media_prefix(segments) || is_denied(config, segments);
        let is_media = Views::of(path).any(shut);
        return if is_media { moved(config, method, path).unwrap_or(Route::Unrecognized) } else { Route::Passthrough };
    };
    match found {
        Found::Pass => Route::Passthrough,
        Found::Route(route, allowed) if allows(&route, allowed, method) => route,
        _ if method == Method::OPTIONS => Route::Preflight,
        Found::Route(..) => Route::WrongMethod,
        Found::Refuse(route) => moved(config, method, path).unwrap_or(route),
    }
}

/// Where a scanner's client is sent whose path is none, for slashes that are doubled. It is told, and nothing is rewritten.
fn moved(config: &Config, method: &Method, path: &str) -> Option<Route> {
    if !path.contains("//") {
        return None;
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    // What ended in a slash still does.
    let merged = format!("/{}{}", segments.join("/"), if path.ends_with('/') { "/" } else { "" });
    match strict(config, &merged) {
        Some(Found::Route(route @ Route::Scanner(_), allowed)) if allows(&route, allowed, method) => {
            Some(Route::Moved(merged))
        }
        _ => None,
    }
}

/// HEAD is a GET whose answer loses its body; but other homeservers sign the method.
fn allows(route: &Route, allowed: &Method, method: &Method) -> bool {
    let is_head = allowed == Method::GET && method == Method::HEAD;
    method == allowed || (is_head && !matches!(route, Route::Federation(_)))
}

fn is_denied(config: &Config, segments: &[&str]) -> bool {
    config.deny.iter().any(|prefix| prefix.covers(segments))
}

/// False, as by default, if no denied prefix can be one of media: then there is no need to look.
fn closes_media(config: &Config) -> bool {
    config.deny.iter().any(PathPrefix::is_of_matrix)
}

/// What the strict view says of a path inside a media prefix.
enum Found {
    /// A route and its method.
    Route(Route, &'static Method),
    /// Opened by the operator, whatever it is.
    Pass,
    /// Nothing known, or closed.
    Refuse(Route),
}

fn strict(config: &Config, path: &str) -> Option<Found> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let found = match segments.as_slice() {
        ["_matrix", "client", "v1", "media", rest @ ..] => client(rest),
        ["_matrix", "media", version @ ("v3" | "r0" | "v1"), rest @ ..] => legacy(config, version, rest),
        ["_matrix", "federation", "v1", "media", rest @ ..] => federation(rest),
        ["_matrix", "media_proxy", "unstable", rest @ ..] => scanner(rest),
        ["_matrix", "media" | "media_proxy", ..] => Found::Refuse(Route::Unrecognized),
        ["_matrix", "client" | "federation", "unstable", _, "media", ..] => Found::Refuse(Route::Unrecognized),
        _ => return None,
    };
    Some(match found {
        _ if closes_media(config) && Views::of(path).any(|segments| is_denied(config, segments)) => {
            Found::Refuse(Route::Unrecognized)
        }
        Found::Refuse(_) if config.pass.iter().any(|prefix| prefix.covers(&segments)) => Found::Pass,
        found => found,
    })
}

/// `/_matrix/client/v1/media/...`, the routes of
/// [MSC3916](https://spec.matrix.org/v1.16/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid).
fn client(rest: &[&str]) -> Found {
    match rest {
        ["config"] => Found::Route(Route::MediaConfig, &Method::GET),
        ["preview_url"] => Found::Route(Route::Passthrough, &Method::GET),
        _ => read(rest, false),
    }
}

/// `/_matrix/media/{v3,r0,v1}/...`, the routes from before media was authenticated, and all uploads.
fn legacy(config: &Config, version: &str, rest: &[&str]) -> Found {
    match (version, rest) {
        (_, ["config"]) => Found::Route(Route::MediaConfig, &Method::GET),
        (_, ["preview_url"]) => Found::Route(Route::Passthrough, &Method::GET),
        ("v1", ["create"]) => Found::Route(Route::Create, &Method::POST),
        (_, ["upload"]) => Found::Route(Route::Upload, &Method::POST),
        ("v3", ["upload", server, id]) => match MediaRef::from_segments(server, id) {
            Ok(_) => Found::Route(Route::Upload, &Method::PUT),
            Err(MalformedMedia) => Found::Refuse(Route::Unrecognized),
        },
        _ => match read(rest, true) {
            Found::Route(Route::Download(wanted), _) if config.is_closed(&wanted.media) => Found::Refuse(Route::Closed),
            found => found,
        },
    }
}

/// `download/{server}/{media}`, with an optional file name that may be empty, and `thumbnail/{server}/{media}`.
fn read(rest: &[&str], is_legacy: bool) -> Found {
    let (kind, server, id) = match rest {
        ["download", server, id] | ["download", server, id, _] => (Kind::Full, server, id),
        ["thumbnail", server, id] => (Kind::Thumbnail, server, id),
        _ => return Found::Refuse(Route::Unrecognized),
    };
    match MediaRef::from_segments(server, id) {
        Ok(media) => Found::Route(Route::Download(Download { media, kind, is_legacy }), &Method::GET),
        Err(MalformedMedia) => Found::Refuse(Route::Unrecognized),
    }
}

/// `/_matrix/federation/v1/media/...`, the routes of
/// [MSC3916](https://spec.matrix.org/v1.16/server-server-api/#get_matrixfederationv1mediadownloadmediaid): local media
/// only, so there is no server name.
fn federation(rest: &[&str]) -> Found {
    let kind = match rest {
        ["download", id] if is_media_id_segment(id) => Kind::Full,
        ["thumbnail", id] if is_media_id_segment(id) => Kind::Thumbnail,
        _ => return Found::Refuse(Route::Unrecognized),
    };
    Found::Route(Route::Federation(kind), &Method::GET)
}

/// The scanner API answers for malformed addresses too, as its clients expect.
fn scanner(rest: &[&str]) -> Found {
    // An encoded slash counts as one here: its readers have always split the decoded path.
    let media = |rest: &[&str]| {
        let rest = rest.join("/").replace("%2F", "/").replace("%2f", "/");
        let (server, id) = rest.split_once('/').ok_or(MalformedMedia)?;
        MediaRef::from_segments(server, id)
    };
    let (scanner, method) = match rest {
        ["public_key"] => (Scanner::PublicKey, &Method::GET),
        ["scan", rest @ ..] => (Scanner::Scan(media(rest)), &Method::GET),
        ["download", rest @ ..] => (Scanner::Download(media(rest)), &Method::GET),
        ["thumbnail", rest @ ..] => (Scanner::Thumbnail(media(rest)), &Method::GET),
        ["scan_encrypted"] => (Scanner::ScanEncrypted, &Method::POST),
        ["download_encrypted"] => (Scanner::DownloadEncrypted, &Method::POST),
        ["scan_file"] => (Scanner::ScanFile, &Method::POST),
        _ => return Found::Refuse(Route::Unrecognized),
    };
    Found::Route(Route::Scanner(scanner), method)
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
