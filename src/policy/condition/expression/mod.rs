//! Conditions that go beyond lists and ranges, in the [Common Expression Language](https://cel.dev).
//!
//! The crate for it is used here alone. Everything that an expression names is looked up in the table of facts as it is
//! loaded ([`check`]), where facts are also replaced by variables that have names of their own: in CEL, `type` is something else,
//! and would be found where the fact is not known.

mod bounds;
mod calls;
mod check;
mod kinds;

use std::sync::{Arc, LazyLock};

use cel::{
    Context, Env, ExecutionError, IdedExpr, Value as Cel,
    common::{
        types::{CelString, STRING_TYPE},
        value::CowVal,
    },
};
use regex::Regex;

use super::Wrong;
use crate::policy::fact::{Fact, Sheet, Value};

/// Characters that an expression may have.
const LONGEST: usize = 4096;

/// What is told where the parser gives up in a way that is its own fault.
const UNREADABLE: &str = "this expression cannot be read";

/// Bytes of stack for the parser.
const PARSER_STACK: usize = 16 << 20;

/// Bytes that a regular expression may take when it is compiled.
const LARGEST_PATTERN: usize = 1 << 20;

/// What CEL offers, without optional values, which nobody needs here, and with `lower`.
static OFFERED: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib().with_optional_support(false);
    env.add_overload("lower", "lower_text", vec![STRING_TYPE], lower).expect("the name is free");
    env.add_member_overload("lower", "text_lower", STRING_TYPE, Vec::new(), lower).expect("the name is free");
    Arc::new(env)
});

#[expect(clippy::needless_pass_by_value, reason = "the crate wants it so")]
fn lower<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let text = arguments.first().and_then(|argument| argument.downcast_ref::<CelString<'_>>());
    let text = text.ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(CowVal::owned(CelString::from(text.inner().to_lowercase())))
}

/// An expression that is true or false.
#[derive(Clone, Debug)]
pub struct Expression {
    source: Arc<str>,
    root: Arc<IdedExpr>,
    facts: Vec<&'static Fact>,
    /// Shared, since a copy would begin with empty caches on each use.
    patterns: Vec<Arc<Regex>>,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// Why an expression is neither true nor false. It tells no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub String);

impl Expression {
    /// Reads and checks an expression. Errors have an offset where that is known.
    pub fn compile(text: &str) -> Result<Self, Wrong> {
        if text.chars().count() > LONGEST {
            return Err(Wrong::new(format!("expressions have at most {LONGEST} characters")));
        }
        bounds::nesting(text)?;
        // The parser goes down a dozen functions for each bracket before it counts them itself.
        let unread = || Wrong::new(UNREADABLE);
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK);
        let text = text.to_owned();
        let thread = thread.spawn(move || Self::read(&text)).map_err(|_| unread())?;
        thread.join().map_err(|_| unread())?
    }

    fn read(text: &str) -> Result<Self, Wrong> {
        let program = OFFERED.compile(text).map_err(|errors| unreadable(text, &errors))?;
        let checked = check::check(program.expression().clone(), program.source_info());
        let (root, facts, patterns) = checked.map_err(|wrong| {
            let in_characters = |bytes: usize| text.bytes().take(bytes).filter(|byte| byte & 0xc0 != 0x80).count();
            Wrong { offset: wrong.offset.map(in_characters), ..wrong }
        })?;
        let patterns = patterns.into_iter().map(Arc::new).collect();
        Ok(Self { source: text.trim().into(), root: Arc::new(root), facts, patterns })
    }

    /// True if it is so.
    pub fn holds(&self, sheet: &Sheet<'_>) -> Result<bool, ExpressionError> {
        let mut context = Context::with_env(Arc::clone(&OFFERED));
        for fact in &self.facts {
            let value = sheet.get(fact).and_then(bound);
            context.add_variable_from_value(check::known_name(fact), value.is_some());
            if let Some(value) = value {
                context.add_variable_from_value(check::value_name(fact), value);
            }
        }
        for (at, pattern) in self.patterns.iter().enumerate() {
            let pattern = Arc::clone(pattern);
            let function = move |text: Arc<String>| pattern.is_match(&text);
            let added = context.add_function(&check::pattern_name(at), function);
            added.map_err(|_| ExpressionError("a function has two meanings".to_owned()))?;
        }
        match Cel::resolve(&self.root, &context) {
            Ok(Cel::Bool(holds)) => Ok(holds),
            Ok(_) => Err(ExpressionError("it is neither true nor false".to_owned())),
            Err(error) => Err(ExpressionError(told(&error))),
        }
    }

    /// The facts that it is about.
    pub fn facts(&self) -> &[&'static Fact] {
        &self.facts
    }

    /// As it is written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// A value as expressions have it; `None` for what is not for them.
fn bound(value: Value) -> Option<Cel> {
    Some(match value {
        Value::Flag(flag) => Cel::Bool(flag),
        Value::Word(word) => Cel::String(Arc::new(word.to_owned())),
        Value::Words(words) => {
            let word = |word: &&str| Cel::String(Arc::new((*word).to_owned()));
            Cel::List(Arc::new(words.iter().map(word).collect()))
        }
        Value::Text(text) => Cel::String(Arc::new(text.to_string())),
        Value::Texts(texts) => {
            let text = |text: &Arc<str>| Cel::String(Arc::new(text.to_string()));
            Cel::List(Arc::new(texts.iter().map(text).collect()))
        }
        Value::Number(number) => Cel::Int(i64::try_from(number).unwrap_or(i64::MAX)),
        Value::Real(real) => Cel::Float(real),
        Value::Hash(_) => return None,
    })
}

/// What went wrong. The crate's own words would tell values, such as names of files.
fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::UndeclaredReference(name) => match check::fact_of(name) {
            Some(fact) => format!("`{fact}` is not known here; ask `known({fact})` first"),
            None => "something is not known here".to_owned(),
        },
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "it divides by zero".to_owned(),
        ExecutionError::Overflow(..) => "a number becomes too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "a list has fewer values than it asks for".to_owned(),
        ExecutionError::NoSuchOverload(overload) => {
            format!("`{}` is not for such values", overload.function().trim_matches('_'))
        }
        _ => "it cannot be evaluated".to_owned(),
    }
}

/// What the parser says, where it says it.
fn unreadable(text: &str, errors: &cel::ParseErrors) -> Wrong {
    let Some(error) = errors.errors.first() else { return Wrong::new("this is no expression") };
    let (line, column) = (usize::try_from(error.pos.0).unwrap_or(0), usize::try_from(error.pos.1).unwrap_or(0));
    let before = text.split_inclusive('\n').take(line.saturating_sub(1)).map(|line| line.chars().count());
    let offset = (line > 0).then(|| before.sum::<usize>() + column.saturating_sub(1));
    let said = error.msg.trim_start_matches("Syntax error: ");
    let said = said.split(" expecting ").next().unwrap_or(said);
    let wrong = match said.contains("<EOF>") {
        true => Wrong::new("this is no expression: it ends too early"),
        false => Wrong::new(format!("this is no expression: {}", super::wrong::shortened(said))),
    };
    let hint = slip(text, offset, said);
    let wrong = wrong.at(offset);
    if let Some(hint) = hint { wrong.hint(hint) } else { wrong }
}

/// What was probably meant.
fn slip(text: &str, offset: Option<usize>, said: &str) -> Option<&'static str> {
    let before: String = text.chars().take(offset.unwrap_or(0)).collect();
    let rest: String = text.chars().skip(offset?).collect();
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    let is_number = before.ends_with(|c: char| c.is_ascii_digit());
    Some(match word(&rest).as_str() {
        _ if said.contains("has()") => "`has` is for names with a dot; for others write `known(size)`",
        "and" | "AND" => "write `&&`",
        "or" | "OR" => "write `||`",
        _ if before.trim_end().to_lowercase().ends_with("not") => "write `!` for not",
        _ if rest.starts_with('=') => "write `==`",
        unit if is_number && !unit.is_empty() => "there are no units here: sizes are bytes, and ages seconds",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
