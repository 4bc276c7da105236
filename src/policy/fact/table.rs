//! The table of all facts.

use std::{sync::Arc, time::SystemTime};

use super::{Fact, Kind, Source, Value, View};
use crate::{
    facts::{Facts, Inside, names},
    policy::{Openings, mismatch},
};

const DIRECTIONS: &[&str] = &["upload", "download", "thumbnail", "federation", "scan"];
const GROUPS: &[&str] = &[
    "unknown",
    "empty",
    "text",
    "html",
    "script",
    "executable",
    "image",
    "audio",
    "video",
    "font",
    "document",
    "archive",
    "data",
];
const STATES: &[&str] =
    &["clean", "infected", "incomplete", "opaque_container", "opaque_media", "oversize", "engine_error"];
const ROUTES: &[&str] = &[
    "upload",
    "download",
    "thumbnail",
    "federation_download",
    "federation_thumbnail",
    "scanner_scan",
    "scanner_download",
    "scanner_thumbnail",
    "scanner_scan_encrypted",
    "scanner_download_encrypted",
    "scanner_scan_file",
];

/// A fact of the request.
const fn request(name: &'static str, kind: Kind, about: &'static str, of: fn(&View<'_>) -> Option<Value>) -> Fact {
    Fact { name, kind, source: Source::Request, about, of }
}

/// A fact of the bytes.
const fn bytes(name: &'static str, kind: Kind, about: &'static str, of: fn(&View<'_>) -> Option<Value>) -> Fact {
    Fact { name, kind, source: Source::Bytes, about, of }
}

/// What engines said.
const fn engines(name: &'static str, kind: Kind, about: &'static str, of: fn(&View<'_>) -> Option<Value>) -> Fact {
    Fact { name, kind, source: Source::Engines, about, of }
}

/// All facts.
pub static TABLE: [Fact; 46] = [
    request(
        "direction",
        Kind::Word(DIRECTIONS),
        "Where the medium goes: to the homeserver, to a client, to a client as a thumbnail, to another homeserver, or (`scan`) through the scanner's routes. Those hand out what `download` and `thumbnail` do: a rule that refuses it there and does not name `scan` is walked around.",
        |view| Value::word(view.occasion.direction.name()),
    ),
    request("route", Kind::Word(ROUTES), "The route that it takes.", |view| Value::word(view.occasion.route)),
    request(
        "user",
        Kind::Text,
        "Who uploads it, as a Matrix id; known of uploads and of `scan_file` only, and not if the homeserver did not say. A rule that refuses someone lets pass what comes then, unless it has `user: {known: false}` besides.",
        |view| Value::text(view.occasion.user.as_ref()?),
    ),
    request("media.id", Kind::Text, "The id in its address.", |view| Value::text(view.occasion.media_id.as_ref()?)),
    request(
        "media.server",
        Kind::Text,
        "The server in its address, which is the one that it was sent from; of what goes to the homeserver, or from it to others, our own, if `homeserver.server_name` of the configuration says which that is.",
        |view| Value::text(view.occasion.server.as_ref()?),
    ),
    request(
        "media.local",
        Kind::Flag,
        "True for uploads, and for media whose address names our own homeserver; of others than uploads it is only known if `homeserver.server_name` of the configuration is set.",
        |view| view.occasion.is_local.map(Value::Flag),
    ),
    request(
        "declared.type",
        Kind::Text,
        "What its sender says that it is: the media type of `Content-Type`, without parameters. Of attachments with a key, that of their ciphertext.",
        |view| Value::text(view.occasion.declared.media_type.as_ref()?),
    ),
    request(
        "declared.name",
        Kind::Text,
        "What its sender calls it, as far as that can be seen; attachments with a key have no name here.",
        |view| Value::text(view.occasion.declared.name.as_ref()?),
    ),
    request(
        "declared.extension",
        Kind::Text,
        "The last extension of that name, in lower case and without the dot.",
        |view| names::extension(view.occasion.declared.name.as_deref()?).map(|text| Value::Text(text.into())),
    ),
    request(
        "declared.double_extension",
        Kind::Flag,
        "That name ends like a program although it is made to look like something else: `invoice.pdf.exe`, `photo.jpg      .scr`.",
        |view| Some(Value::Flag(names::is_double(view.occasion.declared.name.as_deref()?))),
    ),
    request(
        "declared.bidi",
        Kind::Flag,
        "That name has characters that change the direction of writing or do not show, so that it reads otherwise than it is.",
        |view| Some(Value::Flag(names::is_disguised(view.occasion.declared.name.as_deref()?))),
    ),
    request(
        "encrypted",
        Kind::Word(&["keyed", "opaque", "no"]),
        "`keyed`: what is judged is what a key opened. `opaque`: it looks like ciphertext, and there is no key.",
        |view| Value::word(view.encrypted()?),
    ),
    request(
        "opened",
        Kind::Word(&["unknown", "clean", "infected"]),
        "What those found who had keys to this ciphertext.",
        |view| {
            Value::word(match view.opened() {
                Openings::Unknown => "unknown",
                Openings::Clean => "clean",
                Openings::Infected => "infected",
            })
        },
    ),
    bytes(
        "sha256",
        Kind::Hash,
        "The digest of what is judged; of attachments with a key, that of their plaintext.",
        |view| view.name.map(Value::Hash),
    ),
    bytes("size", Kind::Bytes, "Its length.", |view| view.size.map(Value::Number)),
    bytes("type", Kind::Text, "Its type, as its bytes tell; not known of ciphertext.", |view| {
        Value::text(view.facts?.detected_type.as_ref()?)
    }),
    bytes("other_types", Kind::Texts, "What it can be taken for as well.", |view| {
        of(view, |facts| texts(&facts.other_types))
    }),
    bytes("group", Kind::Word(GROUPS), "What kind of thing that is.", |view| Value::word(view.facts?.group.name())),
    bytes(
        "mismatch",
        Kind::Flag,
        "Its declared type and its bytes are of different kinds: a program that is said to be a picture.",
        |view| mismatch::of_type(view.occasion.declared.media_type.as_deref()?, view.facts?).map(Value::Flag),
    ),
    bytes(
        "extension_mismatch",
        Kind::Flag,
        "The extension of its name and its bytes are of different kinds.",
        |view| mismatch::of_extension(view.occasion.declared.name.as_deref()?, view.facts?).map(Value::Flag),
    ),
    bytes("container", Kind::Flag, "It is an archive, or a document that is one inside.", |view| {
        flag(view, |facts| facts.container)
    }),
    bytes("opaque", Kind::Flag, "Its bytes look like ciphertext.", |view| flag(view, |facts| facts.opaque)),
    bytes("locked", Kind::Flag, "It is a document that needs a password.", |view| flag(view, |facts| facts.locked)),
    bytes("macros", Kind::Flag, "It is a document with macros.", |view| flag(view, |facts| facts.macros)),
    bytes(
        "active",
        Kind::Flag,
        "It has scripts in it although it is none: HTML, SVG, PDF; or it is markup of more than 16 MiB, which is not searched.",
        |view| flag(view, |facts| facts.active),
    ),
    bytes("polyglot", Kind::Flag, "It can be read as two formats.", |view| flag(view, |facts| facts.polyglot)),
    bytes("trailing", Kind::Bytes, "Bytes after its end, where its format says where that is.", |view| {
        view.facts?.trailing.map(Value::Number)
    }),
    bytes("entropy", Kind::Real, "Bits of information in each byte, 0 to 8, of those that were looked at.", |view| {
        of(view, |facts| Value::Real(f64::from(facts.entropy) / 1000.0))
    }),
    bytes("inside.complete", Kind::Flag, "All of what is in the container was looked at.", |view| {
        inside(view, |inside, _| Value::Flag(inside.complete))
    }),
    bytes("inside.entries", Kind::Count, "Files in it, at all depths.", |view| {
        inside(view, |inside, _| Value::Number(inside.entries))
    }),
    bytes("inside.encrypted", Kind::Count, "Files in it that need a password.", |view| {
        inside(view, |inside, _| Value::Number(inside.encrypted))
    }),
    bytes("inside.depth", Kind::Count, "Containers in one another, 1 for an archive of plain files.", |view| {
        inside(view, |inside, _| Value::Number(inside.depth.into()))
    }),
    bytes("inside.expanded", Kind::Bytes, "What it takes when it is unpacked, as it says.", |view| {
        inside(view, |inside, _| Value::Number(inside.expanded))
    }),
    bytes("inside.ratio", Kind::Count, "How many times its own size that is.", |view| {
        inside(view, |inside, facts| Value::Number(inside.ratio(facts.size)))
    }),
    bytes("inside.overlapping", Kind::Flag, "Files in it share bytes, as in bombs.", |view| {
        inside(view, |inside, _| Value::Flag(inside.overlapping))
    }),
    bytes(
        "inside.deceptive_names",
        Kind::Flag,
        "A name in it leads out of the directory that it is unpacked to, or is made to look like another one.",
        |view| inside(view, |inside, _| Value::Flag(inside.deceptive_names)),
    ),
    bytes("inside.groups", Kind::Words(GROUPS), "Kinds of what is in it.", |view| {
        inside(view, |inside, _| Value::Words(inside.groups.iter().map(|group| group.name()).collect()))
    }),
    bytes("inside.types", Kind::Texts, "Types of what is in it; the first 32.", |view| {
        inside(view, |inside, _| Value::Texts(inside.types.iter().map(Arc::clone).collect()))
    }),
    bytes("inside.extensions", Kind::Texts, "Extensions of names in it; the first 32.", |view| {
        inside(view, |inside, _| Value::Texts(inside.extensions.iter().map(Arc::clone).collect()))
    }),
    engines("state", Kind::Word(STATES), "How it stands when engines have had their say.", |view| {
        Value::word(view.state.name())
    }),
    engines("detections", Kind::Texts, "What engines named in it: signatures, heuristics, limits.", |view| {
        Some(Value::Texts(view.detections().map(|name| name.0.as_str().into()).collect()))
    }),
    engines("engines", Kind::Texts, "Engines whose word this is.", |view| {
        Some(Value::Texts(view.record?.provenance.engine.split('+').map(Into::into).collect()))
    }),
    engines("engine.version", Kind::Text, "Their version.", |view| {
        Some(Value::Text(view.record?.provenance.version.as_str().into()))
    }),
    engines("signatures.version", Kind::Count, "The number of the signatures that they had.", |view| {
        Some(Value::Number(view.record?.provenance.signatures?.version.into()))
    }),
    engines("signatures.age", Kind::Age, "How old these signatures are now.", |view| {
        Some(since(view, view.record?.provenance.signatures?.built?))
    }),
    engines("verdict.age", Kind::Age, "How long ago they said so.", |view| Some(since(view, view.record?.scanned_at))),
];

fn of(view: &View<'_>, value: impl Fn(&Facts) -> Value) -> Option<Value> {
    view.facts.map(value)
}

fn flag(view: &View<'_>, is: impl Fn(&Facts) -> bool) -> Option<Value> {
    of(view, |facts| Value::Flag(is(facts)))
}

fn inside(view: &View<'_>, value: impl Fn(&Inside, &Facts) -> Value) -> Option<Value> {
    let facts = view.facts?;
    Some(value(facts.inside.as_deref()?, facts))
}

fn texts(texts: &[Arc<str>]) -> Value {
    Value::Texts(texts.to_vec())
}

fn since(view: &View<'_>, then: SystemTime) -> Value {
    Value::Number(view.now.duration_since(then).unwrap_or_default().as_secs())
}
