//! Whether a policy does what cases expect.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

use serde::Serialize;

use super::{Case, Examine, facts};
use crate::{
    facts::Facts,
    policy::{Policy, explain::Explanation, fact::Sheet},
};

/// What samples are, each found out once.
type Samples<'a> = BTreeMap<&'a Path, io::Result<Facts>>;

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// What it claims.
    pub name: String,
    /// Where it is written.
    pub place: String,
    /// What is otherwise than expected; nothing if it holds.
    pub problems: Vec<String>,
    /// Why it was decided so; only of what does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

impl Outcome {
    /// True if it is as expected.
    pub fn holds(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds() {
            return write!(f, "{}: holds: {}", self.place, self.name);
        }
        write!(f, "{}: fails: {}", self.place, self.name)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))?;
        match &self.explanation {
            Some(explanation) => explanation.to_string().lines().try_for_each(|line| write!(f, "\n    {line}")),
            None => Ok(()),
        }
    }
}

/// Tries all cases. It blocks as long as it takes to read and examine the samples.
pub fn run(policy: &Policy, cases: &[Case], examine: &Examine<'_>, now: SystemTime) -> Vec<Outcome> {
    let mut samples = Samples::new();
    for path in cases.iter().filter_map(|case| case.sample.as_deref()) {
        samples.entry(path).or_insert_with(|| examine(path));
    }
    cases.iter().map(|case| one(policy, case, &samples, now)).collect()
}

fn one(policy: &Policy, case: &Case, samples: &Samples<'_>, now: SystemTime) -> Outcome {
    let (name, place, now) = (case.name.clone(), case.place.clone(), case.at.unwrap_or(now));
    let sample = match case.sample.as_deref().and_then(|path| samples.get_key_value(path)) {
        None => None,
        Some((_, Ok(facts))) => Some(facts),
        Some((path, Err(error))) => {
            let problems = vec![format!("the sample {} cannot be examined: {error}", path.display())];
            return Outcome { name, place, problems, explanation: None };
        }
    };
    let sheet = Sheet::Given(facts::known(&case.given, sample, now));
    let explanation = policy.explain_on(&sheet, now);
    let mut problems = problems(case, &explanation);
    if let Some(id) = ending(policy, case, &explanation) {
        problems.push(format!("`{id}` ends one day, and what is expected with it: say what time it is with `at`"));
    }
    let explanation = (!problems.is_empty()).then_some(explanation);
    Outcome { name, place, problems, explanation }
}

fn problems(case: &Case, got: &Explanation) -> Vec<String> {
    let expect = &case.expect;
    let mut problems = Vec::new();
    let mut compare = |what: &str, expected: Option<String>, got: String| {
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            problems.push(format!("expected {what} {expected}, got {got}"));
        }
    };
    compare("action", Some(expect.action.clone()), got.action.to_owned());
    compare("rule", expect.rule.clone(), got.by.clone());
    let wire = got.refusal.as_ref().and_then(|told| told.wire).unwrap_or("none");
    compare("wire", expect.wire.clone(), wire.to_owned());
    let shadows = got.shadows.iter().map(|shadow| &*shadow.rule);
    compare("shadow", expect.shadow.as_ref().map(|ids| listed(ids.iter().map(String::as_str))), listed(shadows));
    let exceptions = got.exceptions_in_use.iter().map(|id| &**id);
    compare(
        "exceptions",
        expect.exceptions.as_ref().map(|ids| listed(ids.iter().map(String::as_str))),
        listed(exceptions),
    );
    problems
}

/// What ends one day, of that by which a case without a time is as it is. It would hold until then, and from then on keep the
/// whole set from being taken.
fn ending(policy: &Policy, case: &Case, got: &Explanation) -> Option<Arc<str>> {
    if case.at.is_some() {
        return None;
    }
    let shadows = got.shadows.iter().filter(|_| case.expect.shadow.is_some()).map(|shadow| &*shadow.rule);
    let used: BTreeSet<&str> = shadows.chain([got.by.as_str()]).collect();
    let mut of_rules = policy.rules().rules.iter().filter(|rule| rule.expires.is_some() && used.contains(&*rule.id));
    let of_rules = of_rules.next().map(|rule| Arc::clone(&rule.id));
    got.exceptions_in_use.first().cloned().or(of_rules)
}

/// Ids in one order.
fn listed<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: BTreeSet<&str> = ids.collect();
    format!("[{}]", ids.into_iter().collect::<Vec<_>>().join(", "))
}
