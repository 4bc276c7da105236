//! What is remembered: numbers, single media, and having it forgotten.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{RawQuery, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    Context,
    answer::{Answer, Refused, json_answer},
    words,
};
use crate::{
    cache::key::Key,
    inspect::{Purge, Subject},
    json,
    media::MediaRef,
    upstream::query::thumbnail_address,
};

/// Longest body of a request, in bytes.
const MAX_BODY: usize = 16 * 1024;

pub(super) fn routes() -> Router<Context> {
    let routes = Router::new().route("/cache/stats", get(stats)).route("/cache/entry", get(entry));
    routes.route("/cache/purge", post(purge))
}

async fn stats(State(context): State<Context>) -> Answer {
    Ok(json_answer(StatusCode::OK, &words::status(&context.inspector.status().await)))
}

async fn entry(State(context): State<Context>, RawQuery(query): RawQuery) -> Answer {
    let subject = asked(query.as_deref().unwrap_or_default())?;
    let report = context.inspector.report(&subject).await?;
    Ok(json_answer(StatusCode::OK, &words::report(&report)))
}

/// What a query asks for: `mxc`, of which all other parameters name a thumbnail, or `identity`.
pub(super) fn asked(query: &str) -> Result<Subject, Refused> {
    let named =
        |parameter: &&str| parameter.split_once('=').is_some_and(|(name, _)| matches!(name, "mxc" | "identity"));
    let (named, others): (Vec<&str>, Vec<&str>) =
        query.split('&').filter(|parameter| !parameter.is_empty()).partition(&named);
    let [named] = named[..] else { return Err(Refused::malformed("name one medium: by `mxc` or by `identity`")) };
    let (name, value) = url::form_urlencoded::parse(named.as_bytes()).next().unwrap_or_default();
    match (&*name, others.is_empty()) {
        ("mxc", true) => subject_of(Some(&value), None),
        ("mxc", false) => Ok(Subject::Address(thumbnail_address(&medium(&value)?, Some(&others.join("&"))))),
        (_, true) => subject_of(None, Some(&value)),
        _ => Err(Refused::malformed("an identity has no parameters")),
    }
}

fn medium(mxc: &str) -> Result<MediaRef, Refused> {
    MediaRef::from_mxc(mxc).map_err(|_| Refused::malformed("`mxc` is no mxc:// URI"))
}

/// The one medium that is named.
pub(super) fn subject_of(mxc: Option<&str>, identity: Option<&str>) -> Result<Subject, Refused> {
    match (mxc, identity) {
        (Some(mxc), None) => Ok(Subject::Address(medium(mxc)?.path())),
        (None, Some(identity)) => {
            let key =
                Key::parse(identity).ok_or_else(|| Refused::malformed("`identity` is not 64 hexadecimal digits"))?;
            Ok(Subject::Identity(key))
        }
        _ => Err(Refused::malformed("name one medium: by `mxc` or by `identity`")),
    }
}

/// Reads the body of a request.
pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    read_at_most(body, MAX_BODY).await
}

/// The same, of one that may have so many bytes.
pub(super) async fn read_at_most<T: DeserializeOwned>(body: Body, most: usize) -> Result<T, Refused> {
    let too_large =
        |_| Refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is broken or longer than {most} bytes"));
    let body = to_bytes(body, most).await.map_err(too_large)?;
    json::object(&body).map_err(|error| Refused::malformed(error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PurgeRequest {
    mxc: Option<String>,
    identity: Option<String>,
    epoch: Option<String>,
    #[serde(default)]
    all: bool,
}

impl PurgeRequest {
    fn meant(&self) -> Result<Purge, Refused> {
        match (&self.mxc, &self.identity, self.epoch.as_deref(), self.all) {
            (None, None, Some("stale"), false) => Ok(Purge::Stale),
            (None, None, Some(state), false) => Ok(Purge::Epoch(state.to_owned())),
            (None, None, None, true) => Ok(Purge::All),
            (mxc, identity, None, false) => Ok(Purge::Of(subject_of(mxc.as_deref(), identity.as_deref())?)),
            _ => Err(Refused::malformed("say one of `mxc`, `identity`, `epoch` and `all`")),
        }
    }
}

/// Forgets what was found out. It goes on if whoever asked has left.
async fn purge(State(context): State<Context>, body: Body) -> Answer {
    let what = read::<PurgeRequest>(body).await?.meant()?;
    let purging = tokio::spawn(async move { context.inspector.purge(&what).await });
    let ended = purging.await.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json_answer(StatusCode::OK, &json!({"removed": ended?})))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: &str = "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff";

    fn address(query: &str) -> Option<String> {
        match asked(query) {
            Ok(Subject::Address(address)) => Some(address),
            Ok(Subject::Identity(_)) | Err(_) => None,
        }
    }

    #[test]
    fn a_medium_is_named_by_its_address_or_by_its_identity() {
        assert_eq!(address("mxc=mxc://hs.test:1/m").as_deref(), Some("hs.test%3A1/m"));
        assert_eq!(address("mxc=mxc%3A%2F%2Fhs.test%2Fm").as_deref(), Some("hs.test/m"));
        let thumbnail = "width=1&mxc=mxc://hs.test/m&height=2&access_token=x";
        assert_eq!(address(thumbnail).as_deref(), Some("hs.test/m?width=1&height=2"));
        assert!(matches!(asked(&format!("identity={IDENTITY}")), Ok(Subject::Identity(_))));
        for query in [
            "",
            "mxc=",
            "mxc=hs.test/m",
            "mxc=mxc://hs.test/a/b",
            "identity=00",
            "identity=zz",
            &format!("identity={IDENTITY}&width=1"),
            &format!("identity={IDENTITY}&mxc=mxc://hs.test/m"),
        ] {
            assert!(matches!(asked(query), Err(Refused(StatusCode::BAD_REQUEST, _))), "{query}");
        }
    }

    #[test]
    fn only_one_thing_is_purged_at_a_time() {
        let meant = |text: &str| serde_json::from_str::<PurgeRequest>(text).ok()?.meant().ok();
        assert!(matches!(meant(r#"{"mxc": "mxc://hs.test/m"}"#), Some(Purge::Of(Subject::Address(_)))));
        assert!(matches!(meant(r#"{"epoch": "stale"}"#), Some(Purge::Stale)));
        assert!(matches!(meant(r#"{"epoch": "1.4/2"}"#), Some(Purge::Epoch(state)) if state == "1.4/2"));
        assert!(matches!(meant(r#"{"all": true}"#), Some(Purge::All)));
        for text in
            ["{}", r#"{"all": false}"#, r#"{"all": true, "epoch": "x"}"#, r#"{"mxc": "m"}"#, r#"{"everything": true}"#]
        {
            assert!(meant(text).is_none(), "{text}");
        }
    }
}
