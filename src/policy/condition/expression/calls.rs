//! Operators and functions.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use regex::RegexBuilder;

use super::{
    LARGEST_PATTERN,
    check::{Walk, known_name, pattern_name},
    kinds::{Type, Vocabulary},
};
use crate::policy::condition::Wrong;

/// Functions that expressions can use.
const FUNCTIONS: [&str; 16] = [
    "has",
    "known",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "lower",
    "int",
    "double",
    "string",
    "all",
    "exists",
    "exists_one",
    "filter",
    "map",
];

/// An operator or a function.
pub(super) fn call(walk: &mut Walk<'_>, part: &mut IdedExpr) -> Result<Type, Wrong> {
    let place = walk.place(part);
    let Expr::Call(call) = &mut part.expr else { return Ok(Type::Any) };
    match (call.func_name.as_str(), call.target.is_some()) {
        ("known", false) => {
            let [argument] = call.args.as_slice() else {
                return Err(Wrong::new("`known` takes the name of a fact").at(place));
            };
            let fact = walk.fact(argument)?;
            part.expr = Expr::Ident(known_name(fact));
            Ok(Type::Flag)
        }
        ("matches", _) => matches(walk, call, place),
        _ => of_call(walk, call).map_err(|wrong| Wrong { offset: wrong.offset.or(place), ..wrong }),
    }
}

fn of_call(walk: &mut Walk<'_>, call: &mut CallExpr) -> Result<Type, Wrong> {
    let name = call.func_name.clone();
    let is_operator = name.starts_with(['_', '!', '@', '-']);
    if !is_operator && !FUNCTIONS.contains(&name.as_str()) {
        let text = format!("there is no function `{name}`");
        return Err(Wrong::unknown(text, &name, FUNCTIONS));
    }
    let mut kinds = Vec::new();
    for argument in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
        kinds.push(walk.visit(argument)?);
    }
    if is_operator {
        return operator(&name, call, &kinds);
    }
    let (takes, fits, gives): (_, fn(&[Type]) -> bool, _) = match name.as_str() {
        "size" => ("a text or a list", |of| matches!(of, [one] if one.is_text() || one.is_list()), Type::Whole),
        "contains" | "startsWith" | "endsWith" if call.target.is_some() => {
            ("two texts: `a.contains(b)`", |of| matches!(of, [one, two] if one.is_text() && two.is_text()), Type::Flag)
        }
        "lower" => ("a text", |of| matches!(of, [one] if one.is_text()), Type::Text(None)),
        "int" => ("a number or a text", is_scalar, Type::Whole),
        "double" => ("a number or a text", is_scalar, Type::Real),
        "string" => ("a number, a text or a flag", |of| is_scalar(of) || *of == [Type::Flag], Type::Text(None)),
        _ => (
            "something else: it is called as `a.contains(b)`, `list.exists(x, x == a)`, `has(a.b)`",
            |_| false,
            Type::Any,
        ),
    };
    match fits(&kinds) {
        true => Ok(gives),
        false => Err(Wrong::new(format!("`{name}` takes {takes}"))),
    }
}

fn is_scalar(of: &[Type]) -> bool {
    matches!(of, [one] if one.is_number() || one.is_text())
}

fn operator(name: &str, call: &CallExpr, kinds: &[Type]) -> Result<Type, Wrong> {
    let shown = name.trim_matches(['_', '@']);
    let not_for = |kinds: &[Type]| {
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        Err(Wrong::new(format!("`{shown}` is not for {}", kinds.join(" and "))))
    };
    match (name, kinds) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR, [one, other]) if one.is_flag() && other.is_flag() => {
            Ok(Type::Flag)
        }
        (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, [one]) if one.is_flag() => Ok(Type::Flag),
        (operators::CONDITIONAL, [asked, one, other]) if asked.is_flag() => Ok(one.or(*other)),
        (operators::EQUALS | operators::NOT_EQUALS, [one, other]) => match one.compares_with(*other) {
            true => words(call, kinds).map(|()| Type::Flag),
            false => Err(Wrong::new(format!("{} is compared with {}, which is never equal", one.name(), other.name()))),
        },
        (operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS, [one, other]) => {
            match (one.is_number() && other.is_number()) || (one.is_text() && other.is_text()) {
                true => Ok(Type::Flag),
                false => {
                    let wrong = Wrong::new(format!("{} is compared with {}", one.name(), other.name()));
                    match one.is_number() || other.is_number() {
                        true => Err(wrong.hint("sizes are bytes here, and ages seconds, as numbers without quotes")),
                        false => Err(wrong),
                    }
                }
            }
        }
        (operators::IN, [one, other]) if other.is_list() && other.item().compares_with(*one) => {
            words(call, kinds).map(|()| Type::Flag)
        }
        (operators::IN, [_, Type::Text(_)]) => {
            Err(Wrong::new("`in` looks in lists").hint("for texts write `a.contains(b)`"))
        }
        (operators::ADD, [one, other]) if one.is_text() && other.is_text() => Ok(Type::Text(None).or(one.or(*other))),
        (operators::ADD, [one, other]) if one.is_list() && other.is_list() => Ok(Type::List),
        (
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
            [one, other],
        ) if one.is_number() && other.is_number() => match (one, other) {
            (Type::Whole, Type::Real) | (Type::Real, Type::Whole) => {
                Err(Wrong::new(format!("`{shown}` is not for a whole number and one with a fraction"))
                    .hint("make both of one kind: double(size) or 2.0"))
            }
            _ => Ok(one.or(*other)),
        },
        (operators::NEGATE, [one]) if one.is_number() => Ok(*one),
        (operators::INDEX, [one, at]) if one.is_list() && at.is_number() => Ok(one.item()),
        _ => not_for(kinds),
    }
}

/// Refuses words that a fact can never be.
fn words(call: &CallExpr, kinds: &[Type]) -> Result<(), Wrong> {
    let [one, other] = call.args.as_slice() else { return Ok(()) };
    let vocabularies: Vec<Vocabulary> = kinds.iter().map(|kind| kind.vocabulary()).collect();
    for (literal, vocabulary) in [(one, vocabularies.get(1)), (other, vocabularies.first())] {
        let Some(Some((fact, words))) = vocabulary else { continue };
        for word in texts(literal) {
            if !words.contains(&word) {
                let text = format!("`{fact}` is never `{word}`: there are {}", words.join(", "));
                return Err(Wrong::unknown(text, word, words.iter().copied()));
            }
        }
    }
    Ok(())
}

/// The text of a literal, or those of a list of literals.
fn texts(part: &IdedExpr) -> Vec<&str> {
    match &part.expr {
        Expr::Literal(LiteralValue::String(text)) => vec![text.inner()],
        Expr::List(list) => list.elements.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// `matches`: its pattern is compiled once, here, and the call becomes one of a function of its own.
fn matches(walk: &mut Walk<'_>, call: &mut CallExpr, place: Option<usize>) -> Result<Type, Wrong> {
    let mut arguments: Vec<IdedExpr> = call.target.take().map(|target| *target).into_iter().collect();
    arguments.append(&mut call.args);
    let Ok([mut text, pattern]) = <[IdedExpr; 2]>::try_from(arguments) else {
        return Err(Wrong::new("`matches` takes a text and a pattern: `a.matches(\"^x\")`").at(place));
    };
    let is = walk.visit(&mut text)?;
    if !is.is_text() {
        return Err(Wrong::new(format!("`matches` takes a text, not {}", is.name())).at(place));
    }
    let Expr::Literal(LiteralValue::String(literal)) = &pattern.expr else {
        return Err(Wrong::new("the pattern of `matches` has to be a text as it is").at(walk.place(&pattern)));
    };
    let compiled = RegexBuilder::new(literal.inner()).size_limit(LARGEST_PATTERN).build();
    let compiled = compiled.map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or("it is too large").trim_start_matches("error: ");
        Wrong::new(format!("this is no regular expression: {why}")).at(walk.place(&pattern))
    })?;
    call.func_name = pattern_name(walk.patterns.len());
    call.args = vec![text];
    walk.patterns.push(compiled);
    Ok(Type::Flag)
}
