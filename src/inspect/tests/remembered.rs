//! What is asked of what is remembered: why it is decided as it is, and how another policy would decide.

use super::{overrides::say, *};
use crate::{
    cache::{Seen, overrides::Target},
    policy::{Config as PolicyConfig, Hash, OpaqueMedia, Policy, load, rule::RuleSet},
    verdict::{Clean, Effect, Epoch, Record},
};

/// A node that remembers ciphertext and what a key opened it to, as clean both, and their names.
#[expect(clippy::disallowed_methods, reason = "what an engine would say")]
async fn remembering(fleet: &Fleet) -> (Arc<Inspector>, [Key; 2]) {
    let (node, _) = fleet.node(Ok(opaque()));
    node.look_at_signatures().await;
    let keys = [[1; 32], [2; 32]].map(|digest| fleet.ring.plaintext(&digest));
    for (identity, opaque) in [(keys[0], true), (keys[1], false)] {
        let mut record = Record::bare(Facts { size: 1, opaque, ..Facts::default() }, Verdict::Clean(Clean::attest()));
        record.provenance.epoch = Epoch::new("told", "1");
        node.stages.cache.keep(identity, record.into()).await;
    }
    node.stages.cache.keep_opening(fleet.ring.openings(keys[0]), keys[1], false).await;
    (node, keys)
}

fn policy(opaque_media: OpaqueMedia, rules: RuleSet) -> Policy {
    Policy::new(&PolicyConfig { opaque_media, ..PolicyConfig::default() }, rules)
}

#[tokio::test]
async fn a_replay_asks_each_policy_by_what_it_makes_of_what_keys_opened() {
    let fleet = Fleet::new();
    let (node, _) = remembering(&fleet).await;
    let (passes, scanned, refused) = (OpaqueMedia::Allow, OpaqueMedia::RequireScanned, OpaqueMedia::Deny);
    let reach = Reach { since: SystemTime::UNIX_EPOCH, limit: 10, patience: Duration::from_mins(1) };
    for (old, new, changed) in
        [(scanned, passes, 0), (passes, scanned, 0), (scanned, refused, 1), (refused, scanned, 1)]
    {
        node.stages.policy.replace(policy(old, RuleSet::default()), SystemTime::now());
        let replay = node.replay(&policy(new, RuleSet::default()), &reach).await.unwrap();
        assert_eq!((replay.media, replay.changed), (2, changed), "{old:?} {new:?}: {:?}", replay.flips);
    }
}

#[tokio::test]
async fn what_is_explained_is_what_is_decided() {
    let fleet = Fleet::new();
    let (node, keys) = remembering(&fleet).await;
    let dir = tempfile::tempdir().unwrap();
    let rule = "version: 1\nrules: [{id: ours, match: {media.local: true, media.id: m, media.server: hs.test}, action: block}]";
    std::fs::write(dir.path().join("a.yaml"), rule).unwrap();
    let rules = load::read(dir.path(), &Hash::plain).unwrap().rules;
    node.stages.policy.replace(policy(OpaqueMedia::Allow, rules), SystemTime::now());
    let subject = Subject::Identity(keys[0]);
    let asked = |is_local| Occasion {
        server: Some("hs.test".into()),
        media_id: Some("m".into()),
        is_local,
        ..Occasion::new(Direction::Download, "download")
    };
    for (is_local, decision) in [(Some(true), "block"), (Some(false), "allow"), (None, "allow")] {
        let explained = node.explain(&subject, &asked(is_local)).await.unwrap();
        let told: Vec<_> =
            explained.iter().map(|one| (one.identity, one.is_opened, one.explanation.decision)).collect();
        assert_eq!(told, [(keys[0], false, decision), (keys[1], true, decision)], "{is_local:?}");
    }
    let told = async |opaque_media| {
        node.stages.policy.replace(policy(opaque_media, RuleSet::default()), SystemTime::now());
        let explained = node.explain(&subject, &asked(None)).await.unwrap();
        let told = |one: &Explained| (one.explanation.decision, one.explanation.facts.values["encrypted"].to_string());
        explained.iter().map(told).collect::<Vec<_>>()
    };
    let (opaque, keyed) = ("opaque".to_owned(), "keyed".to_owned());
    let scanned = told(OpaqueMedia::RequireScanned).await;
    assert_eq!(scanned, [("allow", opaque.clone()), ("allow", keyed.clone())], "a key opened it to something clean");
    assert_eq!(told(OpaqueMedia::Deny).await, [("block", opaque), ("allow", keyed)]);
    say(&node, Effect::ForceInfected, Target::Identity(keys[0])).await.unwrap();
    for explained in node.explain(&subject, &asked(None)).await.unwrap() {
        assert_eq!(explained.explanation.decision, "block", "who forbids ciphertext forbids what it opens to");
        assert!(explained.overridden.is_some());
    }
}

/// A rule that is about this alone.
fn blocking(asked: &str, mode: &str) -> Policy {
    let dir = tempfile::tempdir().unwrap();
    let rule = format!("version: 1\nrules: [{{id: one, match: {{{asked}}}, action: block, mode: {mode}}}]");
    std::fs::write(dir.path().join("a.yaml"), rule).unwrap();
    policy(OpaqueMedia::Allow, load::read(dir.path(), &Hash::plain).unwrap().rules)
}

const REACH: Reach = Reach { since: SystemTime::UNIX_EPOCH, limit: 10, patience: Duration::from_mins(1) };

#[tokio::test]
async fn a_replay_asks_about_requests_as_they_were_seen() {
    let fleet = Fleet::new();
    let (node, keys) = remembering(&fleet).await;
    for (keyed, direction) in [(false, Direction::Upload), (true, Direction::Scan)] {
        let seen = Seen {
            direction,
            keyed,
            server: Some("a.org".into()),
            is_local: Some(true),
            declared_type: Some("a/b".into()),
            extension: Some("exe".into()),
            double_extension: Some(true),
            bidi: Some(true),
            at: SystemTime::now(),
        };
        node.stages.cache.note_use(keys[1], None, Some(&seen));
    }
    for (asked, changed) in [
        ("media.server: a.org", 2),
        ("media.local: true", 2),
        ("declared.type: a/b", 2),
        ("declared.extension: exe", 2),
        ("declared.double_extension: true", 2),
        ("declared.bidi: true", 2),
        ("direction: upload", 1),
        ("direction: [scan, download], encrypted: keyed", 1),
        // Of what nobody asked for, a download is assumed.
        ("direction: download", 1),
        ("media.server: b.org", 0),
    ] {
        let replay = node.replay(&blocking(asked, "enforce"), &REACH).await.unwrap();
        assert_eq!((replay.media, replay.requests, replay.changed), (2, 3, changed), "{asked}");
        assert!(replay.flips.keys().all(|flip| flip.refuses && flip.to == "one"), "{asked}");
        let hits: u64 = replay.flips.values().map(|tale| tale.hits).sum();
        assert_eq!(hits > 0, changed > 0 && asked != "direction: download", "{asked}");
        let shadow = node.replay(&blocking(asked, "shadow"), &REACH).await.unwrap();
        let told = shadow.shadows.values().map(|tale| (tale.matched, tale.flips)).next().unwrap_or_default();
        assert_eq!((shadow.changed, told), (0, (changed, changed)), "{asked}");
    }
}

#[tokio::test]
async fn a_replay_goes_as_far_as_it_is_told_and_says_where_it_stopped() {
    let fleet = Fleet::new();
    let (node, keys) = remembering(&fleet).await;
    let scanned = node.stages.cache.record(keys[0]).await.unwrap().scanned_at;
    let other = node.stages.cache.record(keys[1]).await.unwrap().scanned_at;
    let policy = || policy(OpaqueMedia::Allow, RuleSet::default());
    let second = Duration::from_secs(1);
    let last = scanned.max(other);
    for (since, media) in [(scanned.min(other), 2), (last + second, 0)] {
        let replay = node.replay(&policy(), &Reach { since, ..REACH }).await.unwrap();
        assert_eq!((replay.media, replay.cut), (media, None));
    }
    let replay = node.replay(&policy(), &Reach { limit: 1, ..REACH }).await.unwrap();
    assert_eq!((replay.media, replay.cut), (1, Some("the limit was reached")));
    let replay = node.replay(&policy(), &Reach { patience: Duration::ZERO, ..REACH }).await.unwrap();
    assert_eq!(replay.cut, Some("it took too long"));
}

#[tokio::test]
async fn a_replay_minds_what_the_security_team_says_in_place_of_verdicts() {
    let fleet = Fleet::new();
    let (node, keys) = remembering(&fleet).await;
    let all = || blocking("size: {known: true}", "enforce");
    assert_eq!(node.replay(&all(), &REACH).await.unwrap().changed, 2);
    for identity in keys {
        say(&node, Effect::ForceInfected, Target::Identity(identity)).await.unwrap();
    }
    assert_eq!(node.replay(&all(), &REACH).await.unwrap().changed, 0, "it is refused now");
}
