//! `lazaret cache`: what a running Lazaret remembers, and what the security team says in place of engines.

mod print;

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;
use url::form_urlencoded;

use super::operators::{Asking, Printer, Question};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say what the verdict store holds, and by which signatures verdicts are given.
    Stats(Asking),
    /// Say what is known of a medium.
    Get {
        #[command(flatten)]
        medium: Medium,
        #[command(flatten)]
        asking: Asking,
    },
    /// Forget verdicts, so that media are scanned again. Overrides stay.
    Purge {
        #[command(flatten)]
        what: PurgeArgs,
        #[command(flatten)]
        asking: Asking,
    },
    /// Say in place of engines what is infected and what is clean.
    #[command(subcommand)]
    Override(Override),
}

#[derive(Debug, Subcommand)]
pub(super) enum Override {
    /// Have a medium, or all with a signature, taken for infected or for clean, at once and for a while.
    Add {
        #[command(flatten)]
        new: New,
        #[command(flatten)]
        asking: Asking,
    },
    /// List overrides: those that act, and those that ended or were removed not long ago.
    List(Asking),
    /// Take an override back.
    Remove {
        /// Its name, as `list` prints it.
        id: String,
        /// Who takes it back.
        #[arg(long)]
        author: String,
        #[command(flatten)]
        asking: Asking,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Medium {
    /// Its address, as `mxc://server/id`.
    mxc: Option<String>,
    /// Its identity, as it stands in logs and answers.
    #[arg(long, value_name = "HEX")]
    identity: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// What is known of the medium that was last found at `mxc://server/id`.
    #[arg(long)]
    mxc: Option<String>,
    /// What is known of the medium with this identity.
    #[arg(long, value_name = "HEX")]
    identity: Option<String>,
    /// All verdicts that were given in this state of the engines, as `cache get` prints it.
    #[arg(long, value_name = "STATE")]
    epoch: Option<String>,
    /// All verdicts from signatures that are no longer in use.
    #[arg(long)]
    stale: bool,
    /// Everything, with what is known of who was given what.
    #[arg(long, requires = "yes")]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    scope: Scope,
    /// Needed with --all: until all is scanned again, engines have much to do.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Effect {
    /// Take it for clean, whatever engines say. Rules on types and on ciphertext still hold.
    #[arg(long)]
    clean: bool,
    /// Take it for infected, whatever engines say.
    #[arg(long)]
    infected: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The bytes with this identity.
    #[arg(long, value_name = "HEX")]
    identity: Option<String>,
    /// The bytes that were last found at `mxc://server/id`, wherever else they are.
    #[arg(long)]
    mxc: Option<String>,
    /// All bytes of which engines say exactly this.
    #[arg(long, value_name = "NAME")]
    signature: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct New {
    #[command(flatten)]
    effect: Effect,
    #[command(flatten)]
    target: Target,
    /// Who says so.
    #[arg(long)]
    author: String,
    /// Why.
    #[arg(long)]
    reason: String,
    /// When it ends, a year from now at the latest: 2027-01-01, 2027-01-01T12:00:00Z or 30d.
    #[arg(long, value_name = "TIME")]
    until: String,
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let (asking, question, print): (_, _, Printer) = match command {
        Command::Stats(asking) => (asking, Question::new(Method::GET, "/cache/stats"), print::stats),
        Command::Get { medium, asking } => (asking, get(medium), print::entry),
        Command::Purge { what, asking } => (asking, purge(&what.scope), print::removed),
        Command::Override(Override::Add { new, asking }) => (asking, add(new), print::override_),
        Command::Override(Override::List(asking)) => {
            (asking, Question::new(Method::GET, "/cache/overrides"), print::overrides)
        }
        Command::Override(Override::Remove { id, author, asking }) => {
            (asking, remove(id, author)?, |answer| Some(format!("removed {}\n", answer["removed"].as_str()?)))
        }
    };
    asking.ask(question, print)
}

fn get(medium: &Medium) -> Question {
    let Medium { mxc, identity } = medium;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(mxc.iter().map(|mxc| ("mxc", mxc)));
    query.extend_pairs(identity.iter().map(|identity| ("identity", identity)));
    Question::new(Method::GET, format!("/cache/entry?{}", query.finish()))
}

fn purge(scope: &Scope) -> Question {
    let Scope { mxc, identity, epoch, stale, all } = scope;
    let epoch = if *stale { Some("stale") } else { epoch.as_deref() };
    let body = json!({"mxc": mxc, "identity": identity, "epoch": epoch, "all": all});
    Question::new(Method::POST, "/cache/purge").with(&body).patiently()
}

fn add(new: &New) -> Question {
    let New { effect, target: Target { identity, mxc, signature }, author, reason, until } = new;
    let effect = if effect.clean { "clean" } else { "infected" };
    let body = json!({
        "effect": effect, "identity": identity, "mxc": mxc, "signature": signature,
        "author": author, "reason": reason, "until": until,
    });
    Question::new(Method::POST, "/cache/overrides").with(&body)
}

fn remove(id: &str, author: &str) -> anyhow::Result<Question> {
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        bail!("`{id}` is no id of an override");
    }
    let author = form_urlencoded::Serializer::new(String::new()).append_pair("author", author).finish();
    Ok(Question::new(Method::DELETE, format!("/cache/overrides/{id}?{author}")))
}
