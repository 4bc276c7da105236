use proptest::prelude::*;

use super::{
    super::{
        By,
        decide::tests::properties::{policies, sheets},
        testing::{now, rules, sheet},
    },
    *,
};

#[test]
fn every_rule_is_told_with_what_became_of_it() {
    let policy = rules(
        "
        defaults: {incomplete: block}
        rules:
          - {id: old, action: block, end: over}
          - {id: exe, match: {group: executable}, action: block}
          - {id: friend, match: {media.server: a.org}, action: allow}
          - {id: odd, when: 'inside.depth > 1', action: scan}
          - {id: either, match: [{size: '> 10', group: image}, {macros: true}], action: block}
          - {id: huge, match: {size: '>= 5'}, when: 'size > 100', action: block}
          - {id: seen, match: {state: incomplete}, action: allow}
          - {id: watch, match: {state: incomplete}, action: block, mode: shadow}
          - {id: images, match: {group: image}, action: block, reason: 'No images'}
          - {id: rest, action: allow}
        exceptions:
          - {id: no-longer, from: [images], end: over}
          - {id: elsewhere, from: [images], match: {media.server: b.org}}
          - {id: tool, from: [exe], match: {size: 5}}",
    );
    let told = |facts: &str| policy.explain(&sheet(facts), now());
    let explanation = told("{group: executable, size: 5, media.server: a.org}");
    let expected = "facts:
  group: executable
  media.server: a.org
  size: 5
exceptions:
  no-longer (lift): over
  elsewhere (lift): not needed
  tool (lift): matched
rules:
  old (block): over
  exe (block): lifted: by the exception `tool`
  friend (allow): matched
  odd (scan): not reached
  either (block): not reached
  huge (block): not reached
  seen (allow): not reached
  watch (block, in shadow): not reached
  images (block): not reached
  rest (allow): not reached
state: clean is not in the way (default: allow)
decision: allow by friend";
    assert_eq!(explanation.to_string(), expected);
    let explanation = told("{group: image, size: 6, state: clean}");
    let lines: Vec<String> = explanation.exceptions.iter().map(ToString::to_string).collect();
    let missed = "elsewhere (lift): missed: `media.server` has to be b.org (it is not known)";
    assert_eq!(lines, ["no-longer (lift): over", missed, "tool (lift): not needed"]);
    let lines: Vec<String> = explanation.rules.iter().map(ToString::to_string).collect();
    let expected = [
        "old (block): over",
        "exe (block): missed: `group` has to be executable (it is image)",
        "friend (allow): missed: `media.server` has to be a.org (it is not known)",
        "odd (scan): failed: `inside.depth` is not known here; ask `known(inside.depth)` first",
        "either (block): missed: `size` has to be > 10 (it is 6); or `macros` has to be true (it is not known)",
        "huge (block): missed: not true: size > 100",
        "seen (allow): missed: `state` has to be incomplete (it is clean)",
        "watch (block, in shadow): missed: `state` has to be incomplete (it is clean)",
        "images (block): matched",
        "rest (allow): not reached",
    ];
    assert_eq!(lines, expected);
    assert_eq!(explanation.failures, [std::sync::Arc::<str>::from("odd")]);
    let end = "decision: block by images; told as rule (MCS_MIME_TYPE_FORBIDDEN)\n  No images";
    assert!(explanation.to_string().ends_with(end), "{explanation}");
}

#[test]
fn what_stands_in_the_way_is_told() {
    let policy = rules(
        "rules: [{id: friend, match: {media.server: a.org}, action: allow}, {id: all, action: block, mode: shadow}]",
    );
    let explanation = policy.explain(&sheet("{state: infected, media.server: a.org, detections: X}"), now());
    let expected = "facts:
  detections: [X]
  media.server: a.org
  state: infected
rules:
  friend (allow): for others: it does not name the state under `match`, which is in the way
  all (block, in shadow): matched
state: infected is in the way (default: block)
in shadow: all would block, as now
decision: block by default:infected; told as infected (MCS_MEDIA_NOT_CLEAN)";
    assert_eq!(explanation.to_string(), expected);
    let json = serde_json::to_value(&explanation).unwrap();
    assert_eq!(json["gate"]["state"], "infected");
    assert_eq!(json["facts"]["detections"][0], "X");
    assert_eq!(json["refusal"]["wire"], "MCS_MEDIA_NOT_CLEAN");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn an_explanation_tells_what_is_decided(policy in policies(), sheet in sheets()) {
        let (decided, told) = (policy.decide(&sheet, now()), policy.explain(&sheet, now()));
        let is_allowed = decided.decision == Decision::Allow;
        prop_assert_eq!(told.decision == "allow", is_allowed);
        prop_assert_eq!(told.refusal.is_none(), is_allowed);
        prop_assert_eq!(&told.by, &decided.by.name());
        prop_assert_eq!((told.action, &told.engines), (decided.action, &decided.engines));
        prop_assert_eq!((&told.failures, &told.exceptions_in_use), (&decided.failures, &decided.exceptions));
        prop_assert!(told.shadows.iter().map(|one| (&one.rule, one.flips)).eq(decided.shadows.iter().map(|one| (&one.rule, one.flips))));
        // Each rule is told of once, in order, and those behind the one that decides are not reached.
        prop_assert!(told.rules.iter().map(|line| &line.id).eq(policy.rules.iter().map(|rule| &rule.id)));
        let acts = |line: &&Line| line.mode == "enforce" && (line.outcome == "matched" || line.outcome == "failed" && line.action != "allow" && line.action != "scan");
        let hit = told.rules.iter().position(|line| acts(&line));
        if let By::Rule(id) = &decided.by {
            prop_assert_eq!(hit.map(|at| &told.rules[at].id), Some(id));
        }
        let behind = told.rules.iter().skip(hit.map_or(usize::MAX, |at| at + 1));
        prop_assert!(behind.into_iter().all(|line| line.outcome == "not reached"));
        let missed_in_silence = |line: &Line| line.outcome == "missed" && line.why.as_ref().is_none_or(String::is_empty);
        prop_assert!(!told.rules.iter().chain(&told.exceptions).any(missed_in_silence), "{}", told);
    }
}
