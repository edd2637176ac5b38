use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::Store;
use super::super::tests::{bulk_of, run_bytes};
use super::*;
use crate::command::Command;

fn run(store: &mut Store, line: &str) -> Reply {
    let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    run_bytes(store, &args, 1)
}

/// The answer to an HRANDFIELD with this chance.
fn drawn(store: &Store, line: &str, chance: u64) -> Reply {
    let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    let mut command = Command::parse(&args).unwrap();
    assert!(command.has_draw());
    command.draw(chance);
    store.read(&command, 0)
}

fn list(texts: &str) -> Vec<Reply> {
    texts.split_whitespace().map(bulk_of).collect()
}

fn filled(fields: usize) -> Store {
    let mut store = Store::new(1);
    for number in 0..fields {
        run(&mut store, &format!("hset h f{number} {number}"));
    }
    store
}

fn names(reply: Reply) -> Vec<String> {
    let (Reply::Array(replies) | Reply::Pairs(replies)) = reply else { panic!("{reply:?}") };
    let text = |reply: &Reply| String::from_utf8(reply.text().unwrap().1.to_vec()).unwrap();
    replies.iter().map(text).collect()
}

/// One request a line, and what redis-server 7.0.15 answers to the same requests in the same order.
#[test]
fn replies_are_those_of_redis() {
    let page = |fields: &str| Reply::Array(vec![bulk_of("0"), Reply::Array(list(fields))]);
    let transcript = [
        ("hrandfield h", Reply::Nil),
        ("hrandfield h 3", Reply::Array(vec![])),
        ("hrandfield h -3 withvalues", Reply::Pairs(vec![])),
        ("hscan h 0", page("")),
        ("hscan h 7", page("")),
        ("hset h a 1", Reply::Int(1)),
        ("hrandfield h", bulk_of("a")),
        ("hrandfield h 0", Reply::Array(vec![])),
        ("hrandfield h -3", Reply::Array(list("a a a"))),
        ("hrandfield h -2 WithValues", Reply::Pairs(list("a 1 a 1"))),
        ("hset h b 2 ab 3", Reply::Int(2)),
        ("hrandfield h 3", Reply::Array(list("a b ab"))),
        ("hrandfield h 9223372036854775807", Reply::Array(list("a b ab"))),
        ("hrandfield h 4 withvalues", Reply::Pairs(list("a 1 b 2 ab 3"))),
        ("hscan h 0", page("a 1 b 2 ab 3")),
        ("hscan h 0 count 1", page("a 1 b 2 ab 3")),
        ("hscan h 5 match a* count 1", page("a 1 ab 3")),
        ("hscan h 0 match A*", page("")),
        ("set s 1", Reply::Ok),
        ("hrandfield s", Reply::WRONG_TYPE),
        ("hrandfield s 2", Reply::WRONG_TYPE),
        ("hscan s 0", Reply::WRONG_TYPE),
    ];
    let mut store = Store::new(1);
    for (number, (request, reply)) in transcript.into_iter().enumerate() {
        assert_eq!(run(&mut store, request), reply, "line {number}: {request}");
    }
}

#[test]
fn each_field_comes_up_by_chance() {
    for fields in [3, 2000] {
        let store = filled(fields);
        let one: BTreeSet<_> =
            (0..40).map(|chance| drawn(&store, "hrandfield h", chance).text().unwrap().1.clone()).collect();
        assert!(one.len() >= fields.min(30), "{one:?}");
        let seen = |line: &str| -> BTreeSet<String> {
            (0..40).flat_map(|chance| names(drawn(&store, line, chance))).collect()
        };
        assert!(seen("hrandfield h 2").len() >= fields.min(60));
        assert!(seen("hrandfield h -2").len() >= fields.min(60));
        assert_eq!(drawn(&store, "hrandfield h 2", 7), drawn(&store, "hrandfield h 2", 7));
    }
}

#[test]
fn a_sample_has_as_many_fields_as_it_should() {
    for fields in [3usize, 600] {
        let store = filled(fields);
        for count in [1, 2, fields - 1, fields, fields + 1] {
            let different = names(drawn(&store, &format!("hrandfield h {count}"), 5));
            assert_eq!(different.len(), count.min(fields));
            assert_eq!(different.iter().collect::<BTreeSet<_>>().len(), different.len());
            assert_eq!(names(drawn(&store, &format!("hrandfield h -{count}"), 5)).len(), count);
            let with_values = names(drawn(&store, &format!("hrandfield h -{count} withvalues"), 5));
            let (pairs, _) = with_values.as_chunks::<2>();
            assert_eq!(pairs.len(), count);
            assert!(pairs.iter().all(|[name, value]| name[1..] == value[..]));
        }
    }
}

#[test]
fn a_short_request_cannot_ask_for_a_reply_without_end() {
    let mut store = filled(1);
    let too_many = Reply::error_text("ERR reply exceeds maximum of 1048576 elements");
    assert_eq!(names(run(&mut store, "hrandfield h -1048576")).len(), MAX_ARGUMENTS);
    assert_eq!(run(&mut store, "hrandfield h -1048577"), too_many);
    assert_eq!(run(&mut store, "hrandfield h -524289 withvalues"), too_many);
    assert_eq!(run(&mut store, "hrandfield h -9223372036854775807"), too_many);
    run_bytes(&mut store, &[b"HSET", b"h", b"f0", &vec![b'x'; 1 << 24]], 1);
    let too_large = Reply::error_text("ERR reply exceeds maximum allowed size (67108864 bytes)");
    assert!(matches!(run(&mut store, "hrandfield h -3 withvalues"), Reply::Pairs(_)));
    assert_eq!(run(&mut store, "hrandfield h -4 withvalues"), too_large);
}

/// One call of HSCAN: where to go on, and the names and values.
fn page(store: &Store, cursor: u64, options: &str) -> (u64, Vec<String>) {
    let line = format!("hscan h {cursor}{options}");
    let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    let Reply::Array(parts) = store.read(&Command::parse(&args).unwrap(), 0) else { panic!("{line}") };
    let [next, found] = <[Reply; 2]>::try_from(parts).unwrap();
    let next = std::str::from_utf8(next.text().unwrap().1).unwrap().parse().unwrap();
    (next, names(found))
}

#[test]
fn a_scan_of_a_large_hash_goes_page_by_page() {
    let store = filled(5000);
    let (mut cursor, mut pages, mut found) = (0, 0, Vec::new());
    loop {
        let (next, some) = page(&store, cursor, " count 100");
        assert!(next > cursor || next == 0);
        assert!(next < 1 << 53, "{next} is not exact in a floating-point number");
        assert_eq!(some.len(), 200);
        found.extend(some);
        pages += 1;
        cursor = next;
        if next == 0 {
            break;
        }
    }
    let (pairs, _) = found.as_chunks::<2>();
    assert_eq!((pages, pairs.iter().collect::<BTreeSet<_>>().len()), (50, 5000));
    assert!(pairs.iter().all(|[name, value]| name[1..] == value[..]));
    let (next, some) = page(&store, 0, " match f7 count 6000");
    assert_eq!((next, some), (0, vec!["f7".to_owned(), "7".to_owned()]));
    assert_eq!(page(&store, u64::MAX, ""), (0, vec![]));
}

#[test]
fn a_pattern_that_takes_long_ends_the_page() {
    let mut store = Store::new(1);
    let long = "a".repeat(1000);
    for number in 0..1000 {
        run(&mut store, &format!("hset h {long}{number} v"));
    }
    let pattern = format!("*{}b", "a".repeat(400));
    let (next, found) = page(&store, 0, &format!(" match {pattern} count 1000"));
    assert!(next > 0 && found.is_empty());
    // A small one is scanned at once, or not at all.
    let mut store = Store::new(1);
    let long = "a".repeat(20_000);
    for number in 0..100 {
        run(&mut store, &format!("hset h {long}{number} v"));
    }
    let reply = run(&mut store, &format!("hscan h 0 match *{}b", "a".repeat(400)));
    assert_eq!(reply, Reply::error_text("ERR pattern takes too long for so long fields"));
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 30, ..crate::fixed_cases() })]

    /// What is there all along comes once, whatever comes and goes meanwhile; and there is an end.
    #[test]
    fn a_scan_meets_what_stays(
        beginning in 513usize..1500,
        changes in proptest::collection::vec((0usize..3000, any::<bool>()), 0..300),
        count in 1u32..200,
    ) {
        let mut store = filled(beginning);
        let touched: BTreeSet<_> = changes.iter().map(|(number, _)| *number).collect();
        let mut met: BTreeMap<String, u32> = BTreeMap::new();
        let (mut cursor, mut changes) = (0, changes.into_iter());
        for pages in 0.. {
            prop_assert!(pages < 5000);
            let (next, found) = page(&store, cursor, &format!(" count {count}"));
            for [name, _] in found.as_chunks::<2>().0 {
                *met.entry(name.clone()).or_default() += 1;
            }
            if next == 0 {
                break;
            }
            cursor = next;
            for (number, comes) in changes.by_ref().take(3) {
                let line = if comes { format!("hset h f{number} {number}") } else { format!("hdel h f{number}") };
                run(&mut store, &line);
            }
        }
        for number in (0..beginning).filter(|number| !touched.contains(number)) {
            prop_assert_eq!(met.get(&format!("f{number}")), Some(&1));
        }
    }
}
