//! SCAN and RANDOMKEY, whoever leads.

use std::collections::BTreeSet;
use std::time::Duration;

use bowline_kv::Reply;

use crate::common::World;

/// Asks for one page; returns where to go on.
fn page(world: &mut World, node: u64, cursor: &str, seen: &mut Vec<String>) -> String {
    let text = |reply: &Reply| match reply {
        Reply::Bulk(text) => String::from_utf8(text.to_vec()).expect("text"),
        other => panic!("no text: {other:?}"),
    };
    match world.ask(node, &format!("SCAN {cursor} COUNT 100")) {
        Reply::Array(parts) => match parts.as_slice() {
            [next, Reply::Array(keys)] => {
                seen.extend(keys.iter().map(text));
                text(next)
            }
            other => panic!("no page: {other:?}"),
        },
        other => panic!("no page: {other:?}"),
    }
}

fn fill(world: &mut World, keys: usize) -> Vec<String> {
    let name = |number: usize| format!("{}{number}", ["", "{tag}"][number % 2]);
    let mut names: Vec<_> = (0..keys).map(name).collect();
    for names in names.chunks(500) {
        let pairs: String = names.iter().map(|name| format!(" {name} v")).collect();
        assert_eq!(world.ask(1, &format!("MSET{pairs}")), Reply::Ok);
    }
    names.sort_unstable();
    names
}

/// Each node's tables are cut and seeded otherwise; a cursor means the same in all of them.
#[test]
fn an_iteration_goes_on_over_a_change_of_leader() {
    let mut world = World::new(3);
    let names = fill(&mut world, 6000);
    let (mut seen, mut cursor, mut leaders, mut pages) = (Vec::new(), "0".to_owned(), BTreeSet::new(), 0);
    loop {
        let leader = world.leader();
        leaders.insert(leader);
        cursor = page(&mut world, 1 + pages % 3, &cursor, &mut seen);
        pages += 1;
        if cursor == "0" {
            break;
        }
        if pages % 20 == 0 {
            world.cut_off = vec![leader];
            world.pass(Duration::from_secs(3));
            world.cut_off.clear();
            world.pass(Duration::from_secs(1));
        }
    }
    assert!(leaders.len() > 1, "another one has led");
    seen.sort_unstable();
    assert_eq!(seen, names, "each key, and each once");
}

#[test]
fn keys_are_drawn_anew_each_time_and_behind_a_write_by_the_log() {
    let mut world = World::new(3);
    fill(&mut world, 100);
    for node in 1..=3 {
        let plain: Vec<_> = (0..20).map(|_| world.submit(node, 1, "RANDOMKEY")).collect();
        world.submit(node, 2, "SET 0 v");
        let logged: Vec<_> = (0..20).map(|_| world.submit(node, 2, "RANDOMKEY")).collect();
        world.pass(Duration::from_millis(100));
        for tokens in [plain, logged] {
            let keys: BTreeSet<_> =
                tokens.iter().map(|token| format!("{:?}", world.reply(node, *token))).collect();
            assert!(keys.len() > 5 && keys.iter().all(|key| key.starts_with("Bulk")), "{keys:?}");
        }
    }
    world.pass(Duration::from_millis(200));
    let digests: BTreeSet<u64> = world.replicas.values().map(bowline_kv::Replica::digest).collect();
    assert_eq!(digests.len(), 1);
}
