//! What is put and found in any order, held against a map; and files that were damaged anywhere.

use std::{collections::HashMap, fs};

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::cache::entry::Opened;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u64),
    PutOpened(u8, u8, bool),
    PutEpochs(u64),
    Remove(u8),
    Clear,
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..6_u8;
    prop_oneof![
        4 => (name.clone(), any::<u64>()).prop_map(|(name, len)| Step::Put(name, len)),
        4 => (name.clone(), 0..8_u8, any::<bool>()).prop_map(|(name, one, infected)| Step::PutOpened(name, one, infected)),
        1 => any::<u64>().prop_map(Step::PutEpochs),
        2 => (0..7_u8).prop_map(Step::Remove),
        1 => Just(Step::Clear),
        3 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

/// One store, and a map that does the same.
struct Pair {
    config: Config,
    ring: KeyRing,
    store: Option<DiskStore>,
    model: HashMap<Key, Entry>,
}

impl Pair {
    /// Names of two kinds of entries, and of what there is one of.
    fn keys(&self) -> Vec<Key> {
        (0..7).map(|name: u8| self.ring.location(&name.to_string())).collect()
    }

    async fn put(&mut self, name: u8, entry: Entry) {
        let key = self.keys()[usize::from(name)];
        self.store.as_ref().unwrap().put(key, entry.clone()).await.unwrap();
        self.model.insert(key, Entry::merged(self.model.get(&key).cloned(), entry));
    }

    async fn step(&mut self, step: Step) {
        let store = self.store.as_ref().unwrap();
        match step {
            Step::Put(name, len) => {
                let identity = self.ring.location("x");
                self.put(name, Entry::Located(Located { identity, len })).await;
            }
            Step::PutOpened(name, one, infected) => {
                let plaintext = self.ring.location(&one.to_string());
                self.put(name, Entry::Opened(Arc::new(Opened::default().with(plaintext, infected)))).await;
            }
            Step::PutEpochs(bump) => self.put(6, Entry::Epochs(Arc::new(epochs::Registry::bumped(bump)))).await,
            Step::Remove(name) => {
                let key = self.keys()[usize::from(name)];
                store.remove(key).await.unwrap();
                self.model.remove(&key);
            }
            Step::Clear => {
                store.clear().await.unwrap();
                self.model.retain(|_, entry| entry.is_single());
            }
            Step::Flush => store.flush().await.unwrap(),
            Step::Reopen => {
                drop(self.store.take());
                self.store = Some(open(&self.config, &self.ring).await.unwrap());
            }
        }
        self.are_alike().await;
    }

    async fn are_alike(&self) {
        let text = |entry: Option<&Entry>| format!("{entry:?}");
        let store = self.store.as_ref().unwrap();
        for key in self.keys() {
            assert_eq!(text(store.get(key).await.unwrap().as_ref()), text(self.model.get(&key)));
        }
    }

    async fn walk_alike(&self) {
        let page = self.store.as_ref().unwrap().walk(None).await.unwrap();
        let found: HashMap<Key, String> =
            page.entries.iter().map(|(key, entry)| (*key, format!("{entry:?}"))).collect();
        let put: HashMap<Key, String> = self.model.iter().map(|(key, entry)| (*key, format!("{entry:?}"))).collect();
        assert_eq!((found, page.next), (put, None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn the_store_does_what_a_map_does(steps in prop::collection::vec(step(), 1..40)) {
        Runtime::new().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
            let store = Some(open(&config, &ring).await.unwrap());
            let mut pair = Pair { config, ring, store, model: HashMap::new() };
            for step in steps {
                pair.step(step).await;
            }
            pair.walk_alike().await;
        });
    }

    #[test]
    fn damage_anywhere_makes_no_wrong_entry_and_keeps_nobody_from_starting(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 1..5000_usize), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        Runtime::new().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let (config, ring) = (config(dir.path()), KeyRing::ephemeral().unwrap());
            put(&open(&config, &ring).await.unwrap(), &ring, 0..300).await;
            let mut bytes = fs::read(&config.path).unwrap();
            for (at, with, len) in damage {
                let at = at.index(bytes.len());
                let until = (at + if with == 0 { len } else { 1 }).min(bytes.len());
                bytes[at..until].iter_mut().for_each(|byte| *byte = if with == 0 { 0 } else { *byte ^ with });
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            fs::write(&config.path, bytes).unwrap();
            let store = open(&config, &ring).await.unwrap();
            there(&store, &ring, 0..300).await;
            // What was damaged may be found only now, and be set aside.
            eventually(|| async { store.put(located(&ring, 1000).0, located(&ring, 1000).1).await.is_ok() && store.flush().await.is_ok() }).await;
            assert!(there(&store, &ring, 0..=1000).await.len() <= 301);
            drop(store);
            there(&open(&config, &ring).await.unwrap(), &ring, 0..300).await;
        });
    }
}
