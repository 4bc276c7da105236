//! Lazaret is the quarantine station for Matrix media: a reverse proxy that stands in front of a homeserver, has an
//! antivirus engine look at every medium that passes in either direction, and lets nothing through that it could not
//! vouch for. It also speaks the API of the Matrix Content Scanner, so that clients can have attachments scanned whose
//! keys only they know.
//!
//! # The way of a request
//!
//! ```text
//! Request → Route → MediaRef → Spool → [decrypt] → Plaintext → Facts → Verdict → Decision → Response
//!           (pure)   upstream 200   ciphertext      sniff     cache or   policy, pure,
//!                    for the caller  hashed                   engines    asked on every hit
//! ```
//!
//! 1. [`http::route`] classifies the raw path. What is not media is passed through untouched; what only looks like
//!    media is refused.
//! 2. The request goes to the homeserver ([`upstream`]) with the caller's own credentials. Only its 200 goes on. Without a
//!    homeserver, [`upstream::direct`] asks the server that the address names instead, on the scanner's routes alone.
//! 3. The body is written to a [`spool`] and hashed on the way. Nothing is released yet. Where the address is known to have
//!    led to bytes that may pass, they are streamed instead, and [`body::held_back`] keeps their end until their hash
//!    is the one that was judged.
//! 4. [`inspect`] knows the order from here: an attachment is checked and decrypted ([`crypto`]), the [`cache`] is asked
//!    by content, and of what is not known [`sniff`] finds out what it is and what is in it ([`facts`]), and an [`engine`]
//!    looks at it. Then [`policy`] decides, on facts, verdict and request, by the rules that the security team wrote.
//! 5. The client is answered from the very bytes that were judged. Uploads take the same way in the other direction.
//!
//! # Levels
//!
//! Imports go downwards only, and the stages of level 1 never import each other: they meet in [`inspect`].
//!
//! | level | modules |
//! |---|---|
//! | 4 | [`cli`], [`app`] (builds every part), [`config`] (collects every section) |
//! | 3 | [`http`] (public side), [`admin`] (operators' side) |
//! | 2 | [`inspect`] (the order of stages, coalescing, rescans, replays of the past), [`reload`] (secrets and policies that are read again while the process runs) |
//! | 1 | [`upstream`], [`crypto`], [`sniff`] (facts of bytes), [`policy`] (rules, decisions, what they are counted as), [`engine`], [`cache`], [`audit`] |
//! | 0 | [`clock`] (the time that decides), [`files`], [`media`], [`facts`] (of bytes and of requests: data), [`verdict`], [`plaintext`], [`spool`], [`body`], [`json`], [`limits`], [`lifecycle`], [`telemetry`], `trust` |
//!
//! What is decided is pure: [`policy`] reads rule files when it is told to, and asks for no bytes, no clock and no store when it
//! decides. Each module owns its section of the configuration, its errors and its metrics. There are two traits:
//! [`engine::Engine`] and [`cache::VerdictStore`]. One place, `http::error`, turns failures into answers.
//!
//! # Invariants, and where each is kept
//!
//! 1. **Clean is unforgeable.** [`verdict::Clean`] has a private field and one constructor, called in one place for
//!    each kind of engine: where its reply equals its exact clean form (`engine::clamd::protocol`, [`engine::icap::protocol`],
//!    [`engine::exec`]); and where such a verdict is read again whose seal proves that we wrote it of those bytes
//!    ([`cache::codec`]). `.clippy.toml` forbids other calls. What the security team says ([`cache::overrides`]) changes no
//!    verdict: the policy takes it in place of one, for as long as it holds.
//! 2. **A verdict belongs to bytes, never to an address.** Records are kept under names of digests ([`cache::key`]). An
//!    address leads to what is expected there ([`inspect::Known`]), which whoever serves by it compares with what comes.
//! 3. **Access is the homeserver's.** Handlers ask it on every request, with the caller's own credentials, and look nothing
//!    up before its 200. What several were given at once may be one body (`http::arrivals`), never one permission.
//!    Without a homeserver, access is the remote server's, and credentials go to servers that the operator named.
//! 4. **A keyed clean verdict unlocks nothing else.** The name of an attachment is made of ciphertext, key and counter
//!    ([`cache::key::KeyRing::attachment`]) and leads to the identity of that very plaintext.
//! 5. **Plaintext of an attachment never touches a disk.** It is held in a sealed memory file
//!    ([`spool::Spooler::hold_in_memory`]) or deciphered on its way to the engine ([`plaintext::Plaintext::Keyed`]). A file
//!    that is scanned before it is encrypted is held in memory, too ([`spool::Spooler::begin_in_memory`]).
//!    Programs get it as a file on a memory file system ([`engine::exec`]); those may be swapped out, which is for the operator
//!    to prevent. Core dumps are forbidden ([`lifecycle::forbid_core_dumps`]).
//!    Keys are wiped by us when done with, and print nothing ([`crypto::attachment::AttachmentKey`]); buffers of the HTTP
//!    library that a key went through are not.
//! 6. **Bounded by configuration.** [`limits`] has the budgets; whoever takes bytes, slots or places holds a guard.
//! 7. **One request line.** The string that was classified is the string that is sent (`http::hygiene`, `http::dispatch`), but for
//!    `allow_redirect=false` on legacy reads; and a head that others could read differently is refused by its raw bytes
//!    (`http::watch`).
//! 8. **Cannot scan is not infected.** [`engine::EngineError`] is no verdict; it cannot be stored and is answered as
//!    "try again later", unless `compat.strict_mcs` wants clients of the scanner's API to be told otherwise.

pub mod admin;
pub mod app;
pub mod audit;
pub mod body;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod engine;
pub mod facts;
pub mod files;
pub mod http;
pub mod inspect;
pub mod json;
pub mod lifecycle;
pub mod limits;
pub mod media;
pub mod plaintext;
pub mod policy;
pub mod reload;
pub mod sniff;
pub mod spool;
pub mod telemetry;
mod trust;
pub mod upstream;
pub mod verdict;
