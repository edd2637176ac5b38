use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::tests::{bulk_of, run_bytes};
use super::*;

/// A time of day.
const NOON: u64 = 1_700_000_000_000;

fn run(store: &mut Store, line: &str) -> Reply {
    let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    run_bytes(store, &args, 1)
}

fn store_at_noon() -> Store {
    let mut store = Store::new(1);
    store.advance(NOON, 1);
    store
}

/// One request a line, and what redis-server 7.0.15 answers to the same requests in the same order.
#[test]
fn replies_are_those_of_redis() {
    let (nil, ok, int) = (|| Reply::Nil, || Reply::Ok, Reply::Int);
    let transcript = [
        ("set a 1 ex 100", ok()),
        ("ttl a", int(100)),
        ("set a 2 keepttl", ok()),
        ("ttl a", int(100)),
        ("get a", bulk_of("2")),
        ("incr a", int(3)),
        ("ttl a", int(100)),
        ("append a x", int(2)),
        ("ttl a", int(100)),
        ("getset a 3", bulk_of("3x")),
        ("ttl a", int(-1)),
        ("set a 3 ex 100", ok()),
        ("set a 4", ok()),
        ("ttl a", int(-1)),
        ("pttl a", int(-1)),
        ("expiretime a", int(-1)),
        ("pexpiretime a", int(-1)),
        ("ttl nope", int(-2)),
        ("pttl nope", int(-2)),
        ("expiretime nope", int(-2)),
        ("pexpiretime nope", int(-2)),
        ("set a 5 pxat 99999999999499", ok()),
        ("expiretime a", int(99999999999)),
        ("pexpiretime a", int(99999999999499)),
        ("set a 5 exat 99999999999", ok()),
        ("pexpiretime a", int(99999999999000)),
        ("set b 1 nx ex 100", ok()),
        ("ttl b", int(100)),
        ("set b 2 nx ex 200", nil()),
        ("ttl b", int(100)),
        ("set b 2 xx ex 200", ok()),
        ("ttl b", int(200)),
        ("set b 3 get ex 300", bulk_of("2")),
        ("ttl b", int(300)),
        ("set b 4 get nx ex 400", bulk_of("3")),
        ("ttl b", int(300)),
        ("set c 1 get keepttl", nil()),
        ("ttl c", int(-1)),
        ("set c 2 pxat 1", ok()),
        ("exists c", int(0)),
        ("get c", nil()),
        ("dbsize", int(2)),
        ("set c 2 xx pxat 1", nil()),
        ("set c 2 get exat 1", nil()),
        ("set c 3", ok()),
        ("set c 4 get exat 1", bulk_of("3")),
        ("get c", nil()),
        ("setex d 100 v", ok()),
        ("ttl d", int(100)),
        ("get d", bulk_of("v")),
        ("psetex d 50000 w", ok()),
        ("ttl d", int(50)),
        ("setnx d x", int(0)),
        ("mset d 1", ok()),
        ("ttl d", int(-1)),
        ("expire d 100", int(1)),
        ("ttl d", int(100)),
        ("expire d 50 nx", int(0)),
        ("expire d 50 gt", int(0)),
        ("expire d 200 gt", int(1)),
        ("ttl d", int(200)),
        ("expire d 300 lt", int(0)),
        ("expire d 50 lt", int(1)),
        ("ttl d", int(50)),
        ("expire d 70 xx", int(1)),
        ("ttl d", int(70)),
        ("persist d", int(1)),
        ("persist d", int(0)),
        ("persist nope", int(0)),
        ("ttl d", int(-1)),
        ("expire d 100 xx", int(0)),
        ("expire d 100 gt", int(0)),
        ("expire d 100 xx lt", int(0)),
        ("expire d 100 xx gt", int(0)),
        ("expire d 100 lt", int(1)),
        ("ttl d", int(100)),
        ("expire d 40 xx lt", int(1)),
        ("expire d 30 lt lt xx", int(1)),
        ("ttl d", int(30)),
        ("expire d 500 xx gt", int(1)),
        ("ttl d", int(500)),
        ("persist d", int(1)),
        ("expire d 100 nx", int(1)),
        ("ttl d", int(100)),
        ("expire nope 100", int(0)),
        ("pexpire d 40000", int(1)),
        ("ttl d", int(40)),
        ("expireat d 99999999999", int(1)),
        ("expiretime d", int(99999999999)),
        ("pexpireat d 99999999999999", int(1)),
        ("pexpiretime d", int(99999999999999)),
        ("pexpireat d 99999999999999 gt", int(0)),
        ("pexpireat d 99999999999999 lt", int(0)),
        ("expire d -1", int(1)),
        ("exists d", int(0)),
        ("expire d -1", int(0)),
        ("set d 1", ok()),
        ("expireat d 1", int(1)),
        ("get d", nil()),
        ("set d 1", ok()),
        ("pexpire d 0", int(1)),
        ("get d", nil()),
        ("set d 1 ex 100", ok()),
        ("expire d -1 gt", int(0)),
        ("exists d", int(1)),
        ("expire d -1 lt", int(1)),
        ("exists d", int(0)),
        ("set d 1", ok()),
        ("expire d -1 xx", int(0)),
        ("expire d -1 nx", int(1)),
        ("exists d", int(0)),
        ("set e v", ok()),
        ("getex e", bulk_of("v")),
        ("ttl e", int(-1)),
        ("getex e ex 100", bulk_of("v")),
        ("ttl e", int(100)),
        ("getex e", bulk_of("v")),
        ("ttl e", int(100)),
        ("getex e persist", bulk_of("v")),
        ("ttl e", int(-1)),
        ("getex e persist", bulk_of("v")),
        ("getex e px 50000", bulk_of("v")),
        ("ttl e", int(50)),
        ("getex e exat 99999999999", bulk_of("v")),
        ("expiretime e", int(99999999999)),
        ("getex e pxat 99999999999999", bulk_of("v")),
        ("pexpiretime e", int(99999999999999)),
        ("getex e exat 1", bulk_of("v")),
        ("exists e", int(0)),
        ("getex nope ex 100", nil()),
        ("getex nope persist", nil()),
        ("set f v ex 10 ex 100", ok()),
        ("ttl f", int(100)),
        ("set f v keepttl keepttl", ok()),
        ("ttl f", int(100)),
        ("set f 10 ex 100", ok()),
        ("decrby f 3", int(7)),
        ("ttl f", int(100)),
        ("strlen f", int(1)),
        ("type f", Reply::Simple("string".into())),
        ("del f", int(1)),
        ("ttl f", int(-2)),
        ("set f v", ok()),
        ("ttl f", int(-1)),
        ("pexpire f 1500", int(1)),
        ("ttl f", int(2)),
        ("pexpire f 1400", int(1)),
        ("ttl f", int(1)),
        ("set f v ex 100", ok()),
        ("flushall", ok()),
        ("ttl f", int(-2)),
        ("dbsize", int(0)),
    ];
    let mut store = store_at_noon();
    for (line, reply) in transcript {
        assert_eq!(run(&mut store, line), reply, "{line}");
    }
}

#[test]
fn a_time_from_now_on_counts_from_the_stamp() {
    let mut store = store_at_noon();
    run(&mut store, "set k v px 500");
    assert_eq!(run(&mut store, "pexpiretime k"), Reply::Int(NOON.cast_signed() + 500));
    store.advance(NOON + 100, 2);
    assert_eq!(run(&mut store, "pttl k"), Reply::Int(400));
    let pttl = Command::parse(&[b"pttl", b"k"]).unwrap();
    assert_eq!(
        store.read(&pttl, NOON + 300),
        Reply::Int(200),
        "the log's time stands still while nobody writes"
    );
    assert_eq!(store.read(&pttl, NOON + 900), Reply::Int(0), "and only the log says that it is gone");
}

#[test]
fn a_key_is_gone_at_its_very_time_and_the_time_does_not_go_back() {
    let mut store = store_at_noon();
    run(&mut store, "set k v px 500");
    store.advance(NOON + 499, 2);
    assert_eq!(run(&mut store, "get k"), bulk_of("v"));
    store.advance(NOON + 500, 3);
    for back in [0, 400] {
        store.advance(NOON + back, 4);
        assert_eq!((run(&mut store, "get k"), store.now_ms()), (Reply::Nil, NOON + 500));
    }
    assert_eq!((store.held(), store.memory_bytes()), (0, 0));
    assert_eq!(store.mark(store.place(b"k").slot).deleted, 3);
}

#[test]
fn what_is_over_is_found_by_nobody_and_taken_out_bit_by_bit() {
    let mut store = store_at_noon();
    for number in 0..2500 {
        run(&mut store, &format!("set k{number} {number} px {}", 100 + number % 2));
    }
    run(&mut store, "set stays v");
    run(&mut store, "set later v px 200");
    assert_eq!((store.len(), store.expiring()), (2502, 2501));
    store.advance(NOON + 150, 2);
    assert_eq!((store.len(), store.expiring(), store.held()), (2, 1, 1502));
    assert_eq!(run(&mut store, "dbsize"), Reply::Int(2));
    // The one that is held and over is as good as gone for every command.
    let held = (0..2500).map(|n| format!("k{n}")).find(|k| store.value_mut(k.as_bytes()).is_some()).unwrap();
    for name in ["get", "strlen", "exists", "ttl", "persist", "del", "type"] {
        let line = format!("{name} {held}");
        assert_eq!(run(&mut store, &line), run(&mut Store::new(3), &line), "{line}");
    }
    for line in ["set K v xx", "set K v keepttl", "incr K", "append K v", "setnx K 1", "set K 1 get"] {
        let mut store = store.clone();
        store.index_expiries();
        let line = line.replace('K', &held);
        assert_eq!(run(&mut store, &line), run(&mut Store::new(3), &line), "{line}");
        let ttl = if line.ends_with("xx") { -2 } else { -1 };
        assert_eq!(run(&mut store, &format!("ttl {held}")), Reply::Int(ttl), "{line}");
    }
    store.advance(0, 3);
    assert_eq!((store.len(), store.held()), (2, 502));
    store.advance(0, 4);
    assert_eq!((store.len(), store.held(), store.next_expiry_ms()), (2, 2, Some(NOON + 200)));
}

/// Else those that are over would grow without end while many come.
#[test]
fn a_long_entry_takes_out_as_many_as_it_may_bring() {
    let mut store = store_at_noon();
    for number in 0..10_000 {
        run(&mut store, &format!("set k{number} {number} px 100"));
    }
    store.begin_entry(NOON + 150, 2, 6000 * 8);
    assert_eq!((store.len(), store.over(), store.held()), (0, 4000, 4000));
    store.begin_entry(NOON + 150, 3, 100);
    assert_eq!((store.over(), store.held()), (3000, 3000));
}

#[test]
fn what_is_over_is_counted_as_keys_come_and_go() {
    let mut store = store_at_noon();
    for number in 0..3000 {
        run(&mut store, &format!("set k{number} {number} px {}", 100 + number));
    }
    let counted = |store: &Store| {
        let ends = store.slots.iter().flat_map(|slot| slot.iter()).filter_map(|entry| entry.value.expires_ms);
        assert_eq!(store.over(), ends.filter(|at| *at <= store.now_ms).count());
        (store.len(), store.expiring())
    };
    store.advance(NOON + 2599, 2);
    assert_eq!((counted(&store), store.over()), ((500, 500), 1500));
    run(&mut store, "set k1500 v");
    run(&mut store, "setnx k1501 v");
    run(&mut store, "set k1502 v px 1000");
    run(&mut store, "del k1503");
    run(&mut store, "expire k1504 10");
    run(&mut store, "persist k2900");
    assert_eq!(counted(&store), (503, 500));
    let clone = store.clone();
    assert_eq!(counted(&clone), counted(&store), "without its index it knows the numbers");
    let mut other = Store::new(2);
    other.replace(clone);
    assert_eq!(counted(&other), counted(&store));
    // The time does not go back.
    store.advance(NOON, 3);
    assert_eq!(counted(&store), (503, 500));
    run(&mut store, "flushall");
    assert_eq!(counted(&store), (0, 0));
}

#[test]
fn an_index_that_a_clone_has_left_behind_is_made_anew() {
    let mut store = store_at_noon();
    for number in 0..100 {
        run(&mut store, &format!("set k{number} {number} px {}", 100 + number));
    }
    let mut clone = store.clone();
    assert_eq!((clone.expiries.len(), clone.expiries.count), (0, 100));
    let mut other = Store::new(2);
    other.replace(clone.clone());
    clone.index_expiries();
    for store in [&mut store, &mut clone, &mut other] {
        store.advance(NOON + 149, 5);
    }
    assert_eq!(store.len(), 50);
    assert_eq!((clone.digest(), other.digest()), (store.digest(), store.digest()));
}

#[test]
#[should_panic(expected = "without its index")]
fn a_clone_without_its_index_applies_nothing() {
    let mut store = store_at_noon();
    run(&mut store, "set k v px 1");
    store.clone().advance(NOON + 5, 2);
}

#[test]
fn the_index_of_flushed_keys_is_freed_in_slices() {
    let mut store = store_at_noon();
    for number in 0..5000 {
        run(&mut store, &format!("set k{number} {number} px 100"));
    }
    run(&mut store, "flushall");
    assert_eq!((store.expiring(), store.next_expiry_ms(), store.memory_bytes()), (0, None, 0));
    let slices = (1..).find(|_| !store.collect_garbage(1000)).unwrap();
    assert!(slices >= 10, "{slices} slices for 5000 keys and as many expiries");
    store.advance(NOON + 1000, 2);
    assert!(store.is_empty());
}

#[test]
fn a_read_is_behind_only_if_the_clock_ends_what_it_would_show() {
    let mut store = store_at_noon();
    run(&mut store, "set k v px 500");
    run(&mut store, "set later v px 900");
    run(&mut store, "set stays v");
    let is_behind = |line: &str, clock: u64| {
        let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
        store.is_behind(&Command::parse(&args).unwrap(), NOON + clock)
    };
    for line in ["get k", "ttl k", "exists stays k", "mget stays k", "dbsize"] {
        assert!(!is_behind(line, 499) && is_behind(line, 500), "{line}");
    }
    for line in ["get stays", "get nope", "get later", "exists later"] {
        assert!(!is_behind(line, 700), "{line}");
    }
}

/// The same on the plainest store there is.
#[derive(Default)]
struct Model {
    keys: BTreeMap<u8, Option<u64>>,
    now_ms: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, Option<u64>),
    Expire(u8, i64),
    Persist(u8),
    Delete(u8),
    Flush,
    Pass(u64),
    /// An image is taken and put in the store's place.
    Restore,
}

impl Model {
    /// What the step is for the store, and its answer.
    fn step(&mut self, step: &Step) -> Option<(String, Reply)> {
        Some(match *step {
            Step::Set(key, after) => {
                self.keys.insert(key, after.map(|ms| self.now_ms + ms));
                let option = after.map_or(String::new(), |ms| format!(" px {ms}"));
                (format!("set {key} 1{option}"), Reply::Ok)
            }
            Step::Expire(key, ms) => {
                let is_there = self.keys.contains_key(&key);
                if is_there {
                    self.keys.insert(key, Some(self.now_ms.saturating_add_signed(ms)));
                }
                (format!("pexpire {key} {ms}"), Reply::Int(is_there.into()))
            }
            Step::Persist(key) => {
                let had = self.keys.get_mut(&key).is_some_and(|at| at.take().is_some());
                (format!("persist {key}"), Reply::Int(had.into()))
            }
            Step::Delete(key) => (format!("del {key}"), Reply::Int(self.keys.remove(&key).is_some().into())),
            Step::Flush => {
                self.keys.clear();
                ("flushall".to_owned(), Reply::Ok)
            }
            Step::Pass(ms) => {
                self.now_ms += ms;
                return None;
            }
            Step::Restore => return None,
        })
    }

    fn drop_what_is_over(&mut self) {
        let now_ms = self.now_ms;
        self.keys.retain(|_, at| at.is_none_or(|at| at > now_ms));
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0u8..12;
    prop_oneof![
        6 => (key(), proptest::option::of(1u64..40)).prop_map(|(key, after)| Step::Set(key, after)),
        4 => (key(), -3i64..40).prop_map(|(key, ms)| Step::Expire(key, ms)),
        2 => key().prop_map(Step::Persist),
        2 => key().prop_map(Step::Delete),
        1 => Just(Step::Flush),
        4 => (0u64..15).prop_map(Step::Pass),
        1 => Just(Step::Restore),
    ]
}

proptest! {
    #![proptest_config(crate::fixed_cases())]

    #[test]
    fn the_store_forgets_what_the_model_forgets(steps in vec(step(), 1..150), seed in any::<u64>()) {
        let mut model = Model { now_ms: NOON, ..Model::default() };
        let (mut store, mut other) = (Store::new(seed), Store::new(!seed));
        for (index, step) in (1..).zip(&steps) {
            let asked = model.step(step);
            model.drop_what_is_over();
            store.advance(model.now_ms, index);
            other.advance(model.now_ms, index);
            if let Some((line, reply)) = asked {
                let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
                prop_assert_eq!(run_bytes(&mut store, &args, index), reply, "{}", line);
                run_bytes(&mut other, &args, index);
            }
            if matches!(step, Step::Restore) {
                let image = store.clone();
                store.replace(image);
            }
            prop_assert_eq!(store.len(), model.keys.len());
            prop_assert_eq!(store.expiring(), model.keys.values().flatten().count());
            prop_assert_eq!(store.next_expiry_ms(), model.keys.values().flatten().min().copied());
            for (key, at) in &model.keys {
                let said = run(&mut store, &format!("pexpiretime {key}"));
                prop_assert_eq!(said, Reply::Int(at.map_or(-1, u64::cast_signed)));
            }
            prop_assert_eq!(store.memory_bytes(), other.memory_bytes());
        }
        prop_assert_eq!(store.digest(), other.digest());
    }
}
