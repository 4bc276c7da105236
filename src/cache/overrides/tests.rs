use std::{sync::Arc, time::UNIX_EPOCH};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    cache::{Entry, codec::Codec, key::KeyRing},
    verdict::{Clean, Detection, Verdict},
};

const DAY: Duration = Duration::from_hours(24);

fn at(day: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(500_000) + DAY * day
}

fn identity(number: u8) -> Key {
    Key::from_bytes([number; 32])
}

fn said(effect: Effect, target: Target, from: u32, until: u32) -> Override {
    let words = ("author".to_owned(), "reason".to_owned());
    Override::new(effect, target, words, (at(from), at(until))).unwrap()
}

fn named(name: &str) -> Target {
    Target::Signature(name.to_owned())
}

fn infected(name: &str) -> Verdict {
    Verdict::Infected { detection: Detection(name.to_owned()) }
}

/// All that was said, put one after the other.
fn all(overrides: impl IntoIterator<Item = Override>) -> Overrides {
    overrides.into_iter().fold(Overrides::default(), |all, one| {
        let (_, more) = all.adding(one, at(0)).unwrap();
        all.and(&more)
    })
}

/// What some node knows: some of the same ten overrides, some of them taken back.
fn known() -> impl Strategy<Value = Overrides> {
    let one = (0_u8..10, proptest::option::of((1_u32..5, "[ab]")));
    vec(one, 0..10).prop_map(|ones| {
        let all = ones.into_iter().map(|(number, removed)| {
            let one = said(Effect::ForceClean, Target::Identity(identity(number)), 0, 1 + u32::from(number));
            (OverrideId(number.into()), one.with(removed.map(|(day, author)| (at(day), author))))
        });
        Overrides { all: all.collect() }
    })
}

proptest! {
    #[test]
    fn bringing_overrides_together_knows_no_order_and_no_number_of_times(a in known(), b in known(), c in known()) {
        let (ab, bc) = (a.and(&b), b.and(&c));
        prop_assert_eq!(&ab, &b.and(&a));
        prop_assert_eq!(ab.and(&c), a.and(&bc));
        prop_assert_eq!(&ab.and(&b), &ab);
        prop_assert_eq!(&ab.and(&ab), &ab);
    }

    #[test]
    fn what_was_taken_back_somewhere_acts_nowhere(a in known(), b in known()) {
        let both = a.and(&b);
        for (id, one) in a.iter().chain(b.iter()).filter(|(_, one)| one.removed.is_some()) {
            prop_assert!(both.get(id).is_none_or(|known| !known.is_acting(one.created)));
        }
    }

    #[test]
    fn what_was_said_is_forgotten_by_nobody(a in known(), b in known()) {
        let both = a.and(&b);
        for (id, _) in a.iter().chain(b.iter()) {
            prop_assert!(both.get(id).is_some());
        }
    }
}

#[test]
fn what_is_said_of_bytes_comes_first_and_who_forbids_wins() {
    use Effect::{ForceClean, ForceInfected};
    let key = || Target::Identity(identity(1));
    let on = |overrides: Vec<Override>| {
        let in_force = InForce::of(&all(overrides));
        in_force.on(identity(1), &infected("X"), || true, at(1)).map(|ruling| ruling.effect)
    };
    assert_eq!(on(vec![]), None);
    assert_eq!(on(vec![said(ForceClean, named("Y"), 0, 9), said(ForceClean, named("x"), 0, 9)]), None, "exactly");
    assert_eq!(on(vec![said(ForceClean, Target::Identity(identity(2)), 0, 9)]), None);
    assert_eq!(on(vec![said(ForceClean, named("X"), 0, 9)]), Some(ForceClean));
    assert_eq!(on(vec![said(ForceClean, key(), 0, 9), said(ForceInfected, named("X"), 0, 9)]), Some(ForceClean));
    assert_eq!(on(vec![said(ForceInfected, key(), 0, 9), said(ForceClean, named("X"), 0, 9)]), Some(ForceInfected));
    for effects in [[ForceClean, ForceInfected], [ForceInfected, ForceClean]] {
        assert_eq!(on(effects.map(|effect| said(effect, key(), 0, 9)).to_vec()), Some(ForceInfected));
        assert_eq!(on(effects.map(|effect| said(effect, named("X"), 0, 9)).to_vec()), Some(ForceInfected));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "what an engine would say")]
fn signatures_are_what_engines_say_in_place_of_clean() {
    let in_force = InForce::of(&all([said(Effect::ForceClean, named("X"), 0, 9)]));
    let why = Detection("X".to_owned());
    for verdict in [infected("X"), Verdict::Incomplete { why: why.clone() }, Verdict::Opaque { why }] {
        assert!(in_force.on(identity(1), &verdict, || true, at(1)).is_some(), "{verdict:?}");
    }
    assert!(in_force.on(identity(1), &Verdict::Clean(Clean::attest()), || true, at(1)).is_none());
}

#[test]
fn what_not_all_have_judged_is_let_pass_by_its_identity_alone() {
    use Effect::{ForceClean, ForceInfected};
    let on = |effect, target| {
        let in_force = InForce::of(&all([said(effect, target, 0, 9)]));
        in_force.on(identity(1), &infected("X"), || false, at(1)).map(|ruling| ruling.effect)
    };
    assert_eq!(on(ForceClean, named("X")), None);
    assert_eq!(on(ForceInfected, named("X")), Some(ForceInfected));
    assert_eq!(on(ForceClean, Target::Identity(identity(1))), Some(ForceClean));
}

#[test]
fn an_override_acts_until_it_ends_or_is_taken_back() {
    let overrides = all([said(Effect::ForceClean, named("X"), 0, 9)]);
    let acts =
        |overrides: &Overrides, day| InForce::of(overrides).on(identity(1), &infected("X"), || true, at(day)).is_some();
    assert!(acts(&overrides, 8) && !acts(&overrides, 9));
    let (id, _) = overrides.iter().next().unwrap();
    let removal = overrides.removing(id, "other".to_owned(), at(2)).unwrap();
    let after = overrides.and(&removal);
    assert!(!acts(&after, 2) && !acts(&after.and(&overrides), 2), "nobody brings it back who has not heard of it");
    assert_eq!(after.removing(id, "other".to_owned(), at(3)), Err(OverrideError::Removed));
    assert_eq!(overrides.removing(id, "other".to_owned(), at(9)), Err(OverrideError::Unknown));
    assert_eq!(overrides.removing(OverrideId(7), "other".to_owned(), at(3)), Err(OverrideError::Unknown));
}

#[test]
fn there_are_as_many_as_there_may_be_and_no_more() {
    let new = |number: usize| said(Effect::ForceClean, named(&number.to_string()), 0, 9);
    let mut overrides = all((0..MOST).map(new));
    assert_eq!(overrides.adding(new(MOST), at(1)), Err(OverrideError::TooMany));
    let ids: Vec<OverrideId> = overrides.iter().map(|(id, _)| id).collect();
    overrides = overrides.and(&overrides.removing(ids[0], "a".to_owned(), at(1)).unwrap());
    assert!(overrides.adding(new(MOST), at(1)).is_ok(), "one was taken back");
    let (_, late) = overrides.adding(said(Effect::ForceClean, named("X"), 9, 10), at(9)).unwrap();
    assert_eq!(overrides.and(&late).iter().count(), MOST + 1, "they have just ended");
}

#[test]
fn what_is_kept_is_bounded_and_what_ends_first_makes_room_for_all_alike() {
    let many = |from: usize| {
        let one = |number: usize| {
            let until = 1 + u32::try_from(number % 300).unwrap();
            (OverrideId(number as u128), said(Effect::ForceInfected, named(&number.to_string()), 0, until))
        };
        Overrides { all: (from..from + MOST).map(one).collect() }
    };
    let parts = [0, MOST, 2 * MOST].map(many);
    let both = |one: &Overrides, other: &Overrides, third: &Overrides| one.and(other).and(third);
    let all = both(&parts[0], &parts[1], &parts[2]);
    assert_eq!(all.iter().count(), MOST_KEPT);
    assert_eq!(all, both(&parts[2], &parts[1], &parts[0]));
    assert_eq!(all.and(&parts[0]), all, "who is given it again drops it again");
    let soonest = all.iter().map(|(_, one)| one.until).min().unwrap();
    assert!(parts[0].iter().all(|(id, one)| one.until <= soonest || all.get(id).is_some()));
}

#[test]
fn a_node_whose_clock_is_far_ahead_ends_nothing_for_others() {
    let overrides = all([said(Effect::ForceInfected, named("X"), 0, 9)]);
    let (_, ahead) = overrides.adding(said(Effect::ForceClean, named("Y"), 26_000, 26_001), at(26_000)).unwrap();
    for both in [overrides.and(&ahead), ahead.and(&overrides)] {
        assert_eq!(
            InForce::of(&both).on(identity(1), &infected("X"), || true, at(1)).map(|ruling| ruling.effect),
            Some(Effect::ForceInfected)
        );
        let (id, later) = both.adding(said(Effect::ForceClean, named("Z"), 1, 9), at(1)).unwrap();
        assert!(both.and(&later).get(id).is_some_and(|known| known.is_acting(at(2))), "nor does it keep new ones out");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let new = |author: &str, reason: &str, target, until| {
        let words = (author.to_owned(), reason.to_owned());
        Override::new(Effect::ForceClean, target, words, (at(1), until)).err()
    };
    let text = |what, most| Some(OverrideError::Text { what, most });
    assert_eq!(new("a", "b", named("X"), at(367)), None);
    assert_eq!(new("a", "b", named("X"), at(1) + LONGEST + Duration::from_nanos(1)), Some(OverrideError::TooLong));
    assert_eq!(new("a", "b", named("X"), at(1)), Some(OverrideError::Over));
    assert_eq!(new("a", "b", named("X"), at(0)), Some(OverrideError::Over));
    assert_eq!(new(" ", "b", named("X"), at(2)), text("author", AUTHOR));
    assert_eq!(new("a", "b\nforged line", named("X"), at(2)), text("reason", REASON));
    assert_eq!(new("a", &"b".repeat(REASON + 1), named("X"), at(2)), text("reason", REASON));
    assert_eq!(new("a", "b", named(""), at(2)), text("signature", SIGNATURE));
}

#[test]
fn an_end_is_a_day_a_time_or_a_span() {
    let now = humantime::parse_rfc3339("2026-11-23T12:00:00Z").unwrap();
    for (text, end) in [
        ("2027-01-01", "2027-01-01T00:00:00Z"),
        ("2027-01-01T12:00:00Z", "2027-01-01T12:00:00Z"),
        ("30d", "2026-12-23T12:00:00Z"),
        ("1h 30m", "2026-11-23T13:30:00Z"),
    ] {
        let until = parse_until(text, now).map(|until| humantime::format_rfc3339_seconds(until).to_string());
        assert_eq!(until.as_deref(), Ok(end), "{text}");
    }
    for text in ["", "tomorrow", "2027-13-01", "2027-02-30", "30", "-1d", "2027-01-01T12:00", "9999999999999999999y"] {
        assert_eq!(parse_until(text, now), Err(OverrideError::Until), "{text}");
    }
}

#[test]
fn overrides_are_read_as_they_were_written_and_never_expire() {
    let codec = Codec::new(KeyRing::ephemeral().unwrap(), DAY);
    let overrides = all([
        said(Effect::ForceClean, named("X"), 0, 9),
        said(Effect::ForceInfected, Target::Identity(identity(1)), 0, 9),
    ]);
    let bytes = codec.encode(identity(0), &Entry::Overrides(Arc::new(overrides.clone())), at(0));
    let read = codec.decode(identity(0), &bytes, at(300)).unwrap();
    assert!(matches!(read, Some(Entry::Overrides(read)) if *read == overrides));
}
