//! What is asked of what is remembered: why it is decided as it is, and how another policy would decide.

use super::{overrides::say, *};
use crate::{
    cache::overrides::Target,
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
    say(&node, Effect::ForceInfected, Target::Identity(keys[0])).await.unwrap();
    for explained in node.explain(&subject, &asked(None)).await.unwrap() {
        assert_eq!(explained.explanation.decision, "block", "who forbids ciphertext forbids what it opens to");
        assert!(explained.overridden.is_some());
    }
}
