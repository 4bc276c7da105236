//! Bounds of expressions, so that none takes the stack or the time of a scan.

use cel::common::ast::{Expr, IdedExpr, operators};

use crate::policy::condition::Wrong;

/// Expressions in one another.
pub(super) const DEEPEST: usize = 48;

/// How often the inside of macros may be evaluated.
const MOST_STEPS: usize = 4096;

/// Values that a list of a fact is taken to have.
const USUAL: usize = 32;

/// Signs that begin something that goes into another, or goes on. The parser takes stack for each until the end.
const SIGNS: &str = "([{!-+*/%?.=<>&|";

/// How many of them there may be.
const MOST_SIGNS: usize = 500;

/// How many brackets may be opened.
const MOST_BRACKETS: usize = 80;

/// Refuses what would take the parser's own stack, and that of all that walk through what it reads.
pub(super) fn nesting(text: &str) -> Result<(), Wrong> {
    let count = |signs: &str| text.chars().filter(|c| signs.contains(*c)).count();
    match count(SIGNS) > MOST_SIGNS || count("([{") > MOST_BRACKETS {
        true => Err(Wrong::new("this expression has too many operators and brackets; make several rules of it")),
        false => Ok(()),
    }
}

/// How often the inside of macros would be evaluated, at most; refuses what is too much. Macros are seen by `steps`, the number
/// of times that this place is evaluated itself.
pub(super) fn steps(range: &IdedExpr, steps: usize, depth: usize) -> Result<usize, Wrong> {
    let steps = steps.saturating_mul(length(range).max(1));
    match (depth, steps) {
        (3.., _) => Err(Wrong::new("macros like `exists` can be in one another twice at most")),
        (_, steps) if steps > MOST_STEPS => Err(Wrong::new("this would take too long: its lists are too long")),
        _ => Ok(steps),
    }
}

/// How many values a list has, at most.
fn length(list: &IdedExpr) -> usize {
    match &list.expr {
        Expr::List(list) => list.elements.len(),
        Expr::Ident(_) => USUAL,
        Expr::Comprehension(inner) => length(&inner.iter_range),
        Expr::Call(call) if call.func_name == operators::ADD => {
            call.args.iter().map(length).fold(0, usize::saturating_add)
        }
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            call.args.iter().skip(1).map(length).max().unwrap_or(0)
        }
        _ => USUAL,
    }
}
