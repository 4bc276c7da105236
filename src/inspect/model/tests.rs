use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed},
};

use super::*;

/// Steps after which there is something to be wrong about come often.
fn step() -> impl Strategy<Value = Step> {
    let at = || 0..16_usize;
    prop_oneof![
        12 => (at(), at()).prop_map(|(node, content)| Step::Ask(node, content)),
        8 => (at(), at()).prop_map(|(node, content)| Step::AskAfresh(node, content)),
        3 => any::<u8>().prop_map(Step::Publish),
        6 => (at(), at()).prop_map(|(node, by)| Step::Update(node, by)),
        1 => Just(Step::Withdraw),
        8 => at().prop_map(Step::Look),
        5 => at().prop_map(Step::Settle),
        2 => prop_oneof![Just(1), Just(31), Just(181)].prop_map(Step::Wait),
        2 => at().prop_map(Step::Break),
        5 => (at(), any::<bool>()).prop_map(|(node, wrong)| Step::Canaries(node, wrong)),
        1 => at().prop_map(Step::EvictFar),
        1 => Just(Step::ExpireUnproven),
        1 => Just(Step::StoreDown),
        3 => Just(Step::StoreUp),
        1 => (at(), at()).prop_map(|(node, content)| Step::Purge(node, content)),
        1 => at().prop_map(Step::Clear),
        1 => Just(Step::LoseStore),
        1 => at().prop_map(Step::Bump),
        2 => (at(), at()).prop_map(|(node, version)| Step::Crash(node, version)),
    ]
}

fn run(nodes: usize, is_shared: bool, is_numbered: bool, steps: &[Step]) -> World {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(nodes, is_shared, is_numbered, dir.path());
        for step in steps {
            world.step(step).await;
        }
        world
    })
}

/// The same cases each time, unless the environment asks for others.
fn cases() -> Config {
    let asked = Config { failure_persistence: None, ..Config::default() };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { 80 };
    let rng_seed = if asked.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { asked.rng_seed };
    Config { cases, rng_seed, ..asked }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn one_node_with_a_store_of_its_own_never_calls_clean_what_is_not(steps in vec(step(), 1..80)) {
        run(1, false, false, &steps);
    }

    #[test]
    fn nodes_with_numbered_signatures_never_call_clean_what_is_not(steps in vec(step(), 1..100)) {
        run(3, true, true, &steps);
    }

    #[test]
    fn nodes_with_signatures_without_a_number_never_call_clean_what_is_not(steps in vec(step(), 1..100)) {
        run(2, true, false, &steps);
    }
}

/// What is known is not looked at again: once by each version of the signatures, at most, while nothing fails.
#[test]
fn a_content_is_scanned_at_most_once_by_the_same_signatures() {
    let asked = (0..16_usize, 0..16_usize).prop_map(|(node, content)| Step::Ask(node, content));
    let afresh = (0..16_usize, 0..16_usize).prop_map(|(node, content)| Step::AskAfresh(node, content));
    let update = (0..16_usize).prop_flat_map(|node| (Just(node), 0..16_usize));
    let update = update.prop_map(|(node, by)| Step::Update(node, by));
    let any = prop_oneof![4 => asked, 4 => afresh, 1 => update, 1 => (0..16_usize).prop_map(Step::Settle)];
    let mut runner = proptest::test_runner::TestRunner::new(cases());
    let published = [Step::Publish(1), Step::Publish(3), Step::Publish(2)];
    let outcome = runner.run(&vec(any, 1..60), |steps| {
        let looked: Vec<Step> = steps.into_iter().flat_map(|step| [step, Step::Look(0), Step::Look(1)]).collect();
        let world = run(2, true, true, &[&published[..], &looked].concat());
        let mut seen = std::collections::HashSet::new();
        for scan in world.scans() {
            assert!(seen.insert((scan.content, scan.version)), "{scan:?} once more");
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Seldom met by chance: what is asked for before the first look at what the store has of operators.
#[test]
fn a_process_that_was_told_nothing_yet_believes_nothing_from_before_it_began() {
    let before = [Step::Ask(0, 0), Step::Canaries(0, true), Step::Settle(0), Step::Bump(0)];
    let after = [Step::Crash(0, 0), Step::Ask(0, 0)];
    assert_eq!(run(1, false, false, &[&before[..], &after].concat()).scans().len(), 2);
}
