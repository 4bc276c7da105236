//! What is asked of a running Lazaret.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use http::Method;
use serde_json::Value;

use super::{Common, print};
use crate::{
    cli::operators::{self, Question},
    config::Config,
};

/// Asks, and prints the answer as it came or for people.
pub(super) fn ask(config: &Config, question: Question, json: bool, print: print::Printer) -> anyhow::Result<ExitCode> {
    let (succeeded, text) = operators::ask(config, question)?;
    let no_answer = || format!("no answer of this version: {text}");
    match (json, succeeded) {
        (true, _) => print!("{text}"),
        (false, _) => {
            let answer: Value = serde_json::from_str(&text).with_context(no_answer)?;
            if !succeeded {
                bail!("{}", answer["error"].as_str().unwrap_or("no reason was given"));
            }
            print!("{}", print(&answer).with_context(no_answer)?);
        }
    }
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) fn status(common: &Common) -> anyhow::Result<ExitCode> {
    ask(&common.config.load()?, Question::new(Method::GET, "/policy"), common.json, print::status)
}

pub(super) fn reload(common: &Common) -> anyhow::Result<ExitCode> {
    let question = Question::new(Method::POST, "/policy/reload").patiently();
    ask(&common.config.load()?, question, common.json, print::reloaded)
}

pub(super) fn shadow(reset: bool, common: &Common) -> anyhow::Result<ExitCode> {
    let (question, print): (_, print::Printer) = match reset {
        true => (Question::new(Method::POST, "/policy/shadow/reset"), |_| Some("noted anew from now on\n".to_owned())),
        false => (Question::new(Method::GET, "/policy/shadow"), print::shadow),
    };
    ask(&common.config.load()?, question, common.json, print)
}
