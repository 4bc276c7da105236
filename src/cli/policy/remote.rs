//! What is asked of the policy of a running Lazaret.

use std::process::ExitCode;

use http::Method;

use super::print;
use crate::cli::operators::{Asking, Printer, Question};

pub(super) fn status(asking: &Asking) -> anyhow::Result<ExitCode> {
    asking.ask(Question::new(Method::GET, "/policy"), print::status)
}

pub(super) fn reload(asking: &Asking) -> anyhow::Result<ExitCode> {
    asking.ask(Question::new(Method::POST, "/policy/reload").patiently(), print::reloaded)
}

pub(super) fn shadow(reset: bool, asking: &Asking) -> anyhow::Result<ExitCode> {
    let (question, print): (_, Printer) = match reset {
        true => (Question::new(Method::POST, "/policy/shadow/reset"), |_| Some("noted anew from now on\n".to_owned())),
        false => (Question::new(Method::GET, "/policy/shadow"), print::shadow),
    };
    asking.ask(question, print)
}
