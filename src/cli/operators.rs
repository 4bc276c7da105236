//! What is asked of a running Lazaret: `lazaret epoch bump`, `lazaret reload`, `lazaret cache`,
//! `lazaret policy`.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::time::timeout;

use super::ConfigArgs;
use crate::config::Config;

/// The operators' side does little that takes long.
const TIMEOUT: Duration = Duration::from_secs(10);

/// But for going through all that is remembered.
const PATIENCE: Duration = Duration::from_hours(1);

/// More than any answer of the operators' side: the longest are some thousand overrides.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// What is asked.
pub(super) struct Question {
    method: Method,
    path: String,
    body: String,
    timeout: Duration,
}

impl Question {
    pub(super) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: String::new(), timeout: TIMEOUT }
    }

    pub(super) fn with(self, body: &Value) -> Self {
        Self { body: body.to_string(), ..self }
    }

    pub(super) fn patiently(self) -> Self {
        Self { timeout: PATIENCE, ..self }
    }
}

/// Whom is asked, and how the answer is wanted.
#[derive(Debug, Args)]
pub(super) struct Asking {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Asking {
    /// Asks, and prints the answer.
    pub(super) fn ask(&self, question: Question, print: Printer) -> anyhow::Result<ExitCode> {
        answer(&self.config.load()?, question, self.json, print)
    }
}

/// How an answer is printed for people; `None` for what has not the expected form.
pub(super) type Printer = fn(&Value) -> Option<String>;

/// Asks the operators' side of the running process, and prints the answer as it came or for people.
pub(super) fn answer(config: &Config, question: Question, json: bool, print: Printer) -> anyhow::Result<ExitCode> {
    let (succeeded, text) = ask(config, question)?;
    let no_answer = || format!("no answer of this version: {text}");
    let answer: Value = serde_json::from_str(&text).with_context(no_answer)?;
    if let Some(warning) = answer["warning"].as_str() {
        eprintln!("warning: {warning}");
    }
    match (json, succeeded) {
        (true, _) => print!("{text}"),
        (false, true) => print!("{}", print(&answer).with_context(no_answer)?),
        (false, false) => bail!("{}", answer["error"].as_str().unwrap_or("no reason was given")),
    }
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the operators' side of the running process for `path`, and prints what it says.
pub(super) fn post(config: &Config, path: &str) -> anyhow::Result<ExitCode> {
    let (succeeded, text) = ask(config, Question::new(Method::POST, path))?;
    print!("{text}");
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the operators' side of the running process. Gives what it says, and whether it did what was asked.
fn ask(config: &Config, question: Question) -> anyhow::Result<(bool, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let admin = reachable(config.admin.listen);
    let asked = runtime.block_on(async { timeout(question.timeout, send(admin, question)).await });
    let unreachable = || format!("Lazaret's operators' side at {admin} cannot be asked; is it running?");
    asked.map_err(anyhow::Error::from).flatten().with_context(unreachable)
}

/// An address to connect to, where the configuration may say "any".
fn reachable(listen: SocketAddr) -> SocketAddr {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(if listen.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    address
}

async fn send(admin: SocketAddr, question: Question) -> anyhow::Result<(bool, String)> {
    let Question { method, path, body, .. } = question;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder().method(method).uri(format!("http://{admin}{path}"));
    let answer = client.request(request.body(Full::new(Bytes::from(body)))?).await?;
    let succeeded = answer.status().is_success();
    let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok((succeeded, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}
