use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);
const A: ClientId = ClientId(1);
const B: ClientId = ClientId(2);

fn contact() -> Contact {
    Contact::new(TIMEOUT)
}

fn target(term: Term, link: u64) -> Option<Target> {
    Some(Target { leader: NodeId(2), term, link })
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets time pass, with a reading of the clock at least every half second.
fn run_to(contact: &mut Contact, time: Duration) {
    while contact.now < time {
        let now = contact.now + Duration::from_millis(500);
        contact.tick(now.min(time));
    }
}

fn submit(contact: &mut Contact, client: ClientId, token: u64, words: &str, now: Duration) {
    run_to(contact, now);
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    contact.submit(client, token, &Command::parse(&args).expect("a valid command"));
}

/// What is sent now, as a person reads it.
fn sent(contact: &mut Contact) -> Vec<String> {
    let unsent = contact.take_unsent();
    let text = |(path, number, command): (Path, u64, Bytes)| {
        let command = Command::decode(&command).expect("it was encoded here");
        let key = command.keys().next().map(|key| String::from_utf8_lossy(key).into_owned());
        format!("{path:?} {number} {}", key.unwrap_or_default())
    };
    unsent.into_iter().map(text).collect()
}

fn answered(contact: &mut Contact) -> Vec<(u64, String)> {
    let word = |reply: Reply| match reply {
        Reply::Error(text) => String::from_utf8_lossy(&text).split(' ').next().map(str::to_owned),
        other => Some(format!("{other:?}")),
    };
    std::mem::take(&mut contact.answers)
        .into_iter()
        .map(|answer| (answer.token, word(answer.reply).unwrap_or_default()))
        .collect()
}

fn done(contact: &mut Contact, path: Path, number: u64) {
    contact.answered(path, number, Outcome::Done(Reply::Ok));
}

#[test]
fn each_target_gets_all_that_is_unanswered_under_the_same_numbers() {
    let mut contact = contact();
    for (token, key) in (1..).zip(["a", "b", "c"]) {
        submit(&mut contact, A, token, &format!("SET {key} 1"), at(0));
    }
    assert!(!contact.has_unsent(), "there is no target");
    contact.retarget(target(1, 1));
    assert_eq!(sent(&mut contact), ["Log 1 a", "Log 2 b", "Log 3 c"]);
    assert!(!contact.has_unsent());
    done(&mut contact, Path::Log, 2);
    for next in [target(1, 2), target(2, 2)] {
        contact.retarget(next);
        assert_eq!(sent(&mut contact), ["Log 1 a", "Log 3 c"]);
        contact.retarget(next);
        assert_eq!(sent(&mut contact), [""; 0], "it is the same target");
    }
    assert_eq!(contact.floor(), 1);
    done(&mut contact, Path::Log, 1);
    assert_eq!(contact.floor(), 3);
    assert_eq!(answered(&mut contact), [(2, "Ok".to_owned()), (1, "Ok".to_owned())]);
}

#[test]
fn a_read_behind_a_write_goes_through_the_log_and_others_do_not() {
    let mut contact = contact();
    contact.retarget(target(1, 1));
    submit(&mut contact, A, 1, "SET a 1", at(0));
    submit(&mut contact, A, 2, "GET a", at(0));
    submit(&mut contact, B, 3, "GET b", at(0));
    assert_eq!(sent(&mut contact), ["Log 1 a", "Log 2 a", "Read 1 b"]);
    done(&mut contact, Path::Log, 1);
    submit(&mut contact, A, 4, "GET a", at(0));
    assert_eq!(sent(&mut contact), ["Log 3 a"], "the read in front of it is still in the log's way");
    done(&mut contact, Path::Log, 2);
    done(&mut contact, Path::Log, 3);
    submit(&mut contact, A, 5, "GET a", at(0));
    assert_eq!(sent(&mut contact), ["Read 2 a"]);
}

#[test]
fn a_write_is_held_behind_reads_and_all_behind_it_with_it() {
    let mut contact = contact();
    contact.retarget(target(1, 1));
    for (token, words) in (1..).zip(["GET a", "GET b", "SET c 1", "GET d", "SET e 1"]) {
        submit(&mut contact, A, token, words, at(0));
    }
    assert_eq!(sent(&mut contact), ["Read 1 a", "Read 2 b"]);
    done(&mut contact, Path::Read, 1);
    assert_eq!(sent(&mut contact), [""; 0]);
    done(&mut contact, Path::Read, 2);
    assert_eq!(sent(&mut contact), ["Log 1 c", "Log 2 d", "Log 3 e"]);
    assert_eq!(contact.most_unanswered(), 3, "what was held counts when it goes");
}

#[test]
fn plain_reads_are_answered_by_the_present_target_alone() {
    let mut contact = contact();
    contact.retarget(target(1, 1));
    submit(&mut contact, A, 1, "GET a", at(0));
    submit(&mut contact, A, 2, "GET b", at(0));
    assert_eq!(sent(&mut contact), ["Read 1 a", "Read 2 b"]);
    contact.retarget(target(1, 2));
    assert_eq!(sent(&mut contact), ["Read 3 a", "Read 4 b"]);
    done(&mut contact, Path::Read, 2);
    assert_eq!(answered(&mut contact), [], "it is a late answer");
    done(&mut contact, Path::Read, 3);
    done(&mut contact, Path::Read, 4);
    assert_eq!(answered(&mut contact).len(), 2);
}

#[test]
fn what_is_given_up_is_answered_with_what_is_true_of_it() {
    let mut contact = contact();
    contact.retarget(target(1, 1));
    submit(&mut contact, A, 1, "SET a 1", at(0));
    submit(&mut contact, B, 2, "GET b", at(0));
    assert_eq!(sent(&mut contact), ["Log 1 a", "Read 1 b"]);
    contact.retarget(None);
    submit(&mut contact, A, 3, "SET c 1", at(1));
    run_to(&mut contact, at(5) - Duration::from_nanos(1));
    assert_eq!(answered(&mut contact), []);
    run_to(&mut contact, at(5));
    let words = |given_up: &[(u64, &str)]| -> Vec<(u64, String)> {
        given_up.iter().map(|&(token, word)| (token, word.to_owned())).collect()
    };
    assert_eq!(answered(&mut contact), words(&[(2, "CLUSTERDOWN"), (1, "UNCERTAIN")]));
    assert_eq!(contact.floor(), 2, "giving up finishes the number");
    run_to(&mut contact, at(6));
    assert_eq!(answered(&mut contact), words(&[(3, "CLUSTERDOWN")]));
    contact.retarget(target(2, 1));
    assert_eq!(sent(&mut contact), [""; 0], "nothing that was given up is sent");
    done(&mut contact, Path::Log, 1);
    assert_eq!(answered(&mut contact), [], "it was answered before");
    assert_eq!(contact.unanswered(), 0);
    assert_eq!(contact.floor(), 3);
}

#[test]
fn a_held_write_goes_when_the_reads_in_front_of_it_are_given_up() {
    let mut contact = contact();
    submit(&mut contact, A, 1, "GET a", at(0));
    submit(&mut contact, A, 2, "SET b 1", at(1));
    run_to(&mut contact, at(5));
    assert_eq!(answered(&mut contact).len(), 1);
    contact.retarget(target(1, 1));
    assert_eq!(sent(&mut contact), ["Log 1 b"]);
}

#[test]
fn a_full_log_is_certain_only_of_the_first_sending() {
    let mut contact = contact();
    contact.retarget(target(1, 1));
    submit(&mut contact, A, 1, "SET a 1", at(0));
    submit(&mut contact, A, 2, "SET b 1", at(0));
    assert_eq!(sent(&mut contact).len(), 2);
    contact.answered(Path::Log, 1, Outcome::LogFull);
    contact.retarget(target(2, 1));
    assert_eq!(sent(&mut contact), ["Log 2 b"]);
    contact.answered(Path::Log, 2, Outcome::LogFull);
    let expected = [(1, "LOGFULL".to_owned()), (2, "UNCERTAIN".to_owned())];
    assert_eq!(answered(&mut contact), expected);
}

#[test]
fn a_client_that_went_is_answered_nothing_and_holds_nobody_up() {
    let mut contact = contact();
    contact.retarget(target(1, 1));
    submit(&mut contact, A, 1, "GET a", at(0));
    submit(&mut contact, A, 2, "SET b 1", at(0));
    submit(&mut contact, B, 3, "SET c 1", at(0));
    contact.forget(A);
    assert_eq!(sent(&mut contact), ["Log 1 c", "Read 1 a"], "what was held is gone");
    done(&mut contact, Path::Read, 1);
    done(&mut contact, Path::Log, 1);
    assert_eq!(answered(&mut contact), [(3, "Ok".to_owned())]);
    assert_eq!(contact.unanswered(), 0);
}

/// They take as much memory as what has been sent.
#[test]
fn what_is_held_takes_room_too() {
    let large = format!("SET b {}", "x".repeat(MAX_UNANSWERED_BYTES / 4));
    let fill = |contact: &mut Contact, command: &str, count| {
        submit(contact, A, 1, "GET a", at(0));
        for _ in 0..count {
            assert!(contact.has_room());
            submit(contact, A, 2, command, at(0));
        }
        assert!(!contact.has_room());
    };
    for (command, count) in [(large.as_str(), 4), ("SET b 1", MAX_UNANSWERED - 1)] {
        let mut contact = contact();
        fill(&mut contact, command, count);
        contact.forget(A);
        assert!(contact.has_room(), "what was held is gone");
        done(&mut contact, Path::Read, 1);
        fill(&mut contact, command, count);
        // Held no more, and still unanswered.
        done(&mut contact, Path::Read, 2);
        assert_eq!((contact.held, contact.held_bytes, contact.unanswered()), (0, 0, count));
        for number in 1..=count as u64 {
            done(&mut contact, Path::Log, number);
        }
        assert!(contact.has_room());
    }
}

/// Else each of them would be made, and recorded, on every replica.
#[test]
fn a_read_with_a_large_reply_waits_for_the_writes_in_front_of_it() {
    for read in [
        "KEYS *",
        "SCAN 0",
        "HGETALL h",
        "HKEYS h",
        "HVALS h",
        "HRANDFIELD h -1048576",
        "HSCAN h 0",
        "ONCE 1 1 HGETALL h",
    ] {
        let mut contact = contact();
        contact.retarget(target(1, 1));
        submit(&mut contact, A, 1, "SET a 1", at(0));
        submit(&mut contact, A, 2, "GET a", at(0));
        submit(&mut contact, A, 3, read, at(0));
        assert_eq!(sent(&mut contact), ["Log 1 a", "Log 2 a"], "{read}");
        done(&mut contact, Path::Log, 1);
        done(&mut contact, Path::Log, 2);
        assert!(matches!(sent(&mut contact).as_slice(), [only] if only.starts_with("Read 1")), "{read}");
    }
}

#[test]
fn numbers_that_were_never_given_out_are_passed_over() {
    let mut contact = contact();
    contact.retarget(target(1, 1));
    submit(&mut contact, A, 1, "SET a 1", at(0));
    let _ = sent(&mut contact);
    for number in [0, 2, u64::MAX] {
        done(&mut contact, Path::Log, number);
        done(&mut contact, Path::Read, number);
    }
    assert_eq!(answered(&mut contact), []);
    assert_eq!(contact.floor(), 1);
}

#[test]
fn a_message_is_closed_when_it_is_large_enough() {
    let mut contact = contact();
    contact.retarget(target(1, 7));
    let value = "x".repeat(400 << 10);
    for token in 0..7 {
        submit(&mut contact, A, token, &format!("SET a {value}"), at(0));
    }
    let messages = contact.forward_unsent(target(1, 7).expect("a target"), 9);
    let mut numbers = Vec::new();
    for message in &messages {
        let mut forward = forward::Forward::decode(message).expect("it was made here");
        assert_eq!(forward.header, ForwardHeader { term: 1, life: 9, link: 7, floor: 1 });
        while let Some(request) = forward.next_request().expect("it was made here") {
            numbers.push(request.number);
        }
    }
    assert_eq!(messages.len(), 3);
    assert_eq!(numbers, (1..=7).collect::<Vec<_>>());
}
