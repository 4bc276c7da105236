//! Looks up what an expression names.

use std::collections::BTreeMap;

use cel::common::ast::{Expr, IdedExpr, SourceInfo};
use regex::Regex;

use super::{bounds, calls, kinds::Type};
use crate::policy::{
    condition::Wrong,
    fact::{Fact, Kind, TABLE},
};

/// What the variable of a fact is called.
pub(super) fn value_name(fact: &Fact) -> String {
    format!("fact:{}", fact.name)
}

/// What the variable is called that tells whether a fact is known.
pub(super) fn known_name(fact: &Fact) -> String {
    format!("known:{}", fact.name)
}

/// What the function is called that looks for a pattern.
pub(super) fn pattern_name(at: usize) -> String {
    format!("pattern:{at}")
}

/// The fact of a variable.
pub(super) fn fact_of(variable: &str) -> Option<&str> {
    variable.strip_prefix("fact:")
}

/// A walk through an expression.
pub(super) struct Walk<'a> {
    places: &'a SourceInfo,
    /// Variables of macros, and what they are.
    pub(super) variables: BTreeMap<String, Type>,
    facts: Vec<&'static Fact>,
    pub(super) patterns: Vec<Regex>,
    depth: usize,
    macros: usize,
    steps: usize,
}

/// The expression with facts replaced by variables, the facts, and the patterns of `matches`.
pub(super) fn check(
    mut root: IdedExpr,
    places: &SourceInfo,
) -> Result<(IdedExpr, Vec<&'static Fact>, Vec<Regex>), Wrong> {
    let (variables, facts, patterns) = Default::default();
    let mut walk = Walk { places, variables, facts, patterns, depth: 0, macros: 0, steps: 1 };
    let is = walk.visit(&mut root)?;
    if !is.is_flag() {
        return Err(Wrong::new(format!("this has to be true or false, and is {}", is.name())));
    }
    match walk.facts.is_empty() {
        true => Err(Wrong::new("this asks for no fact, so it is always the same")),
        false => Ok((root, walk.facts, walk.patterns)),
    }
}

impl Walk<'_> {
    /// Checks a part, and replaces facts in it.
    pub(super) fn visit(&mut self, part: &mut IdedExpr) -> Result<Type, Wrong> {
        self.depth += 1;
        if self.depth > bounds::DEEPEST {
            return Err(Wrong::new("this expression is too deep; make several rules of it").at(self.place(part)));
        }
        let is = self.kind(part);
        self.depth -= 1;
        is
    }

    fn kind(&mut self, part: &mut IdedExpr) -> Result<Type, Wrong> {
        let place = self.place(part);
        let useless = |what: &str| Err(Wrong::new(format!("{what} are of no use here")).at(place));
        match &mut part.expr {
            Expr::Literal(literal) => match Type::of_literal(literal) {
                Some(is) => Ok(is),
                None => useless("bytes, null and numbers with `u`"),
            },
            Expr::Ident(name) if name == "@result" => Ok(Type::Any),
            Expr::Ident(name) if self.variables.contains_key(name) => Ok(self.variables[name]),
            Expr::Ident(_) | Expr::Select(_) => self.name(part),
            Expr::Call(_) => calls::call(self, part),
            Expr::List(list) => {
                let mut of = None;
                for item in &mut list.elements {
                    let is = self.visit(item)?;
                    of = Some(of.map_or(is, |of: Type| of.or(is)));
                }
                Ok(if of == Some(Type::Text(None)) { Type::Texts(None) } else { Type::List })
            }
            Expr::Comprehension(_) => self.macros(part),
            Expr::Map(_) | Expr::Struct(_) => useless("maps"),
            Expr::Unspecified => useless("empty expressions"),
        }
    }

    /// A fact, or `has` of one.
    fn name(&mut self, part: &mut IdedExpr) -> Result<Type, Wrong> {
        let asks_known = matches!(&part.expr, Expr::Select(select) if select.test);
        let fact = self.fact(part)?;
        part.expr = Expr::Ident(if asks_known { known_name(fact) } else { value_name(fact) });
        Ok(if asks_known { Type::Flag } else { Type::of(fact) })
    }

    /// The fact that a part names.
    pub(super) fn fact(&mut self, part: &IdedExpr) -> Result<&'static Fact, Wrong> {
        let place = self.place(part);
        let Some(name) = dotted(part) else {
            return Err(Wrong::new("only names of facts have dots; texts and lists have no parts").at(place));
        };
        let root = name.split('.').next().unwrap_or_default();
        if self.variables.contains_key(root) {
            return Err(Wrong::new(format!("`{root}` is a value of a list, and has no parts")).at(place));
        }
        let fact = Fact::named(&name).ok_or_else(|| Fact::unknown(&name).at(place))?;
        if fact.kind == Kind::Hash {
            let text =
                format!("`{name}` is not for expressions: it is kept under a secret name; ask for it in `match`");
            return Err(Wrong::new(text).at(place));
        }
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
        Ok(fact)
    }

    /// `all`, `exists`, `exists_one`, `filter`, `map`.
    fn macros(&mut self, part: &mut IdedExpr) -> Result<Type, Wrong> {
        let place = self.place(part);
        let Expr::Comprehension(inner) = &mut part.expr else { return Ok(Type::Any) };
        let of = self.visit(&mut inner.iter_range)?;
        if !of.is_list() {
            return Err(Wrong::new(format!("this goes through lists, not through {}", of.name())).at(place));
        }
        let name = inner.iter_var.clone();
        if TABLE.iter().any(|fact| fact.name.split('.').next() == Some(&*name)) || self.variables.contains_key(&name) {
            let text = format!("`{name}` is the name of something else already; call the variable otherwise");
            return Err(Wrong::new(text).at(place));
        }
        let (steps, macros) = (self.steps, self.macros);
        self.macros += 1;
        self.steps = bounds::steps(&inner.iter_range, steps, self.macros).map_err(|wrong| wrong.at(place))?;
        self.variables.insert(name.clone(), of.item());
        self.visit(&mut inner.loop_step)?;
        self.variables.remove(&name);
        (self.steps, self.macros) = (steps, macros);
        match &inner.accu_init.expr {
            Expr::List(_) => Ok(Type::List),
            _ => Ok(Type::Flag),
        }
    }

    /// Where a part begins, in characters.
    pub(super) fn place(&self, part: &IdedExpr) -> Option<usize> {
        let mut first = part;
        while let Expr::Select(select) = &first.expr {
            first = &select.operand;
        }
        let place = |part: &IdedExpr| self.places.offset_for(part.id).map(|(start, _)| start as usize);
        place(first).or_else(|| place(part))
    }
}

/// The name that a part spells.
fn dotted(part: &IdedExpr) -> Option<String> {
    match &part.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) => Some(format!("{}.{}", dotted(&select.operand)?, select.field)),
        _ => None,
    }
}
