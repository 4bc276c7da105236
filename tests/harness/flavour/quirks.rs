//! What each homeserver does in its own way, from their sources or as seen on the wire.

use super::{Flavour, Media, Medium};
use crate::harness::{Seen, Stored};

const CSP: &str = "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; \
                   style-src 'unsafe-inline'; media-src 'self'; object-src 'self';";

impl Flavour {
    /// Synapse wants a length.
    pub(super) fn takes_chunks(self) -> bool {
        self != Self::Synapse
    }

    /// Dendrite never had them, conduwuit neither.
    pub(super) fn has_async_uploads(self) -> bool {
        self != Self::Dendrite
    }

    /// Dendrite answers 405, matrix-media-repo has HEAD on legacy downloads only.
    pub(super) fn knows_head(self) -> bool {
        matches!(self, Self::Synapse | Self::Tuwunel)
    }

    /// `m.upload.size` by default, in bytes.
    pub fn largest_upload(self) -> u64 {
        match self {
            Self::Synapse => 50 << 20,
            Self::Dendrite => 10 << 20,
            Self::Tuwunel => 24 << 20,
            Self::Mmr => 100 << 20,
        }
    }

    /// The answer on the unauthenticated routes for media that are stored by now.
    pub fn legacy_status(self) -> u16 {
        match self {
            Self::Synapse | Self::Mmr => 404,
            Self::Dendrite => 200,
            Self::Tuwunel => 403,
        }
    }

    /// A medium on a client route, for those with a token.
    pub(super) fn medium(self, seen: &Seen, bytes: &[u8], content_type: &str, is_thumbnail: bool) -> Stored {
        let head = self.head(Stored::media(bytes).without_headers(), content_type, is_thumbnail);
        match self {
            Self::Synapse if seen.header("if-none-match") == Some("1") => head.status(304),
            Self::Mmr if seen.header("range").is_some() => {
                let part = bytes.get(..1).unwrap_or_default();
                let range = format!("bytes 0-0/{}", bytes.len());
                self.head(Stored::media(part).without_headers(), content_type, is_thumbnail)
                    .status(206)
                    .header("content-range", &range)
            }
            _ => head,
        }
    }

    fn head(self, stored: Stored, content_type: &str, is_thumbnail: bool) -> Stored {
        let stored = self.common(stored).header("content-type", content_type);
        let stored = stored.header("cross-origin-resource-policy", "cross-origin");
        let named = stored.header("content-disposition", self.disposition());
        match self {
            Self::Synapse if is_thumbnail => named,
            Self::Synapse => {
                named.header("content-security-policy", CSP).header("x-content-security-policy", "sandbox;")
            }
            Self::Dendrite | Self::Mmr => named.header("content-security-policy", CSP),
            Self::Tuwunel => named.header("content-security-policy", &CSP.replace(" media-src 'self';", "")),
        }
    }

    fn disposition(self) -> &'static str {
        match self {
            Self::Synapse => "inline; filename=a.png",
            Self::Dendrite => "inline; filename=\"a b.png\"",
            Self::Tuwunel => "inline; filename*=utf-8''a%20b.png",
            Self::Mmr => "attachment; filename=\"a.png\"",
        }
    }

    /// What is on every medium, and what it must not carry further.
    fn common(self, stored: Stored) -> Stored {
        let stored = stored
            .header("access-control-allow-origin", "*")
            .header("access-control-allow-methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS")
            .header("access-control-allow-headers", "X-Requested-With, Content-Type, Authorization, Date");
        let stored = stored.header("set-cookie", "session=1").header("server", &format!("{self:?}/1.0"));
        match self {
            Self::Synapse => stored
                .header("cache-control", "public,max-age=86400,s-maxage=0,proxy-revalidate")
                .header("access-control-expose-headers", "Synapse-Trace-Id, Server")
                .header("etag", "1")
                .header("referrer-policy", "no-referrer")
                .header("x-robots-tag", "noindex, nofollow, noarchive, noimageindex"),
            Self::Dendrite => stored.header("cache-control", "public,max-age=86400,s-maxage=86400"),
            Self::Tuwunel => stored
                .header("cache-control", "private,max-age=31536000,immutable")
                .header("access-control-expose-headers", "ETag"),
            Self::Mmr => stored
                .header("cache-control", "private, max-age=259200")
                .header("accept-ranges", "bytes")
                .header("x-robots-tag", "noindex, nofollow, noarchive, noimageindex"),
        }
    }

    pub(super) fn read_legacy(self, media: &Media, kind: &str, id: &str) -> Stored {
        match (self.legacy_status(), media.lock().unwrap().get(id)) {
            (200, Some(Medium::Stored(bytes, content_type))) => {
                self.head(Stored::media(bytes).open().without_headers(), content_type, kind == "thumbnail")
            }
            (403, _) => self.error(403, "M_FORBIDDEN", "Unauthenticated media is disabled"),
            _ => self.error(404, "M_NOT_FOUND", "Not found"),
        }
    }

    /// A medium for another homeserver.
    pub fn multipart(self, content: &[u8], content_type: &str) -> Stored {
        let head = match self {
            Self::Synapse => format!("Content-Type: {content_type}\r\nContent-Disposition: inline; filename=a.png"),
            Self::Dendrite => format!("Content-Type: {content_type}"),
            Self::Tuwunel => format!("content-type: {content_type}\r\ncontent-disposition: inline; filename=a.png"),
            Self::Mmr => format!("Content-Disposition: attachment; filename=\"a.png\"\r\nContent-Type: {content_type}"),
        };
        self.two_parts(&head, content)
    }

    /// A medium for another homeserver that is to be fetched from a CDN.
    pub fn multipart_elsewhere(self, url: &str) -> Stored {
        self.two_parts(&format!("Location: {url}"), b"")
    }

    fn two_parts(self, head: &str, content: &[u8]) -> Stored {
        let boundary = "6067d4698f8d40a0a794ea7d7379d53a";
        let first = match self {
            Self::Tuwunel => "content-type: application/json",
            _ => "Content-Type: application/json",
        };
        let (start, end) = match self {
            Self::Synapse => ("\r\n", "--\r\n"),
            Self::Tuwunel => ("\r\n", ""),
            Self::Dendrite | Self::Mmr => ("", "--\r\n"),
        };
        let before = format!("{start}--{boundary}\r\n{first}\r\n\r\n{{}}\r\n--{boundary}\r\n{head}\r\n\r\n");
        let after = format!("\r\n--{boundary}{end}");
        let body = [before.as_bytes(), content, after.as_bytes()].concat();
        let stored = match self {
            // Go does not know the length beforehand.
            Self::Dendrite => Stored::media(b"").chunked(&[&body]),
            _ => Stored::media(&body),
        };
        let stored = stored.open().without_headers();
        let stored = stored.header("content-type", &format!("multipart/mixed; boundary={boundary}"));
        match self {
            Self::Synapse => stored.header("etag", "1"),
            Self::Mmr => stored.header("content-disposition", "attachment; filename=\"a.png\""),
            Self::Dendrite | Self::Tuwunel => stored,
        }
    }

    pub(super) fn error(self, status: u16, errcode: &str, text: &str) -> Stored {
        match self {
            Self::Mmr => {
                let body = format!(r#"{{"errcode":"{errcode}","error":"{text}","mr_errcode":"{errcode}"}}"#);
                Stored::json(status, &body)
            }
            Self::Dendrite => {
                let error = Stored::json(status, &format!(r#"{{"errcode":"{errcode}","error":"{text}"}}"#));
                error.header("cache-control", "public,max-age=86400,s-maxage=86400")
            }
            Self::Synapse | Self::Tuwunel => {
                Stored::json(status, &format!(r#"{{"errcode":"{errcode}","error":"{text}"}}"#))
            }
        }
    }
}

/// JSON for those with a token.
pub(super) fn json(text: &str) -> Stored {
    Stored::media(text.as_bytes()).without_headers().header("content-type", "application/json")
}
