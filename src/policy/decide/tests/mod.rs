use super::{
    super::testing::{now, rules, sheet},
    *,
};

/// What is decided: `allow`, or how the refusal is called; and by what.
fn decided(policy: &str, facts: &str) -> (String, String) {
    let decided = rules(policy).decide(&sheet(facts), now());
    let decision = match &decided.decision {
        Decision::Allow => "allow".to_owned(),
        Decision::Block(Refusal::Rule(denial)) => format!("rule {}", denial.rule),
        Decision::Block(refusal) => format!("{refusal:?}"),
    };
    (decision, decided.by.name())
}

#[track_caller]
fn check(policy: &str, cases: &[(&str, &str, &str)]) {
    for (facts, decision, by) in cases {
        assert_eq!(decided(policy, facts), ((*decision).to_owned(), (*by).to_owned()), "{facts}");
    }
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = "
        rules:
          - {id: png, match: {type: image/png}, action: allow}
          - {id: images, match: {group: image}, action: block}
          - {id: any, action: allow}
          - {id: never, action: block}";
    check(
        policy,
        &[
            ("{type: image/png, group: image}", "allow", "png"),
            ("{type: image/gif, group: image}", "rule images", "images"),
            ("{group: text}", "allow", "any"),
        ],
    );
}

#[test]
fn where_no_rule_matches_the_default_decides() {
    check(
        "{}",
        &[
            ("{}", "allow", "default:clean"),
            ("{state: infected}", "Infected", "default:infected"),
            ("{state: incomplete}", "Incomplete", "default:incomplete"),
            ("{state: opaque_container}", "Opaque", "default:opaque_container"),
            ("{state: opaque_media}", "allow", "default:opaque_media"),
            ("{state: oversize}", "Oversize", "default:oversize"),
            ("{state: engine_error}", "EngineError", "default:engine_error"),
        ],
    );
    check(
        "defaults: {clean: block, incomplete: allow, opaque_media: require_scanned}
rules: [{id: png, match: {type: image/png}, action: allow}]",
        &[
            ("{type: image/png}", "allow", "png"),
            ("{type: image/gif}", "Unlisted", "default:clean"),
            // held against the default for what is clean
            ("{type: image/png, state: incomplete}", "allow", "png"),
            ("{type: image/gif, state: incomplete}", "Unlisted", "default:clean"),
            // but ciphertext is not
            ("{state: opaque_media}", "Unscanned", "default:opaque_media"),
            ("{state: opaque_media, opened: clean}", "allow", "default:opaque_media"),
            ("{state: opaque_media, opened: infected}", "Infected", "default:opaque_media"),
        ],
    );
}

#[test]
fn what_stands_against_a_medium_is_undone_only_by_rules_that_ask_for_it() {
    check(
        "
        rules:
          - {id: partner, match: {media.server: a.org}, action: allow}
          - {id: second, match: {media.server: b.org}, action: scan}
          - {id: known-bomb, match: [{state: incomplete, type: a/b}, {type: c/d}], action: allow}
          - {id: left-out, match: {type: e/f, state: {not: infected}}, action: allow}
          - {id: in-words, when: 'state != \"infected\" && type == \"g/h\"', action: allow}
          - {id: any-known, match: {type: i/j, state: {known: true}}, action: allow}
          - {id: both, match: {state: [infected, incomplete]}, when: 'type == \"k/l\"', action: allow}",
        &[
            ("{media.server: a.org}", "allow", "partner"),
            ("{media.server: a.org, state: infected}", "Infected", "default:infected"),
            ("{media.server: b.org, state: incomplete}", "Incomplete", "default:incomplete"),
            ("{type: a/b, state: incomplete}", "allow", "known-bomb"),
            ("{type: a/b, state: infected}", "Infected", "default:infected"),
            ("{type: c/d}", "allow", "known-bomb"),
            // of several maps, only those count that ask for the state
            ("{type: c/d, state: incomplete}", "Incomplete", "default:incomplete"),
            // what is left out, or asked for in words, is not named
            ("{type: e/f, state: incomplete}", "Incomplete", "default:incomplete"),
            ("{type: g/h, state: incomplete}", "Incomplete", "default:incomplete"),
            ("{type: i/j, state: incomplete}", "Incomplete", "default:incomplete"),
            ("{type: e/f}", "allow", "left-out"),
            ("{type: g/h, state: clean}", "allow", "in-words"),
            ("{type: k/l, state: infected}", "allow", "both"),
        ],
    );
    check(
        "{defaults: {incomplete: allow}, rules: [{id: all, action: allow}]}",
        &[("{state: incomplete}", "allow", "all"), ("{state: infected}", "Infected", "default:infected")],
    );
}

#[test]
fn what_is_refused_for_how_it_stands_anyway_is_told_so_unless_the_rule_knows_of_that() {
    check(
        "
        rules:
          - {id: test, match: {detections: Test*}, action: block}
          - {id: doc, match: {type: a/doc, state: infected}, action: block}
          - {id: exe, match: {group: executable}, action: block}
          - {id: js, match: {group: script}, action: quarantine}",
        &[
            ("{group: executable}", "rule exe", "exe"),
            ("{group: executable, state: infected}", "Infected", "default:infected"),
            ("{group: executable, state: infected, detections: Test.X}", "rule test", "test"),
            ("{type: a/doc, state: infected}", "rule doc", "doc"),
            ("{group: script}", "rule js", "js"),
            ("{group: script, state: infected}", "Infected", "js"),
        ],
    );
    let policy = "{defaults: {clean: block}, rules: [{id: exe, match: {group: executable}, action: block}]}";
    check(policy, &[("{group: executable}", "rule exe", "exe"), ("{group: text}", "Unlisted", "default:clean")]);
    let kept = rules("rules: [{id: js, match: {group: script}, action: quarantine}]");
    assert_eq!(kept.decide(&sheet("{group: script, state: infected}"), now()).action, "quarantine");
}

#[test]
fn an_exception_takes_away_what_it_names_and_nothing_else() {
    let policy = "
        rules:
          - {id: exe, match: {group: executable}, action: block}
          - {id: large, match: {size: '> 10'}, action: block}
          - {id: tools, match: {group: executable}, action: allow}
        exceptions:
          - {id: tool, from: [exe], match: {media.server: a.org}}
          - {id: false-positive, from: [infected], match: {type: a/b}}
          - {id: both, from: [infected, exe, tools], match: {user: '@a:b'}}
          - {id: old, from: [exe, infected], match: {user: '@old:b'}, end: over}";
    check(
        policy,
        &[
            ("{group: executable, size: 1}", "rule exe", "exe"),
            ("{group: executable, size: 1, media.server: a.org}", "allow", "tools"),
            ("{group: executable, size: 20, media.server: a.org}", "rule large", "large"),
            ("{group: executable, size: 1, media.server: a.org, state: infected}", "Infected", "default:infected"),
            ("{type: a/b, size: 1, state: infected}", "allow", "default:infected"),
            ("{type: a/b, size: 1, state: incomplete}", "Incomplete", "default:incomplete"),
            ("{type: a/b, size: 1, state: infected, group: executable}", "rule exe", "exe"),
            // what lets pass is not taken away
            ("{user: '@a:b', group: executable, state: infected}", "allow", "tools"),
            ("{user: '@old:b', group: executable}", "rule exe", "exe"),
            ("{user: '@old:b', state: infected}", "Infected", "default:infected"),
        ],
    );
    let used = |facts: &str| rules(policy).decide(&sheet(facts), now()).exceptions.join(" ");
    assert_eq!(used("{group: executable, media.server: a.org}"), "tool");
    assert_eq!(used("{group: text, media.server: a.org}"), "");
    assert_eq!(used("{type: a/b, state: infected}"), "false-positive");
    assert_eq!(used("{type: a/b}"), "");
    assert_eq!(used("{user: '@a:b', group: executable, state: infected}"), "both");
}

#[test]
fn exceptions_are_asked_only_where_they_are_needed() {
    let policy = rules(
        "
        rules: [{id: exe, match: {group: executable}, action: block}]
        exceptions:
          - {id: rule, from: [exe], when: 'inside.depth > 1'}
          - {id: state, from: [infected], when: 'inside.depth > 1'}",
    );
    let failed = |facts: &str| policy.decide(&sheet(facts), now()).failures.join(" ");
    assert_eq!(failed("{group: text}"), "");
    assert_eq!(failed("{group: executable}"), "rule");
    assert_eq!(failed("{group: text, state: infected}"), "state");
}

#[test]
fn what_is_let_pass_by_an_exception_is_still_held_against_the_list_of_what_may_pass() {
    check(
        "
        defaults: {clean: block}
        rules: [{id: png, match: {type: image/png}, action: allow}]
        exceptions: [{id: any, from: [infected], match: {media.server: a.org}}]",
        &[
            ("{state: infected, media.server: a.org, type: image/png}", "allow", "png"),
            ("{state: infected, media.server: a.org, type: image/gif}", "Unlisted", "default:clean"),
        ],
    );
}

#[test]
fn what_is_over_does_nothing() {
    check(
        "
        rules:
          - {id: old, action: block, end: over}
          - {id: current, match: {group: text}, action: block, end: later}",
        &[("{group: image}", "allow", "default:clean"), ("{group: text}", "rule current", "current")],
    );
}

#[test]
fn what_cannot_be_told_acts_as_the_stricter_side_and_is_counted() {
    let policy = "
        rules:
          - {id: pass, when: 'inside.depth > 1', action: allow}
          - {id: look, when: 'inside.depth > 1', action: scan}
          - {id: watch, when: 'inside.depth > 1', action: block, mode: shadow}
          - {id: not-asked, match: {group: text}, when: 'inside.depth > 1', action: block}
          - {id: stop, when: 'inside.depth > 1', action: block}
        exceptions:
          - {id: but, from: [stop], when: 'inside.entries > 1'}";
    check(policy, &[("{}", "rule stop", "stop"), ("{inside.depth: 2}", "allow", "pass")]);
    let decided = rules(policy).decide(&sheet("{}"), now());
    assert_eq!(decided.failures.join(" "), "pass look watch but stop");
    assert_eq!(decided.shadows.len(), 1);
}

#[test]
fn rules_in_shadow_decide_nothing_and_tell_what_they_would_have_done() {
    let policy = "
        rules:
          - {id: s1, match: {group: text}, action: block, mode: shadow}
          - {id: s2, match: {group: text}, action: allow, mode: shadow}
          - {id: big, match: {size: '> 10'}, action: block}
          - {id: s3, match: {group: text}, action: block, mode: shadow}";
    let shadows = |facts: &str| {
        let decided = rules(policy).decide(&sheet(facts), now());
        let flips = |shadow: &Shadow| format!("{} {} {}", shadow.rule, shadow.action, shadow.flips);
        decided.shadows.iter().map(flips).collect::<Vec<_>>().join(", ")
    };
    check(
        policy,
        &[("{group: text, size: 1}", "allow", "default:clean"), ("{group: text, size: 11}", "rule big", "big")],
    );
    assert_eq!(shadows("{group: text, size: 1}"), "s1 block true, s2 allow false, s3 block true");
    assert_eq!(shadows("{group: text, size: 11}"), "s1 block false, s2 allow true");
    // It would not have let pass what is infected.
    assert_eq!(shadows("{group: text, size: 1, state: infected}"), "s1 block false, s3 block false");
    assert_eq!(shadows("{group: image, size: 1}"), "");
}

#[test]
fn a_rule_that_scans_names_the_engines_that_have_to_be_heard() {
    let policy = rules(
        "
        rules:
          - {id: own, match: {media.server: own.org}, action: block}
          - {id: doc, match: {group: document}, action: scan}
        exceptions:
          - {id: one, from: [own], match: {group: document}}",
    );
    let engines = |facts: &str| {
        let sheet = sheet(facts);
        let before = policy.engines_for(&sheet, now());
        let decided = policy.decide(&sheet, now());
        assert_eq!(before, decided.engines, "{facts}");
        decided.engines.map(|engines| engines.join(" "))
    };
    assert_eq!(engines("{group: document}").as_deref(), Some("second"));
    assert_eq!(engines("{group: text}"), None);
    assert_eq!(engines("{group: text, media.server: own.org}"), None);
    assert_eq!(engines("{group: document, media.server: own.org}").as_deref(), Some("second"));
    // Where it does not pass anyway, nobody has to be heard.
    let infected = policy.decide(&sheet("{group: document, state: infected}"), now());
    assert_eq!(infected.engines, None);
}

#[test]
fn engines_are_foreseen_by_rules_that_act_and_by_exceptions_that_may() {
    let policy = rules(
        "
        rules:
          - {id: watch, match: {group: document}, action: allow, mode: shadow}
          - {id: old, match: {group: document}, action: allow, end: over}
          - {id: own, match: {media.server: own.org}, action: block}
          - {id: partner, match: {media.server: partner.org}, action: block}
          - {id: doc, match: {group: document}, action: scan}
        exceptions:
          - {id: said, from: [own], match: {detections: X}}
          - {id: ended, from: [partner], match: {group: document}, end: over}
          - {id: vain, from: [doc], match: {group: document}}",
    );
    let foreseen = |facts: &str| policy.engines_for(&sheet(facts), now()).map(|engines| engines.join(" "));
    assert_eq!(foreseen("{group: document}").as_deref(), Some("second"));
    assert_eq!(foreseen("{group: document, media.server: own.org}").as_deref(), Some("second"), "it may be lifted");
    assert_eq!(foreseen("{group: document, media.server: partner.org}"), None, "that is over");
}

#[test]
fn what_is_let_pass_before_its_upload_is_ciphertext_and_nothing_else() {
    let scanned = |state: &str| format!("{{direction: scan, route: scanner_scan_file, state: {state}}}");
    check(
        "defaults: {opaque_media: require_scanned}",
        &[
            (&scanned("opaque_media"), "allow", "default:opaque_media"),
            (&scanned("infected"), "Infected", "default:infected"),
            (&scanned("incomplete"), "Incomplete", "default:incomplete"),
            (&scanned("opaque_container"), "Opaque", "default:opaque_container"),
        ],
    );
}

#[test]
fn an_exception_from_a_rule_in_shadow_is_not_told_as_used() {
    let policy = rules(
        "
        rules: [{id: watch, match: {group: text}, action: block, mode: shadow}]
        exceptions: [{id: but, from: [watch], match: {group: text}}]",
    );
    let decided = policy.decide(&sheet("{group: text}"), now());
    assert!(decided.exceptions.is_empty() && decided.shadows.is_empty());
}

#[test]
fn what_is_refused_whatever_rules_say_wants_no_engines_and_used_no_exceptions() {
    let policy = rules(
        "
        rules: [{id: doc, match: {group: document}, action: scan}]
        exceptions: [{id: any, from: [incomplete], match: {group: document}}]",
    );
    let decided = policy.decide(&sheet("{group: document, state: incomplete}"), now());
    assert_eq!((decided.exceptions.len(), decided.engines.is_some()), (1, true));
    let refused = decided.clone().refused_for(State::EngineError, Refusal::EngineError);
    assert_eq!((refused.exceptions.len(), refused.engines.is_some()), (0, false));
    assert_eq!(decided.refused_by_types(Refusal::Type("a/b".into())).engines, None);
}

#[test]
fn what_no_engine_was_asked_about_is_never_vouched_for() {
    let policy = "
        defaults: {oversize: allow, engine_error: allow}
        rules: [{id: all, match: {state: [oversize, engine_error]}, action: allow}]
        exceptions: [{id: any, from: [oversize, engine_error], match: {state: {known: true}}}]";
    check(
        policy,
        &[
            ("{state: oversize, direction: scan}", "Oversize", "default:oversize"),
            ("{state: engine_error, direction: scan}", "EngineError", "default:engine_error"),
            ("{state: oversize, direction: upload}", "allow", "all"),
            ("{state: engine_error, direction: download}", "allow", "all"),
        ],
    );
}

#[test]
fn the_encoded_form_of_a_medium_is_held_against_no_list_of_what_may_pass() {
    let policy = rules("{defaults: {clean: block}, rules: [{id: all, action: block}]}");
    let decide = |facts: &str| policy.decide_by_state(&sheet(facts), now(), &mut |_| ());
    assert_eq!(decide("{}").decision, Decision::Allow);
    assert_eq!(decide("{state: infected}").decision, Decision::Block(Refusal::Infected));
}

pub(in crate::policy) mod properties;
