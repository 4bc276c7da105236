//! What is known of a request.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Where a medium goes. The order of the variants is stored: new ones come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// From a client to the homeserver.
    Upload,
    /// From the homeserver to a client.
    Download,
    /// The same, made smaller by the homeserver.
    Thumbnail,
    /// From the homeserver to another one.
    Federation,
    /// Over the scanner's routes: a verdict is asked for, with or without the medium.
    Scan,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Upload, Self::Download, Self::Thumbnail, Self::Federation, Self::Scan];

    /// Its name in rules and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Thumbnail => "thumbnail",
            Self::Federation => "federation",
            Self::Scan => "scan",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// What the other side calls a medium. All of it is what someone says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Declared {
    /// Media type without parameters, in lower case.
    pub media_type: Option<Arc<str>>,
    /// File name, percent-decoded.
    pub name: Option<Arc<str>>,
}

/// One request for a medium to be moved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Occasion {
    /// Where it goes.
    pub direction: Direction,
    /// The route's name, as in metrics.
    pub route: &'static str,
    /// The server that its address names, or will; `None` if that is not known.
    pub server: Option<Arc<str>>,
    /// The id that its address names.
    pub media_id: Option<Arc<str>>,
    /// True if it was uploaded here; `None` if that is not known.
    pub is_local: Option<bool>,
    /// Who uploads it, where the homeserver was asked.
    pub user: Option<Arc<str>>,
    /// What it is called.
    pub declared: Declared,
}

impl Occasion {
    /// One of which nothing else is known.
    pub fn new(direction: Direction, route: &'static str) -> Self {
        let declared = Declared::default();
        Self { direction, route, server: None, media_id: None, is_local: None, user: None, declared }
    }

    /// One of which only this is known, on the route that most of its kind take; of the scanner's, on one without a key.
    pub fn usual(direction: Direction) -> Self {
        let route = match direction {
            Direction::Upload => "upload",
            Direction::Download => "download",
            Direction::Thumbnail => "thumbnail",
            Direction::Federation => "federation_download",
            Direction::Scan => "scanner_download",
        };
        Self::new(direction, route)
    }

    /// True if the medium itself is moved; some of the scanner's routes only tell what is thought of it.
    pub fn is_moved(&self) -> bool {
        !matches!(self.route, "scanner_scan" | "scanner_scan_encrypted" | "scanner_scan_file")
    }

    /// One by somebody with a key, of which nothing else is known.
    pub fn with_key() -> Self {
        Self::new(Direction::Scan, "scanner_download_encrypted")
    }
}
