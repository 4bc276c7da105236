//! The policy in force: what it is, reading it again, why it decides as it does, and what another one would have done.

mod sent;
mod words;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::TryAcquireError;

use super::{
    Context,
    answer::{Answer, Refused, json_answer},
    cache::{asked, read_at_most},
};
use crate::{
    facts::{Direction, Occasion},
    inspect::{Reach, Subject},
    media::{MediaRef, ServerName},
    reload::Outcome,
};

/// Longest body with a policy, in bytes.
const MAX_POLICY: usize = 32 * 1024 * 1024;

/// Longest replay.
const PATIENCE: Duration = Duration::from_mins(10);

/// Media of one replay, if nobody says how many.
const MOST: u64 = 10_000_000;

pub(super) fn routes() -> Router<Context> {
    Router::new()
        .route("/policy", get(status))
        .route("/policy/reload", post(reload))
        .route("/policy/explain", get(explain))
        .route("/policy/replay", post(replay))
        .route("/policy/shadow", get(shadow))
        .route("/policy/shadow/reset", post(reset_shadow))
}

async fn status(State(context): State<Context>) -> Answer {
    Ok(json_answer(StatusCode::OK, &words::status(context.reloader.policy())))
}

/// Reads the policy again. What cannot be used replaces nothing.
async fn reload(State(context): State<Context>) -> Answer {
    match context.reloader.reload_policy().await {
        Outcome::Taken(summary) => Ok(json_answer(StatusCode::OK, &words::reloaded(&summary, true))),
        Outcome::Unchanged(summary) => Ok(json_answer(StatusCode::OK, &words::reloaded(&summary, false))),
        Outcome::Refused(why) => Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, why)),
    }
}

async fn explain(State(context): State<Context>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let (ours, others): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|parameter| parameter.starts_with("direction="));
    let direction = match ours[..] {
        [] => Direction::Download,
        [one] => one
            .strip_prefix("direction=")
            .and_then(Direction::named)
            .ok_or_else(|| Refused::malformed("`direction` is upload, download, thumbnail, federation or scan"))?,
        _ => return Err(Refused::malformed("say `direction` once")),
    };
    let subject = asked(&others.join("&"))?;
    let mxc = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "mxc");
    let media = match &subject {
        Subject::Address(_) => mxc.and_then(|(_, mxc)| MediaRef::from_mxc(&mxc).ok()),
        Subject::Identity(_) => None,
    };
    let asked = asked_for(context.server_name.as_ref(), direction, media.as_ref());
    let explained = context.inspector.explain(&subject, &asked).await?;
    let revision = context.reloader.policy().in_force().current().revision();
    Ok(json_answer(StatusCode::OK, &words::explained(&explained, &revision)?))
}

/// A request for a medium, as far as its address tells of it.
fn asked_for(ours: Option<&ServerName>, direction: Direction, media: Option<&MediaRef>) -> Occasion {
    // What is uploaded is, and other servers ask for nothing else.
    let is_ours = matches!(direction, Direction::Upload | Direction::Federation);
    let by_address = || ours.zip(media).map(|(ours, media)| ours.has(media));
    Occasion {
        server: media.map(|media| media.server().into()),
        media_id: media.map(|media| media.media_id().into()),
        is_local: is_ours.then_some(true).or_else(by_address),
        ..Occasion::usual(direction)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayRequest {
    /// For how long before now.
    since: Option<String>,
    limit: Option<u64>,
    policy: Option<Sent>,
}

/// Files of a policy, by their names below its directory.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    files: BTreeMap<String, String>,
}

/// Goes through what is remembered. Whoever asks and leaves ends it.
async fn replay(State(context): State<Context>, body: Body) -> Answer {
    let _turn = context.replays.try_acquire().map_err(|error| match error {
        TryAcquireError::NoPermits => Refused(StatusCode::CONFLICT, "another replay is under way".to_owned()),
        TryAcquireError::Closed => Refused(StatusCode::SERVICE_UNAVAILABLE, "the process ends".to_owned()),
    })?;
    let ReplayRequest { since, limit, policy } = read_at_most(body, MAX_POLICY).await?;
    let files = context.reloader.policy();
    let since = match since {
        None => SystemTime::UNIX_EPOCH,
        Some(text) => {
            let length = humantime::parse_duration(&text).map_err(|error| Refused::malformed(error.to_string()))?;
            files.clock().now().checked_sub(length).unwrap_or(SystemTime::UNIX_EPOCH)
        }
    };
    let new = match policy {
        None => files.in_force().current(),
        Some(Sent { files: sent }) => {
            let (files, spooler) = (Arc::clone(files), Arc::clone(&context.spooler));
            let reading =
                tokio::task::spawn_blocking(move || sent::read(&sent, &spooler, files.source(), files.clock().now()));
            let read = reading.await.map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
            Arc::new(read?)
        }
    };
    let reach = Reach { since, limit: limit.unwrap_or(MOST), patience: PATIENCE };
    let replay = context.inspector.replay(&new, &reach).await?;
    Ok(json_answer(StatusCode::OK, &words::replay(&replay, since)))
}

async fn shadow(State(context): State<Context>) -> Answer {
    let in_force = context.reloader.policy().in_force();
    Ok(json_answer(StatusCode::OK, &words::shadows(in_force)))
}

/// Begins to note anew.
async fn reset_shadow(State(context): State<Context>) -> Answer {
    let files = context.reloader.policy();
    files.in_force().tally().forget_shadows(files.clock().now());
    Ok(json_answer(StatusCode::OK, &json!({"reset": true})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_whose_the_medium_is_and_its_id() {
        let ours = ServerName::try_from("hs.test".to_owned()).unwrap();
        let is_local = |ours: Option<&ServerName>, direction, mxc: &str| {
            let asked = asked_for(ours, direction, Some(&MediaRef::from_mxc(mxc).unwrap()));
            assert_eq!(asked.media_id.as_deref(), Some("m"));
            asked.is_local
        };
        for (mxc, local) in [("mxc://HS.test/m", true), ("mxc://other.test/m", false)] {
            assert_eq!(is_local(Some(&ours), Direction::Download, mxc), Some(local));
            assert_eq!(is_local(None, Direction::Scan, mxc), None);
            for direction in [Direction::Upload, Direction::Federation] {
                assert_eq!(is_local(None, direction, mxc), Some(true), "{direction:?}");
            }
        }
        assert_eq!(asked_for(Some(&ours), Direction::Download, None).is_local, None);
    }
}
