mod model;

use super::*;
use crate::command::MAX_COMMAND_BYTES;

pub(super) fn run_bytes(store: &mut Store, args: &[&[u8]], index: Index) -> Reply {
    store.execute(&Command::parse(args).unwrap(), index)
}

pub(super) fn run(store: &mut Store, line: &str) -> Reply {
    let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    run_bytes(store, &args, 1)
}

pub(super) fn bulk_of(text: &str) -> Reply {
    Reply::Bulk(Bytes::copy_from_slice(text.as_bytes()))
}

/// Asks a store without keys all of it, one request after the other; each answer is written as [`shown`].
pub(super) fn check(transcript: &[(&str, &str)]) {
    let mut store = Store::new(1);
    for (number, (request, reply)) in transcript.iter().enumerate() {
        let args: Vec<_> = request.split(' ').map(str::as_bytes).collect();
        let answer = match Command::parse(&args) {
            Ok(command) => store.execute(&command, 1),
            Err(error) => error,
        };
        assert_eq!(shown(&answer), *reply, "line {number}: {request}");
    }
}

/// A status as it is, a number behind a colon, a value in quotes, an error behind a minus.
fn shown(reply: &Reply) -> String {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let list = |replies: &[Reply]| replies.iter().map(shown).collect::<Vec<_>>();
    match reply {
        Reply::Ok => "OK".into(),
        Reply::Nil => "nil".into(),
        Reply::Int(number) => format!(":{number}"),
        Reply::Simple(status) => text(status),
        Reply::Bulk(value) => format!("'{}'", text(value)),
        Reply::Error(error) => format!("-{}", text(error)),
        Reply::Array(replies) => format!("[{}]", list(replies).join(", ")),
        Reply::Map(replies) => {
            let pairs = replies.chunks(2).map(|pair| list(pair).join(": "));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Reply::Pairs(replies) => {
            let pairs = replies.chunks(2).map(|pair| format!("[{}]", list(pair).join(", ")));
            format!("[{}]", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// One request a line, and what redis-server 7.0.15 answers to the same requests in the same order.
#[test]
fn replies_are_those_of_redis() {
    let overflow = Reply::error_text("ERR increment or decrement would overflow");
    let (nil, ok, int) = (Reply::Nil, Reply::Ok, Reply::Int);
    let transcript = [
        ("get a", nil.clone()),
        ("strlen a", int(0)),
        ("type a", Reply::Simple("none".into())),
        ("set a b", ok.clone()),
        ("type a", Reply::Simple("string".into())),
        ("set a c nx", nil.clone()),
        ("set a c nx get", bulk_of("b")),
        ("get a", bulk_of("b")),
        ("set a c get", bulk_of("b")),
        ("set a d xx", ok.clone()),
        ("set k2 z xx", nil.clone()),
        ("set k2 z xx get", nil.clone()),
        ("set k2 z nx get", nil.clone()),
        ("get k2", bulk_of("z")),
        ("getset k2 y", bulk_of("z")),
        ("getset k4 x", nil.clone()),
        ("setnx k4 q", int(0)),
        ("setnx k5 q", int(1)),
        ("append k5 rs", int(3)),
        ("append k6 ", int(0)),
        ("exists k6", int(1)),
        ("get k6", bulk_of("")),
        ("append k6 abc", int(3)),
        ("strlen k6", int(3)),
        ("exists a a nope k2", int(3)),
        ("mset m 1 n 2 m 3", ok.clone()),
        ("mget m nope n m", Reply::Array(vec![bulk_of("3"), nil.clone(), bulk_of("2"), bulk_of("3")])),
        ("dbsize", int(7)),
        ("del a a nope k2", int(2)),
        ("dbsize", int(5)),
        ("incr c", int(1)),
        ("decrby c 3", int(-2)),
        ("get c", bulk_of("-2")),
        ("incrby c 9223372036854775807", int(9223372036854775805)),
        ("incrby c 3", overflow.clone()),
        ("get c", bulk_of("9223372036854775805")),
        ("set c -1", ok.clone()),
        ("decrby c 9223372036854775807", int(i64::MIN)),
        ("decr c", overflow.clone()),
        ("set c -9223372036854775808", ok.clone()),
        ("incrby c -9223372036854775808", overflow),
        ("set c abc", ok.clone()),
        ("incr c", Reply::NOT_AN_INTEGER),
        ("set c 01", ok.clone()),
        ("incr c", Reply::NOT_AN_INTEGER),
        ("set c -0", ok.clone()),
        ("decr c", Reply::NOT_AN_INTEGER),
        ("incr k6", Reply::NOT_AN_INTEGER),
        ("flushall", ok),
        ("dbsize", int(0)),
        ("get c", nil),
        ("incr c", int(1)),
    ];
    let mut store = Store::new(1);
    for (number, (request, reply)) in transcript.into_iter().enumerate() {
        assert_eq!(run(&mut store, request), reply, "line {number}: {request}");
    }
}

#[test]
fn a_stored_value_holds_no_memory_but_its_own() {
    let payload = Bytes::from(b"key value".to_vec());
    let (key, value) = (&payload[..3], &payload[4..]);
    let mut store = Store::new(1);
    for name in [&b"SET"[..], b"SETNX", b"GETSET", b"APPEND", b"MSET"] {
        run(&mut store, "flushall");
        run_bytes(&mut store, &[name, key, value], 1);
        run_bytes(&mut store, &[b"APPEND", key, value], 2);
        let Reply::Bulk(stored) = run_bytes(&mut store, &[b"GET", key], 3) else { panic!("no value") };
        assert!(!payload.as_ptr_range().contains(&stored.as_ptr()));
        assert!(payload.is_unique());
    }
}

#[test]
fn a_reply_shares_the_stored_bytes_and_keeps_its_own() {
    let mut store = Store::new(1);
    run(&mut store, "set a before");
    let (first, second) = (run(&mut store, "get a"), run(&mut store, "mget a"));
    let (Reply::Bulk(first), Reply::Array(second)) = (first, second) else { panic!("no values") };
    let Reply::Bulk(second) = &second[0] else { panic!("no value") };
    assert_eq!(first.as_ptr(), second.as_ptr());
    run(&mut store, "append a -and-after");
    assert_eq!((&first[..], &second[..]), (&b"before"[..], &b"before"[..]));
    assert_eq!(run(&mut store, "get a"), bulk_of("before-and-after"));
}

#[test]
fn many_small_appends_move_the_value_rarely() {
    let mut store = Store::new(1);
    let (mut moves, mut last) = (0, std::ptr::null());
    for length in 1..=100_000 {
        assert_eq!(run(&mut store, "append log x"), Reply::Int(length));
        let data = store.find(b"log").unwrap().data.string().unwrap().as_ptr();
        moves += usize::from(data != last);
        last = data;
    }
    assert!(moves < 40, "{moves} moves");
}

#[test]
fn append_stops_at_the_longest_value() {
    let mut store = Store::new(1);
    let most = vec![b'x'; MAX_VALUE_BYTES - 1];
    run_bytes(&mut store, &[b"SET", b"k", &most], 1);
    let full = i64::try_from(MAX_VALUE_BYTES).unwrap();
    assert_eq!(run(&mut store, "append k y"), Reply::Int(full));
    let (bytes, digest) = (store.memory_bytes(), store.digest());
    let error = Reply::error_text("ERR string exceeds maximum allowed size (16777216 bytes)");
    assert_eq!(run(&mut store, "append k y"), error);
    assert_eq!((store.memory_bytes(), store.digest()), (bytes, digest));
}

#[test]
fn a_short_request_cannot_ask_for_a_reply_without_end() {
    let mut store = Store::new(1);
    run_bytes(&mut store, &[b"SET", b"k", &vec![b'x'; MAX_VALUE_BYTES]], 1);
    assert!(matches!(run(&mut store, "mget k k k k"), Reply::Array(values) if values.len() == 4));
    let error = Reply::error_text("ERR reply exceeds maximum allowed size (67108864 bytes)");
    assert_eq!(run(&mut store, "mget k k k k k"), error);
    const { assert!(MAX_REPLY_BYTES > MAX_COMMAND_BYTES, "what one MSET wrote one MGET can read") };
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let mut store = Store::new(1);
    for number in 0..5000 {
        run(&mut store, &format!("set key{number} {number}"));
        run(&mut store, &format!("set {{one}}{number} {number}"));
    }
    let snapshot = store.clone();
    let digest = snapshot.digest();
    assert_eq!(digest, store.digest());
    run(&mut store, "append key7 tail");
    run(&mut store, "del key8 {one}8");
    run(&mut store, "incr {one}9");
    run(&mut store, "mset key10 x new y");
    assert_ne!(store.digest(), digest);
    run(&mut store, "flushall");
    while store.collect_garbage(100) {}
    assert_eq!((snapshot.digest(), snapshot.len()), (digest, 10_000));
    assert_eq!(snapshot.read(&Command::parse(&[b"GET", b"{one}4999"]).unwrap(), 0), bulk_of("4999"));
}

/// The commands leave every slot shared with the copy that was taken before.
pub(super) fn assert_copies_nothing(store: &mut Store, lines: &[&str]) {
    let snapshot = store.clone();
    for line in lines {
        run(store, line);
        let same = store.slots.iter().zip(&snapshot.slots).all(|(now, then)| Arc::ptr_eq(now, then));
        assert!(same, "{line}");
    }
}

#[test]
fn a_command_that_changes_nothing_copies_nothing() {
    let mut store = Store::new(1);
    run(&mut store, "mset a text b 9223372036854775807");
    let reads = ["get a", "mget a b c", "exists a b c", "strlen a", "type a", "dbsize"];
    assert_copies_nothing(&mut store, &reads);
    let in_vain =
        ["set a x nx", "set a x nx get", "set c x xx", "setnx a x", "incr a", "incr b", "del nope nope2"];
    assert_copies_nothing(&mut store, &in_vain);
}

#[test]
fn every_change_notes_its_index() {
    let mut store = Store::new(1);
    let requests =
        ["set k 1", "append k 2", "incr k", "set k 3 xx get", "mset k 4", "getset k 5", "del k", "setnx k 6"];
    for (index, line) in (10..).zip(requests) {
        let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
        run_bytes(&mut store, &args, index);
        let changed = store.find(b"k").map(|value| value.changed);
        let deleted = store.slots[store.place(b"k").slot].deleted;
        assert_eq!(
            (changed, deleted),
            if line == "del k" { (None, index) } else { (Some(index), 16 * u64::from(index > 16)) }
        );
    }
    run_bytes(&mut store, &[b"FLUSHALL"], 99);
    let flushed = store.slots.iter().filter(|slot| slot.deleted == 99).count();
    assert_eq!(flushed, 1, "a slot without keys loses none");
}

#[test]
fn flushall_leaves_the_epochs() {
    let mut store = Store::new(1);
    for (number, epoch) in [(7, 1), (8, 1), (9, 2)] {
        Arc::make_mut(&mut store.slots[number]).epoch = epoch;
    }
    run(&mut store, "flushall");
    let epochs: Vec<_> = store.slots[6..11].iter().map(|slot| slot.epoch).collect();
    assert_eq!(epochs, [0, 1, 1, 2, 0]);
}

#[test]
fn flushed_keys_are_freed_in_slices() {
    let mut store = Store::new(1);
    for number in 0..20_000 {
        run(&mut store, &format!("set {{one}}{number} v"));
        run(&mut store, &format!("set {number} v"));
    }
    assert!(store.memory_bytes() > 40_000 * 40);
    run(&mut store, "flushall");
    assert_eq!((store.len(), store.memory_bytes(), store.is_empty()), (0, 0, true));
    let left = |store: &Store| store.garbage.slots.iter().map(|slot| slot.len()).sum::<usize>();
    assert_eq!(left(&store), 40_000);
    let mut slices = 0;
    loop {
        let before = left(&store);
        let more = store.collect_garbage(1000);
        slices += 1;
        // A slice ends with a whole shard, of at most twice the usual size.
        let freed = before - left(&store);
        assert!(freed < 1000 + 2 * 2048 + 500, "{freed} at once");
        assert_eq!(more, left(&store) > 0);
        if !more {
            break;
        }
        run(&mut store, &format!("set meanwhile{slices} v"));
    }
    assert!((8..=40).contains(&slices), "{slices} slices");
    assert_eq!(store.len(), slices - 1);
}

#[test]
fn the_digest_sees_every_difference() {
    let store_of = |lines: &[(&str, Index)]| {
        let mut store = Store::new(1);
        for (line, index) in lines {
            let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
            run_bytes(&mut store, &args, *index);
        }
        store.digest()
    };
    let states: [&[(&str, Index)]; 10] = [
        &[],
        &[("set a b", 1)],
        &[("set a b", 2)],
        &[("set ab ", 1)],
        &[("set  ab", 1)],
        &[("set a c", 1)],
        &[("set a b", 1), ("set b a", 1)],
        &[("set a a", 1), ("set b b", 1)],
        &[("set a b", 1), ("del a", 2)],
        &[("set a b", 1), ("flushall", 3)],
    ];
    let mut digests: Vec<_> = states.iter().map(|lines| store_of(lines)).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), states.len());
}

#[test]
fn neither_seed_nor_order_shows() {
    let fill = |seed, numbers: &mut dyn Iterator<Item = u32>| {
        let mut store = Store::new(seed);
        for number in numbers {
            run(&mut store, &format!("set {{one}}{number} {number}"));
        }
        store
    };
    let (up, down) = (fill(1, &mut (0..5000)), fill(2, &mut (0..5000).rev()));
    assert_eq!(up.digest(), down.digest());
    assert_eq!(up.memory_bytes(), down.memory_bytes());
}

#[test]
fn what_was_counted_stays_when_a_snapshot_takes_the_place_of_the_state() {
    let mut store = Store::new(1);
    run(&mut store, "set k v px 10");
    run(&mut store, "mget k none k");
    store.advance(20, 2);
    let tally = Tally { hits: 2, misses: 1, expired: 1 };
    assert_eq!(store.tally(), tally);
    let image = store.clone();
    store.replace(image);
    assert_eq!(store.tally(), tally);
}
