//! Headers of requests to the homeserver.

use serde_yaml::{Mapping, Value};

use super::super::{
    draft::{Section, shown},
    read::Settings,
};
use crate::http::compat::{PASSED_ON, refuse, refuse_added};

pub(super) fn compat(settings: &Settings) -> Section {
    let adds = !(settings.headers_to_forward.is_empty() && settings.additional_headers.is_empty());
    let section = Section::new("compat").remark_if(
        adds && settings.homeserver.is_none(),
        "These headers are for the homeserver: with direct.enabled they go nowhere.",
    );
    let section = forwarded(settings, section);
    let (refused, taken): (Mapping, Mapping) = settings
        .additional_headers
        .clone()
        .into_iter()
        .partition(|(name, value)| name.as_str().is_none_or(is_refused) || !value.is_string());
    let section = match refused.is_empty() {
        true => section,
        false => section.warning(format!(
            "compat.additional_headers: {} is not taken over; Lazaret sets no headers that say who asks or that \
             describe the request itself.",
            names(refused.keys().filter_map(Value::as_str))
        )),
    };
    match taken.is_empty() {
        true => section,
        false => section
            .remark("additional_headers may hold secrets: keep this file private.")
            .set("additional_headers", taken),
    }
}

fn forwarded(settings: &Settings, section: Section) -> Section {
    let is_always = |name: &String| PASSED_ON.iter().any(|known| name.eq_ignore_ascii_case(known.as_str()));
    let (always, others): (Vec<_>, Vec<_>) = settings.headers_to_forward.iter().cloned().partition(is_always);
    let (taken, refused): (Vec<_>, Vec<_>) = others.into_iter().partition(|name| refuse(name).is_none());
    let section = section.remark_if(
        !always.is_empty(),
        "headers_to_forward: Authorization, Host, Origin, User-Agent and X-Forwarded-For always go on.",
    );
    let section = match refused.is_empty() {
        true => section,
        false => section.warning(format!(
            "compat.forward_headers: {} is not taken over, since it describes a request that is not the one \
             that is sent.",
            names(refused.iter().map(String::as_str))
        )),
    };
    match taken.is_empty() {
        true => section,
        false => section
            .remark("Other than with MCS, a request without one of these headers does not fail.")
            .set("forward_headers", taken),
    }
}

fn is_refused(name: &str) -> bool {
    refuse(name).or_else(|| refuse_added(name)).is_some()
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(shown).collect::<Vec<_>>().join(", ")
}
