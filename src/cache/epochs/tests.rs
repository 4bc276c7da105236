use super::*;

/// Nodes that share a registry.
struct Fleet {
    registry: Registry,
    nodes: HashMap<&'static str, Node>,
    now: Instant,
}

#[derive(Default)]
struct Node {
    watcher: Watcher,
    said: Option<Used>,
    /// How far its clock is ahead.
    skew: Duration,
}

fn used(state: &str, bump: u64, number: u64) -> Used {
    Used { name: name(state), bump, number }
}

fn name(state: &str) -> EpochName {
    EpochName::of(&Epoch::new("clamd", state))
}

impl Fleet {
    fn new() -> Self {
        Self { registry: Registry::default(), nodes: HashMap::new(), now: Instant::now() }
    }

    /// Time passes, in which all others look at nothing but the registry.
    fn wait(&mut self, time: Duration) {
        for _ in 0..20 {
            self.now += time / 20;
            self.nodes.values_mut().for_each(|node| node.watcher.look(&self.registry, self.now));
        }
    }

    /// A node says what it uses. Gives the number of that.
    fn says(&mut self, node: &'static str, us: Used) -> u64 {
        let node = self.nodes.entry(node).or_default();
        node.watcher.look(&self.registry, self.now);
        let said = self.registry.using(us, node.said, &node.watcher.in_use(self.now), SystemTime::now() + node.skew);
        self.registry = self.registry.and(&said);
        node.said = Some(us);
        self.registry.generation(us.name)
    }

    fn uses(&mut self, node: &'static str, state: &str) -> u64 {
        self.says(node, used(state, 0, 0))
    }

    fn of(&self, state: &str) -> u64 {
        self.registry.generation(name(state))
    }
}

#[test]
fn signatures_are_numbered_as_they_come_into_use() {
    let mut fleet = Fleet::new();
    let x = fleet.uses("one", "x");
    assert_eq!(fleet.uses("two", "x"), x);
    let y = fleet.uses("one", "y");
    assert!(y > x);
    assert_eq!((fleet.uses("two", "x"), fleet.uses("two", "y")), (x, y), "the second node follows the first");
    assert!(fleet.registry.is_surpassed(name("x"), name("y")) && !fleet.registry.is_surpassed(name("y"), name("x")));
}

#[test]
fn withdrawn_signatures_bring_the_ones_before_back_as_the_newest() {
    let mut fleet = Fleet::new();
    for node in ["one", "two"] {
        fleet.uses(node, "x");
        fleet.uses(node, "y");
    }
    let again = fleet.uses("one", "x");
    assert!(again > fleet.of("y"));
    assert_eq!(fleet.uses("two", "x"), again, "the second node follows the first");
    assert!(fleet.registry.is_surpassed(name("y"), name("x")));
}

#[test]
fn who_comes_back_with_old_signatures_is_behind_while_others_use_newer_ones() {
    let mut fleet = Fleet::new();
    let x = fleet.uses("one", "x");
    let y = fleet.uses("two", "x").max(fleet.uses("two", "y"));
    fleet.nodes.remove("one");
    assert_eq!(fleet.uses("one", "x"), x);
    fleet.wait(GONE / 2);
    assert_eq!((fleet.uses("two", "y"), fleet.uses("one", "x")), (y, x));
    fleet.wait(GONE / 2);
    assert_eq!(fleet.uses("one", "x"), x);
    fleet.wait(GONE / 2);
    assert!(fleet.uses("one", "x") > y, "nobody uses the newer ones any more");
    assert!(!fleet.registry.is_surpassed(name("y"), name("x")), "and nobody said that they were wrong");
}

#[test]
fn clocks_that_differ_by_years_change_nothing() {
    for skews in [[0, 1], [1, 0]] {
        let mut fleet = Fleet::new();
        for (node, years) in ["one", "two"].into_iter().zip(skews) {
            let skew = Duration::from_hours(years * 24 * 365);
            fleet.nodes.insert(node, Node { skew, ..Node::default() });
        }
        let x = fleet.uses("one", "x");
        let y = fleet.uses("two", "x").max(fleet.uses("two", "y"));
        for _ in 0..20 {
            fleet.wait(GONE / 4);
            assert_eq!((fleet.uses("one", "x"), fleet.uses("two", "y")), (x, y));
        }
        fleet.nodes.remove("two");
        assert_eq!(fleet.uses("one", "x"), x, "its last word");
        fleet.wait(GONE);
        assert!(fleet.uses("one", "x") > y, "gone is gone");
    }
}

#[test]
fn a_bump_leaves_behind_who_was_behind() {
    for (first, second) in [("old", "new"), ("new", "old")] {
        let mut fleet = Fleet::new();
        fleet.uses("old", "x");
        fleet.uses("new", "x");
        fleet.uses("new", "y");
        for node in [first, second, first, second] {
            fleet.says(node, used(if node == "old" { "x+" } else { "y+" }, 7, 0));
        }
        assert!(fleet.of("x+") < fleet.of("y+"), "{first} is the first to know");
        assert!(fleet.registry.is_surpassed(name("x+"), name("y+")));
        assert!(!fleet.registry.is_surpassed(name("x+"), name("y")), "what was said before it is outdated");
        assert!(!fleet.registry.is_surpassed(name("y+"), name("x+")));
        assert_eq!(fleet.registry.bump, 7);
    }
}

#[test]
fn the_number_of_signatures_decides_where_they_have_one() {
    let mut fleet = Fleet::new();
    fleet.says("one", used("27000", 0, 27_000));
    let newest = fleet.says("two", used("27002", 0, 27_002));
    assert!(fleet.says("one", used("27001", 0, 27_001)) < newest, "nobody used it, and it is old all the same");
    assert!(fleet.says("three", used("26999", 0, 26_999)) < newest, "a stranger is no better");
    assert!(!fleet.registry.is_surpassed(name("27002"), name("27001")));
    let caught_up = fleet.says("one", used("27003", 0, 27_003));
    assert!(caught_up > newest && fleet.registry.is_surpassed(name("27002"), name("27003")));
    assert_eq!(fleet.says("two", used("27000", 0, 27_000)), fleet.of("27000"), "an older engine stands in");
    assert!(fleet.of("27000") < newest);
}

#[test]
fn the_word_of_who_was_behind_and_moves_on_is_not_taken_by_those_it_had_not_reached() {
    let mut fleet = Fleet::new();
    fleet.uses("one", "x");
    fleet.uses("two", "x");
    fleet.uses("two", "y");
    fleet.uses("one", "w");
    assert!(!fleet.registry.is_surpassed(name("y"), name("w")), "it may be older");
    assert!(fleet.registry.is_surpassed(name("x"), name("w")));
}

#[test]
fn a_registry_that_was_lost_comes_back_as_it_was() {
    let mut fleet = Fleet::new();
    fleet.uses("one", "x");
    fleet.uses("two", "x");
    fleet.uses("two", "y");
    let before = fleet.registry.clone();
    let said = before.using(used("x", 0, 0), Some(used("x", 0, 0)), &[name("x"), name("y")], SystemTime::now());
    fleet.registry = Registry::default().and(&said);
    assert_eq!((fleet.of("x"), fleet.of("y")), (before.generation(name("x")), before.generation(name("y"))));
}

#[test]
fn other_set_ups_are_no_rivals() {
    let mut fleet = Fleet::new();
    let x = fleet.uses("one", "x");
    let other = Used { name: EpochName::of(&Epoch::new("script", "s")), bump: 0, number: 9 };
    fleet.says("two", other);
    for _ in 0..3 {
        fleet.wait(GONE / 2);
        assert_eq!(fleet.uses("one", "x"), x);
        fleet.says("two", other);
    }
    assert_eq!(fleet.registry.newest_in_use(name("x"), &[other.name]), x);
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_in_use_stays() {
    let mut fleet = Fleet::new();
    let mut last = 0;
    for state in 0..2 * MOST {
        fleet.now += Duration::from_secs(1);
        let this = fleet.uses("one", &state.to_string());
        assert!(this > last, "no number is given twice");
        last = this;
    }
    assert_eq!((fleet.registry.epochs.len(), fleet.of(&(2 * MOST - 1).to_string())), (MOST, last));
}

#[test]
fn bringing_registries_together_knows_no_order() {
    let (mut one, mut other) = (Fleet::new(), Fleet::new());
    one.uses("one", "x");
    other.uses("two", "y");
    other.registry.bump = 5;
    assert_eq!(one.registry.and(&other.registry), other.registry.and(&one.registry));
    assert_eq!(one.registry.and(&other.registry).bump, 5);
}

#[test]
fn an_outage_of_the_store_makes_nobody_the_newest() {
    let mut fleet = Fleet::new();
    let x = fleet.uses("one", "x");
    let y = fleet.uses("two", "x").max(fleet.uses("two", "y"));
    fleet.now += 10 * GONE;
    assert_eq!((fleet.uses("one", "x"), fleet.uses("two", "y")), (x, y));
}

#[test]
fn who_took_the_same_number_does_not_keep_it() {
    let (mut one, mut other) = (Fleet::new(), Fleet::new());
    assert_eq!(one.uses("one", "x"), other.uses("two", "y"));
    one.registry = one.registry.and(&other.registry);
    one.nodes.extend(other.nodes);
    assert_ne!(one.uses("one", "x"), one.uses("two", "y"));
    for (own, other) in [("x", "y"), ("y", "x")] {
        assert!(!one.registry.is_surpassed(name(own), name(other)), "nobody knows which is newer");
    }
}

#[test]
fn what_came_into_use_after_a_loss_is_not_surely_older_than_what_was_there_before() {
    let (mut before, mut after) = (Fleet::new(), Fleet::new());
    let (x, y) = (before.uses("one", "x"), before.uses("one", "y"));
    assert!(before.registry.is_surpassed(name("x"), name("y")) && x < y);
    assert!(after.uses("two", "z") < y, "it begins anew");
    for registry in [before.registry.and(&after.registry), after.registry.and(&before.registry)] {
        assert!(!registry.is_surpassed(name("z"), name("y")));
        assert!(registry.may_be_newer(name("y"), name("z")), "what that finds counts");
    }
}
