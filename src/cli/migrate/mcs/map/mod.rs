//! What the settings of a Matrix Content Scanner are called here, and what they mean.

mod cache;
mod engines;
mod headers;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use self::{
    cache::cache,
    engines::{clamd, engines},
    headers::compat,
};
use super::{
    draft::{Draft, Section, shown},
    read::{Flavour, Settings},
};
use crate::{policy, upstream::BaseUrl};

/// Port of the operators' side.
const ADMIN_PORT: u16 = 9090;

/// Maps the configuration that was read from the file `from`.
pub(super) fn draft(settings: &Settings, from: &Path) -> Draft {
    let mut draft = Draft { has_secrets: !settings.additional_headers.is_empty(), ..Draft::default() };
    let sections = [
        intro(settings, from),
        listen(settings),
        admin(settings),
        homeserver(settings),
        direct(settings),
        engines(settings),
        clamd(settings),
        self::policy(settings),
        compat(settings),
        cache(settings),
        crypto(settings, from),
        unknown(settings),
    ];
    for section in sections {
        draft.add(section);
    }
    draft
}

fn intro(settings: &Settings, from: &Path) -> Section {
    let name = match settings.flavour {
        Flavour::Python => "a Matrix Content Scanner (MCS)",
        Flavour::Node => "a Matrix Content Scanner (MCS) for Node",
    };
    let from = shown(&from.display().to_string());
    Section::top().remark(format!(
        "Lazaret's configuration, made from {from} of {name}. What is not set here has its default; \
         deploy/lazaret.yaml lists every setting. deploy/replacing-mcs.md says how to change over, and back."
    ))
}

fn listen(settings: &Settings) -> Section {
    let Some(port) = settings.port else { return Section::top() };
    let host = settings.host.as_deref().unwrap_or("localhost");
    let given = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let address = given.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let section = Section::top().remark(
        "Where MCS listened, so that nothing in front of it has to change. As long as both run, give Lazaret \
         another port.",
    );
    let section = match given.is_none() && host != "localhost" {
        true => section.warning(format!(
            "listen: an address is needed here, and {} is a name; 127.0.0.1 stands in for it.",
            shown(host)
        )),
        false => section,
    };
    section
        .remark_if(
            !address.is_loopback(),
            "If the front proxy is on another machine or in another container, name its network in trusted_proxies; \
             otherwise all clients are one to Lazaret.",
        )
        .set("listen", SocketAddr::new(address, port).to_string())
}

fn admin(settings: &Settings) -> Section {
    let section = Section::new("admin");
    match settings.port {
        Some(ADMIN_PORT) => section
            .remark("Health and metrics. Not on port 9090 as usual, which MCS had.")
            .set("listen", SocketAddr::new(Ipv4Addr::LOCALHOST.into(), ADMIN_PORT + 1).to_string()),
        _ => section,
    }
}

fn homeserver(settings: &Settings) -> Section {
    let section = proxy(settings, Section::new("homeserver"));
    let Some(url) = &settings.homeserver else { return section };
    match bare(url) {
        Some((bare, true)) => section.set("url", bare),
        Some((bare, false)) => section
            .warning(format!(
                "homeserver.url: {} has a path, and Lazaret forwards paths as they come; the path is left out.",
                shown(url)
            ))
            .set("url", bare),
        // It may hold a password.
        None => section.warning(
            "homeserver.url: the homeserver's URL is not of the form http://host:port or https://host; set it by hand.",
        ),
    }
}

/// The URL without its path, and whether it had none.
fn bare(url: &str) -> Option<(String, bool)> {
    if BaseUrl::try_from(url.to_owned()).is_ok() {
        return Some((url.trim_end_matches('/').to_owned(), true));
    }
    let mut parsed = url::Url::parse(url).ok()?;
    parsed.set_path("");
    parsed.set_query(None);
    let bare = parsed.as_str().trim_end_matches('/').to_owned();
    BaseUrl::try_from(bare.clone()).is_ok().then_some((bare, false))
}

fn proxy(settings: &Settings, section: Section) -> Section {
    match settings.has_proxy {
        true => section.warning("proxy: Lazaret asks the homeserver without a proxy; its address is not taken over."),
        false => section,
    }
}

fn direct(settings: &Settings) -> Section {
    if settings.homeserver.is_some() {
        return Section::top();
    }
    Section::new("direct")
        .warning(
            "direct.enabled: MCS had no homeserver set and asked the server that each medium's address names. Better \
             set homeserver.url instead and remove this section: your homeserver has the media of others, checks who \
             may have them, and knows those that take a token.",
        )
        .remark(
            "Other than with MCS, nothing is served but the scanner's routes, tokens of your users go to no server \
             that is not named in credentials_for (most give media only with one), only https is spoken, and private \
             addresses are refused; see direct in deploy/lazaret.yaml.",
        )
        .set("enabled", true)
}

fn policy(settings: &Settings) -> Section {
    let types = |list: &Option<Vec<String>>| list.clone().filter(|list| !list.is_empty());
    let (allowed, blocked) = (types(&settings.allowed_mimetypes), types(&settings.blocked_mimetypes));
    let section = Section::new("policy").remark_if(
        allowed.is_some() || blocked.is_some(),
        "Types are told by the first bytes of the plaintext, as MCS did, but not by the same library. Names of libmagic \
         for the common types are understood.",
    );
    match (allowed, blocked) {
        (Some(allowed), Some(_)) => section
            .warning(
                "policy: allowed_mimetypes and blocked_mimetypes exclude each other in MCS; the former is taken over.",
            )
            .set("allowed_mimetypes", allowed),
        (Some(allowed), None) => section.set("allowed_mimetypes", allowed),
        (None, Some(blocked)) => self::blocked(section, blocked),
        (None, None) => section,
    }
}

/// A type that is never told would be blocked in name only.
fn blocked(section: Section, types: Vec<String>) -> Section {
    let (told, others): (Vec<_>, Vec<_>) = types.into_iter().partition(|name| policy::told(name).is_some());
    let names: Vec<String> = others.iter().map(|name| shown(name)).collect();
    let section = match names.is_empty() {
        true => section,
        false => section.warning(format!(
            "policy.blocked_mimetypes: MCS blocked {}, and Lazaret does not know such files by their bytes: THEY WILL \
             PASS if no engine recognises them. A list of allowed types keeps them out.",
            names.join(", ")
        )),
    };
    if told.is_empty() { section } else { section.set("blocked_mimetypes", told) }
}

fn crypto(settings: &Settings, from: &Path) -> Section {
    let section = Section::new("crypto");
    if let Some(path) = &settings.secret_path {
        return section
            .remark(
                "The file of MCS, which can go on using it. Once there are more secrets in it (lazaret secret rotate), \
                 MCS no longer can: it wants one line.",
            )
            .set("request_secret_path", path.display().to_string());
    }
    if settings.pickle_path.is_none() && settings.pickle_key.is_none() {
        return section;
    }
    let from = shown(&std::path::absolute(from).unwrap_or(from.to_owned()).display().to_string());
    section
        .warning(format!(
            "crypto: MCS keeps its key in a pickle of libolm. Take it over, or clients have to fetch a new one, with: \
             lazaret migrate pickle --from {} --config FILE, where FILE is this configuration.",
            from.trim_matches('`')
        ))
        .set("request_secret_path", "/etc/lazaret/request_secret")
}

fn unknown(settings: &Settings) -> Section {
    let says = |key: &String| format!("{}: not a setting of MCS; it is left out.", shown(key));
    settings.unknown.iter().map(says).fold(Section::top(), Section::warning)
}
