use bowline_raft::{Config, LogId};

use super::*;
use crate::entry::Builder;

/// A request of node 2 that puts a letter behind the list.
struct Append {
    life: u64,
    floor: u64,
    number: u64,
    letter: &'static str,
}

/// What the list is after a log in which each of these is an entry.
fn list_after(log: &[Append]) -> Reply {
    let own = NodeId(1);
    let entries = (1..).zip(log).map(|(index, append)| {
        let mut command = Vec::new();
        Command::Append { key: b"l", value: append.letter.as_bytes() }.encode(&mut command);
        let origin = Origin { node: 2, life: append.life };
        let mut builder = Builder::default();
        builder.push(&Request { origin, floor: append.floor, number: append.number, command: &command });
        Entry { id: LogId::new(1, index), kind: EntryKind::Command, payload: builder.finish() }
    });
    let config = ReplicaConfig {
        raft: Config::new(own, vec![own], 1),
        life: 1,
        command_timeout: Duration::from_secs(5),
    };
    let hard_state = HardState { term: 1, vote: None };
    let mut replica = Replica::new(config, hard_state, None, entries.collect());
    replica.submit(ClientId(1), 1, &Command::Get { key: b"l" });
    for pass in 0..200 {
        let output = replica.ready();
        if let Some(answer) = output.answers.into_iter().next() {
            return answer.reply;
        }
        if let Some(write) = output.write {
            replica.persisted(write.seq);
        }
        replica.tick(Time { monotonic: Duration::from_millis(20 * pass), unix_ms: 0 });
    }
    panic!("no answer");
}

fn list(text: &'static str) -> Reply {
    Reply::Bulk(text.into())
}

#[test]
fn a_request_that_comes_again_has_no_further_effect() {
    let append = |number, letter| Append { life: 1, floor: 1, number, letter };
    let log = [append(1, "a"), append(2, "b"), append(1, "a"), append(2, "b"), append(3, "c")];
    assert_eq!(list_after(&log), list("abc"));
}

#[test]
fn what_was_given_up_has_no_effect_behind_a_later_request() {
    let append = |floor, number, letter| Append { life: 1, floor, number, letter };
    // The second was given up before the third was sent. Nothing but the floor closes a number.
    let log = [append(1, 1, "a"), append(3, 3, "c"), append(1, 2, "b"), append(4, 5, "e"), append(4, 4, "d")];
    assert_eq!(list_after(&log), list("aced"));
}

#[test]
fn an_earlier_life_has_no_effect_behind_a_later_one() {
    let append = |life, number, letter| Append { life, floor: 1, number, letter };
    let log = [append(1, 1, "a"), append(2, 1, "b"), append(1, 2, "x"), append(2, 2, "c")];
    assert_eq!(list_after(&log), list("abc"));
}
