use std::collections::BTreeSet;

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
    let requests = log.iter().map(|append| {
        let command = Command::Append { key: b"l", value: append.letter.as_bytes() };
        (Origin { node: 2, life: append.life }, append.floor, append.number, command)
    });
    let mut replica = replica_with(requests);
    let replies = answers(&mut replica, &[Command::Get { key: b"l" }]);
    replies.into_iter().next().expect("one command, one reply")
}

/// The only replica of its cluster, whose log holds these requests, an entry each.
fn replica_with<'a>(requests: impl Iterator<Item = (Origin, u64, u64, Command<'a>)>) -> Replica {
    let own = NodeId(1);
    let entries = (1..).zip(requests).map(|(index, (origin, floor, number, command))| {
        let mut encoded = Vec::new();
        command.encode(&mut encoded);
        let mut builder = Builder::default();
        builder.push(&Request { origin, floor, number, command: &encoded });
        Entry { id: LogId::new(1, index), kind: EntryKind::Command, payload: builder.finish() }
    });
    let config = ReplicaConfig {
        raft: Config::new(own, vec![own], 1),
        life: 1,
        command_timeout: Duration::from_secs(5),
    };
    let hard_state = HardState { term: 1, vote: None };
    Replica::new(config, hard_state, None, entries.collect())
}

/// What the commands are answered with, all of which are submitted at once.
fn answers(replica: &mut Replica, commands: &[Command<'_>]) -> Vec<Reply> {
    passes(replica, commands).into_iter().flatten().collect()
}

/// The same, for each pass of the loop that has answered some.
fn passes(replica: &mut Replica, commands: &[Command<'_>]) -> Vec<Vec<Reply>> {
    for (token, command) in (1..).zip(commands) {
        replica.submit(ClientId(1), token, command);
    }
    let (mut passes, mut left) = (Vec::new(), commands.len());
    for pass in 0..200 {
        let output = replica.ready();
        let replies: Vec<_> = output.answers.into_iter().map(|answer| answer.reply).collect();
        left -= replies.len();
        if !replies.is_empty() {
            passes.push(replies);
        }
        if left == 0 {
            return passes;
        }
        assert!(passes.is_empty() || output.again, "what is left must not wait for anything else");
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

/// A few bytes may ask for a large reply, and every replica would have to keep it.
#[test]
fn what_the_records_have_no_room_for_is_not_executed() {
    let origin = Origin { node: 2, life: 1 };
    let value = vec![0; 16 << 20];
    let set = Command::SetRange { key: b"v", offset: 0, value: &value };
    let get = Command::Get { key: b"v" };
    let letter = |letter: &'static [u8]| Command::Append { key: b"l", value: letter };
    let mut log = vec![(1, 1, set)];
    log.extend((2..66).map(|number| (1, number, get.clone())));
    // The last but one has told by its floor that two replies have arrived. What was not executed is not executed
    // either when it comes again.
    log.extend([(1, 66, letter(b"a")), (1, 67, letter(b"b")), (4, 68, letter(b"c")), (4, 66, letter(b"a"))]);
    let mut replica =
        replica_with(log.into_iter().map(|(floor, number, command)| (origin, floor, number, command)));
    assert_eq!(answers(&mut replica, &[Command::Get { key: b"l" }]), [list("c")]);
    assert_eq!(replica.sessions.check(origin, 66), Verdict::Done(&CROWDED));
}

/// Else the leader's heartbeats would come too late while it answers them.
#[test]
fn a_pass_answers_so_many_costly_reads_and_the_next_one_goes_on() {
    let mut replica = replica_with([].into_iter());
    let names: Vec<_> = (0..1000).map(|number| format!("{number}{}", "a".repeat(100))).collect();
    let pairs = names.iter().map(|name| (name.as_bytes(), &b"v"[..])).collect();
    answers(&mut replica, &[Command::MSet { pairs }]);
    // Some hundred thousand steps each.
    let keys = Command::Keys { pattern: b"*ab*" };
    let passes = passes(&mut replica, &vec![keys; 250]);
    assert!((2..20).contains(&passes.len()), "{} passes", passes.len());
    assert!(passes.into_iter().flatten().all(|reply| reply == Reply::Array(vec![])));
}

#[test]
fn what_is_left_to_chance_is_drawn_also_for_who_may_not_be_forwarded() {
    let mut replica = replica_with([].into_iter());
    let names: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    let pairs = names.iter().map(|name| (name.as_bytes(), &b"v"[..])).collect();
    answers(&mut replica, &[Command::MSet { pairs }]);
    (0..20).for_each(|token| replica.serve_here(token, &Command::RandomKey { draw: 0 }));
    let served = replica.ready().served;
    let keys: BTreeSet<_> = served.iter().map(|(_, served)| format!("{served:?}")).collect();
    assert!(served.len() == 20 && keys.len() > 5, "{keys:?}");
}
