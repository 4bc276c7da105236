//! What the security team says in place of engines.

use std::time::SystemTime;

use axum::{
    Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    routing::{delete, get},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Context,
    answer::{Answer, Refused, json_answer},
    cache::{read, subject_of},
    words,
};
use crate::{
    cache::overrides::{Override, OverrideError, OverrideId, Target, parse_until},
    inspect::Said,
    verdict::Effect,
};

pub(super) fn routes() -> Router<Context> {
    Router::new().route("/cache/overrides", get(list).post(add)).route("/cache/overrides/{id}", delete(remove))
}

async fn list(State(context): State<Context>) -> Answer {
    let (overrides, now) = (context.inspector.overrides(), SystemTime::now());
    let of_interest = overrides.iter().filter(|(_, one)| !one.is_over(now));
    let all: Vec<Value> = of_interest.map(|(id, one)| words::override_(id, one, now)).collect();
    Ok(json_answer(StatusCode::OK, &json!({"overrides": all})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    effect: Word,
    identity: Option<String>,
    mxc: Option<String>,
    signature: Option<String>,
    author: String,
    reason: String,
    until: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Infected,
    Clean,
}

async fn add(State(context): State<Context>, body: Body) -> Answer {
    let New { effect, identity, mxc, signature, author, reason, until } = read(body).await?;
    let effect = match effect {
        Word::Infected => Effect::ForceInfected,
        Word::Clean => Effect::ForceClean,
    };
    let target = match (&identity, &mxc, signature) {
        (None, None, Some(signature)) => Target::Signature(signature),
        (Some(_), None, None) | (None, Some(_), None) => {
            let subject = subject_of(mxc.as_deref(), identity.as_deref())?;
            Target::Identity(context.inspector.named(&subject, effect).await?)
        }
        _ => return Err(Refused::malformed("say one of `identity`, `mxc` and `signature`")),
    };
    let now = SystemTime::now();
    let new = Override::new(effect, target, (author, reason), (now, parse_until(&until, now)?))?;
    let answer = new.clone();
    let said = context.inspector.overrule(new).await?;
    Ok(json_answer(StatusCode::CREATED, &warned(words::override_(said.id, &answer, now), &said)))
}

async fn remove(State(context): State<Context>, Path(id): Path<String>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let author = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "author");
    let (_, author) = author.ok_or_else(|| Refused::malformed("`author` is missing"))?;
    let id = OverrideId::parse(&id).ok_or(OverrideError::Unknown)?;
    let said = context.inspector.take_back(id, author.into_owned()).await?;
    Ok(json_answer(StatusCode::OK, &warned(json!({"removed": id.to_string()}), &said)))
}

/// With what makes it doubtful that this lasts.
fn warned(mut answer: Value, said: &Said) -> Value {
    if let Some(error) = &said.doubt {
        answer["warning"] = format!("it counts, but the store may lose it: {error}").into();
    }
    answer
}
