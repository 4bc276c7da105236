//! From facts to a decision.
//!
//! Rules are read from the top, and the first that matches decides. What stands against a medium (it is infected, say) is not
//! undone by a rule that says nothing of it: `allow` and `scan` let it pass only if they name its `state` under `match` (of
//! several maps there, only those count that do), or if the default or an exception lets pass what stands so. What is left out
//! by `not`, or asked for in `when`, names nothing: a condition more never lets more pass. Where no rule matches,
//! the default for how it stands decides; what is let pass in spite of it is then held against the default for what is clean,
//! but for ciphertext, of which no rule knows more.
//!
//! What is refused for how it stands anyway is told to be refused for that, unless the rule asks what engines say: it may know
//! better. A rule that quarantines is still what decided, since it has more done than the default.
//!
//! * Exceptions take away: rules that refuse, and states. They never have anything refused, and are asked only where
//!   something that they take away is in the way. They and rules do nothing once they are over.
//! * What an expression cannot tell acts as the stricter side: a rule that refuses matches, all else does not.
//! * Rules in shadow decide nothing. Of those before the one that decides, it is told what each would have done alone.
//! * Whoever asks over the scanner's routes takes a pass for a verdict. What no engine was asked about does not pass there, whatever
//!   the policy says.

mod seen;

use std::{sync::Arc, time::SystemTime};

use self::seen::Found;
pub(super) use self::seen::{Fate, Seen};
use super::{
    By, Decided, Decision, Openings, Refusal,
    condition::Matched,
    decision::Shadow,
    fact::Sheet,
    rule::{Action, Defaults, Exception, Lifted, Mode, Otherwise, Rule, RuleSet},
    state::State,
};
use crate::facts::Direction;

/// What is decided by, apart from rules.
struct Case<'a> {
    defaults: &'a Defaults,
    sheet: &'a Sheet<'a>,
    state: State,
    exceptions: &'a [Exception],
    now: SystemTime,
}

impl RuleSet {
    /// Decides on what is known.
    pub(super) fn decide(&self, sheet: &Sheet<'_>, now: SystemTime) -> Decided {
        self.decide_seen(sheet, now, &mut |_| ())
    }

    /// Decides, and tells what it sees on the way.
    pub(super) fn decide_seen(&self, sheet: &Sheet<'_>, now: SystemTime, watch: &mut impl FnMut(Seen<'_>)) -> Decided {
        let (case, mut found) = (self.case(sheet, now), Found::default());
        let gate = case.gate(&mut found);
        watch(Seen::Gate(case.state, case.standing(), gate == Decision::Allow));
        case.first(&self.rules, &gate, &mut found, watch);
        case.tell_exceptions(&mut found, watch);
        let (decision, by, action) = match found.hit {
            Some(rule) => case.by_rule(rule, gate),
            None => case.otherwise(gate),
        };
        let engines = found.hit.and_then(engines_of);
        case.decided(found, decision, by, action, engines)
    }

    /// Decides by how a medium stands alone: of its content, rules are asked elsewhere.
    pub(super) fn decide_by_state(
        &self,
        sheet: &Sheet<'_>,
        now: SystemTime,
        watch: &mut impl FnMut(Seen<'_>),
    ) -> Decided {
        let (case, mut found) = (self.case(sheet, now), Found::default());
        // What is clean is refused by default if no rule is about it, and here none was asked.
        let decision = if case.state == State::Clean { Decision::Allow } else { case.gate(&mut found) };
        let passes = decision == Decision::Allow;
        watch(Seen::Gate(case.state, case.standing(), passes));
        case.tell_exceptions(&mut found, watch);
        let by = By::Default(case.state);
        case.decided(found, decision, by, if passes { "allow" } else { "block" }, None)
    }

    /// Engines that have to be asked besides those that always are, as far as that is known before any was. What rules and
    /// exceptions ask of engines is not known then: such rules may not match, and what such exceptions lift may not.
    pub(super) fn engines_for(&self, sheet: &Sheet<'_>, now: SystemTime) -> Option<Arc<[Arc<str>]>> {
        let may_match = |one: &Exception| one.matcher.asks_engines() || one.matcher.matches(sheet) == Matched::Yes;
        let may_be_lifted = |rule: &Rule| {
            let mut lifting = self.exceptions.iter().filter(|one| !one.is_over(now) && one.lifts_rule(rule));
            lifting.any(may_match)
        };
        let acting = self.rules.iter().filter(|rule| rule.mode == Mode::Enforce && !rule.is_over(now));
        let decided = acting.filter(|rule| !rule.matcher.asks_engines());
        let mut matching = decided.filter(|rule| rule.matcher.matches(sheet) == Matched::Yes);
        matching.find(|rule| !may_be_lifted(rule)).and_then(engines_of)
    }

    fn case<'a>(&'a self, sheet: &'a Sheet<'a>, now: SystemTime) -> Case<'a> {
        Case { defaults: &self.defaults, sheet, state: sheet.state(), exceptions: &self.exceptions, now }
    }
}

fn engines_of(rule: &Rule) -> Option<Arc<[Arc<str>]>> {
    match &rule.action {
        Action::Scan(engines) => Some(Arc::clone(engines)),
        Action::Allow | Action::Block | Action::Quarantine => None,
    }
}

fn fate<'a>(matched: Matched) -> Fate<'a> {
    match matched {
        Matched::Yes => Fate::Matched,
        Matched::No => Fate::Missed,
        Matched::Failed(error) => Fate::Failed(error),
    }
}

impl Exception {
    /// True if it is one from this rule. They only take away what refuses.
    fn lifts_rule(&self, rule: &Rule) -> bool {
        let is_meant = |lifted: &Lifted| matches!(lifted, Lifted::Rule(id) if *id == rule.id);
        rule.action.refuses() && self.from.iter().any(is_meant)
    }

    fn lifts_state(&self, state: State) -> bool {
        self.from.contains(&Lifted::State(state))
    }
}

impl<'a> Case<'a> {
    /// Looks for the first rule that acts and matches, and for those before it that match and do not act.
    fn first(&self, rules: &'a [Rule], gate: &Decision, found: &mut Found<'a>, watch: &mut impl FnMut(Seen<'_>)) {
        for rule in rules {
            if found.hit.is_some() {
                watch(Seen::Rule(rule, Fate::NotReached));
                continue;
            }
            let fate = self.fate(rule, gate, found);
            let acts = match &fate {
                Fate::Matched => true,
                Fate::Failed(_) => {
                    found.failures.push(Arc::clone(&rule.id));
                    // What cannot be told acts as the stricter side.
                    rule.action.refuses()
                }
                _ => false,
            };
            match (acts, rule.mode) {
                (true, Mode::Enforce) => found.hit = Some(rule),
                (true, Mode::Shadow) => found.shadows.push(rule),
                (false, _) => (),
            }
            watch(Seen::Rule(rule, fate));
        }
    }

    fn fate(&self, rule: &Rule, gate: &Decision, found: &mut Found<'a>) -> Fate<'a> {
        if rule.is_over(self.now) {
            return Fate::Over;
        }
        if rule.action.refuses() {
            return self.fate_of_refusing(rule, found);
        }
        let passes = self.state == State::Clean || *gate == Decision::Allow;
        match passes {
            true => fate(rule.matcher.matches(self.sheet)),
            false if self.is_unasked() => Fate::ForOthers,
            false => match rule.matcher.matches_by_state(self.sheet) {
                Matched::No => Fate::ForOthers,
                matched => fate(matched),
            },
        }
    }

    fn fate_of_refusing(&self, rule: &Rule, found: &mut Found<'a>) -> Fate<'a> {
        let matched = rule.matcher.matches(self.sheet);
        if matched == Matched::No {
            return Fate::Missed;
        }
        match self.lifting(found, |exception| exception.lifts_rule(rule)) {
            Some(exception) => {
                if rule.mode == Mode::Enforce {
                    found.uses(exception);
                }
                Fate::Lifted(exception)
            }
            None => fate(matched),
        }
    }

    /// The first exception that takes something away, and matches.
    fn lifting(&self, found: &mut Found<'a>, lifts: impl Fn(&Exception) -> bool) -> Option<&'a Exception> {
        let in_force = self.exceptions.iter().enumerate().filter(|(_, one)| !one.is_over(self.now) && lifts(one));
        in_force
            .map(|(at, one)| (one, found.asked(at, one, self.sheet)))
            .find(|(_, is_met)| *is_met)
            .map(|(one, _)| one)
    }

    /// Tells what became of exceptions.
    fn tell_exceptions(&self, found: &mut Found<'a>, watch: &mut impl FnMut(Seen<'_>)) {
        for (at, exception) in self.exceptions.iter().enumerate() {
            let told = match found.asked.remove(&at) {
                Some(matched) => fate(matched),
                None if exception.is_over(self.now) => Fate::Over,
                None => Fate::NotNeeded,
            };
            watch(Seen::Exception(exception, told));
        }
    }

    /// True for what no engine was asked about where a pass is taken for a verdict.
    fn is_unasked(&self) -> bool {
        self.sheet.direction() == Direction::Scan && matches!(self.state, State::Oversize | State::EngineError)
    }

    /// What is said of what stands so.
    fn standing(&self) -> Otherwise {
        match self.state == State::OpaqueMedia && self.sheet.is_unsent() {
            true => self.defaults.of_unsent(),
            false => self.defaults.of(self.state, self.sheet.direction()),
        }
    }

    /// What is done by default with what stands so.
    fn gate(&self, found: &mut Found<'a>) -> Decision {
        let otherwise = match (self.standing(), self.sheet.opened()) {
            (_, _) if self.is_unasked() => return Decision::Block(self.refusal()),
            (Otherwise::Allow, _) | (Otherwise::RequireScanned, Openings::Clean) => return Decision::Allow,
            (Otherwise::RequireScanned, Openings::Infected) => Decision::Block(Refusal::Infected),
            (Otherwise::Block, _) | (Otherwise::RequireScanned, Openings::Unknown) => Decision::Block(self.refusal()),
        };
        match self.lifting(found, |exception| exception.lifts_state(self.state)) {
            Some(exception) => {
                found.uses(exception);
                Decision::Allow
            }
            None => otherwise,
        }
    }

    fn refusal(&self) -> Refusal {
        match self.state {
            State::Clean => Refusal::Unlisted,
            State::Infected => Refusal::Infected,
            State::Incomplete => Refusal::Incomplete,
            State::OpaqueContainer => Refusal::Opaque,
            State::OpaqueMedia => Refusal::Unscanned,
            State::Oversize => Refusal::Oversize,
            State::EngineError => Refusal::EngineError,
        }
    }

    /// What is done where a rule matches.
    fn by_rule(&self, rule: &Rule, gate: Decision) -> (Decision, By, &'static str) {
        let by = By::Rule(Arc::clone(&rule.id));
        match gate {
            _ if !rule.action.refuses() => (Decision::Allow, by, rule.action.name()),
            // It would be refused anyway: for that, then.
            Decision::Block(_) if self.state != State::Clean && !rule.matcher.asks_engines() => match rule.action {
                Action::Quarantine => (gate, by, rule.action.name()),
                _ => (gate, By::Default(self.state), "block"),
            },
            _ => (Decision::Block(Refusal::Rule(Arc::clone(&rule.denial))), by, rule.action.name()),
        }
    }

    /// What is done where no rule matches.
    fn otherwise(&self, gate: Decision) -> (Decision, By, &'static str) {
        let (decision, state) = match (gate, self.state) {
            (Decision::Allow, State::Clean | State::OpaqueMedia) => (Decision::Allow, self.state),
            (Decision::Allow, state) => match self.defaults.of(State::Clean, self.sheet.direction()) {
                Otherwise::Allow => (Decision::Allow, state),
                Otherwise::Block | Otherwise::RequireScanned => (Decision::Block(Refusal::Unlisted), State::Clean),
            },
            (refused, state) => (refused, state),
        };
        let action = if decision == Decision::Allow { "allow" } else { "block" };
        (decision, By::Default(state), action)
    }

    fn decided(
        &self,
        found: Found<'_>,
        decision: Decision,
        by: By,
        action: &'static str,
        engines: Option<Arc<[Arc<str>]>>,
    ) -> Decided {
        let is_allowed = decision == Decision::Allow;
        let shadow = |rule: &Rule| Shadow {
            rule: Arc::clone(&rule.id),
            action: rule.action.name(),
            flips: rule.action.refuses() == is_allowed,
        };
        let shadows = found.shadows.into_iter().map(shadow).collect();
        let exceptions = found.used.iter().map(|one| Arc::clone(&one.id)).collect();
        Decided { decision, by, action, state: self.state, exceptions, engines, shadows, failures: found.failures }
    }
}

#[cfg(test)]
pub(super) mod tests;
