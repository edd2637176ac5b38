use super::*;

const SEC: Duration = Duration::from_secs(1);

const WRITE: Command<'static> = Command::Append { key: b"k", value: b"v" };
const READ: Command<'static> = Command::Get { key: b"k" };

/// Whom it asks at this time, and how, in words.
fn sends(clerk: &mut Clerk, now: Duration) -> (usize, String) {
    let Step::Send { server, what } = clerk.next(now) else { panic!("it does not send") };
    let text = match what {
        Sending::Open => "OPEN".to_owned(),
        Sending::Plain => "plainly".to_owned(),
        Sending::Once { session, number } => format!("{session} {number}"),
    };
    (server, text)
}

fn result(clerk: &mut Clerk, reply: Reply) {
    clerk.answered(Answer::Result(reply));
}

fn error(clerk: &mut Clerk, text: &'static str) {
    result(clerk, Reply::error_text(text));
}

fn done(clerk: &mut Clerk) -> Result<Reply, CallError> {
    let Step::Done(outcome) = clerk.next(Duration::ZERO) else { panic!("it is not done") };
    outcome
}

/// A clerk of three servers that has opened session 7 at server 0, and has a call out as its number 1.
fn busy() -> Clerk {
    let mut clerk = Clerk::new(3);
    clerk.begin(&WRITE, Some(SEC));
    assert_eq!(sends(&mut clerk, Duration::ZERO), (0, "OPEN".into()));
    result(&mut clerk, Reply::Int(7));
    assert_eq!(sends(&mut clerk, Duration::ZERO), (0, "7 1".into()));
    clerk
}

fn is_unknown(outcome: &Result<Reply, CallError>) -> bool {
    matches!(outcome, Err(CallError::Unknown(_)))
}

#[test]
fn a_write_opens_a_session_and_the_next_one_uses_it() {
    let mut clerk = busy();
    result(&mut clerk, Reply::Ok);
    assert_eq!(done(&mut clerk), Ok(Reply::Ok));
    clerk.begin(&WRITE, None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (0, "7 2".into()));
    result(&mut clerk, Reply::Int(2));
    assert_eq!(done(&mut clerk), Ok(Reply::Int(2)));
}

#[test]
fn a_read_needs_no_session_and_a_missing_key_is_empty() {
    let mut clerk = Clerk::new(3);
    for (reply, value) in [(Reply::Nil, ""), (Reply::Bulk("v".into()), "v")] {
        clerk.begin(&READ, None);
        assert_eq!(sends(&mut clerk, Duration::ZERO), (0, "plainly".into()));
        result(&mut clerk, reply);
        assert_eq!(done(&mut clerk).map(Reply::into_value), Ok(value.into()));
    }
}

#[test]
fn every_sending_of_a_call_has_the_same_number_and_goes_elsewhere() {
    let mut clerk = busy();
    clerk.answered(Answer::Silence);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "7 1".into()));
    clerk.answered(Answer::NotLeader(None));
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "7 1".into()));
    result(&mut clerk, Reply::Ok);
    assert_eq!(done(&mut clerk), Ok(Reply::Ok));
    clerk.begin(&READ, None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "plainly".into()), "who answered is asked first");
}

#[test]
fn it_goes_where_it_is_told_unless_that_makes_no_sense() {
    for (hint, next) in [(2, 2), (1, 1), (0, 1), (99, 1)] {
        let mut clerk = busy();
        clerk.answered(Answer::NotLeader(Some(hint)));
        assert_eq!(sends(&mut clerk, Duration::ZERO), (next, "7 1".into()));
    }
}

#[test]
fn when_all_were_asked_it_waits_and_then_asks_again() {
    let mut clerk = busy();
    for server in [1, 2, 0] {
        clerk.answered(Answer::NotLeader(Some(server)));
        if server > 0 {
            assert_eq!(sends(&mut clerk, Duration::ZERO).0, server);
        }
    }
    assert_eq!(clerk.next(Duration::ZERO), Step::Wait(PAUSE));
    assert_eq!(clerk.next(PAUSE / 2), Step::Wait(PAUSE));
    assert_eq!(sends(&mut clerk, PAUSE), (0, "7 1".into()));
    clerk.answered(Answer::Silence);
    assert_eq!(sends(&mut clerk, PAUSE).0, 1, "the next pause is after all of them again");
}

#[test]
fn a_pause_is_not_longer_than_the_call() {
    let mut clerk = Clerk::new(1);
    clerk.begin(&READ, Some(PAUSE / 2));
    assert_eq!(sends(&mut clerk, Duration::ZERO).0, 0);
    clerk.answered(Answer::Silence);
    assert_eq!(clerk.next(Duration::ZERO), Step::Wait(PAUSE / 2));
    assert!(matches!(clerk.next(PAUSE / 2), Step::Done(Err(CallError::NotExecuted(_)))));
}

#[test]
fn at_the_deadline_it_says_what_it_knows() {
    for (answer, unknown) in [(Answer::NotLeader(None), false), (Answer::Silence, true)] {
        let mut clerk = busy();
        clerk.answered(answer);
        assert_eq!(sends(&mut clerk, SEC / 2).1, "7 1");
        clerk.answered(Answer::NotLeader(None));
        let Step::Done(outcome) = clerk.next(SEC) else { panic!("it goes on") };
        assert_eq!(is_unknown(&outcome), unknown, "{outcome:?}");
    }
}

#[test]
fn a_write_is_not_sent_again_when_too_little_is_left_to_hear_that_nobody_leads() {
    let limit = PATIENCE * 3;
    for (at, ends) in [(limit - PATIENCE, false), (limit - PATIENCE + PAUSE, true)] {
        let mut clerk = Clerk::new(3);
        clerk.begin(&WRITE, Some(limit));
        sends(&mut clerk, Duration::ZERO);
        result(&mut clerk, Reply::Int(7));
        sends(&mut clerk, Duration::ZERO);
        clerk.answered(Answer::NoLeader);
        // A node that is not there says nothing else about the cluster.
        sends(&mut clerk, Duration::ZERO);
        clerk.answered(Answer::NotLeader(None));
        match clerk.next(at) {
            Step::Done(outcome) => {
                assert!(ends && matches!(outcome, Err(CallError::NotExecuted(_))), "{outcome:?}");
            }
            step => assert!(!ends, "{step:?}"),
        }
    }
}

#[test]
fn what_has_nothing_to_lose_is_sent_again_up_to_its_deadline() {
    // Something is uncertain already.
    let mut uncertain = busy();
    uncertain.answered(Answer::Silence);
    sends(&mut uncertain, Duration::ZERO);
    uncertain.answered(Answer::NoLeader);
    // It only reads.
    let mut reading = Clerk::new(3);
    reading.begin(&READ, Some(SEC));
    sends(&mut reading, Duration::ZERO);
    reading.answered(Answer::NoLeader);
    // Only the opening was sent, which has no effect on any key.
    let mut opening = Clerk::new(3);
    opening.begin(&WRITE, Some(SEC));
    sends(&mut opening, Duration::ZERO);
    opening.answered(Answer::NoLeader);
    // Somebody leads again.
    let mut led = Clerk::new(3);
    led.begin(&WRITE, Some(SEC));
    sends(&mut led, Duration::ZERO);
    led.answered(Answer::NoLeader);
    sends(&mut led, Duration::ZERO);
    result(&mut led, Reply::Int(7));
    for mut clerk in [uncertain, reading, opening, led] {
        sends(&mut clerk, SEC / 2);
    }
}

#[test]
fn a_call_that_never_got_further_than_open_was_not_executed() {
    let mut clerk = Clerk::new(3);
    clerk.begin(&WRITE, Some(SEC));
    sends(&mut clerk, Duration::ZERO);
    clerk.answered(Answer::Silence);
    assert!(matches!(clerk.next(SEC), Step::Done(Err(CallError::NotExecuted(_)))));
}

#[test]
fn without_a_sending_that_may_have_run_a_lost_session_is_replaced() {
    for refusal in ["NOSESSION gone", "ONCESTALE 9"] {
        let mut clerk = busy();
        clerk.answered(Answer::NotLeader(None));
        assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "7 1".into()));
        error(&mut clerk, refusal);
        assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "OPEN".into()));
        result(&mut clerk, Reply::Int(8));
        assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "8 1".into()));
    }
}

#[test]
fn clerks_that_evict_each_other_pause() {
    let mut clerk = busy();
    for id in 8..10 {
        error(&mut clerk, "NOSESSION gone");
        assert_eq!(sends(&mut clerk, Duration::ZERO).1, "OPEN");
        result(&mut clerk, Reply::Int(id));
        assert_eq!(sends(&mut clerk, Duration::ZERO).1, format!("{id} 1"));
    }
    error(&mut clerk, "NOSESSION gone");
    assert_eq!(clerk.next(Duration::ZERO), Step::Wait(PAUSE));
}

/// What a server says that has not looked at the command any further. The session has nothing to do with it.
const OF_THIS_SENDING: [&str; 10] = [
    "LOGFULL no room",
    "CROWDED too many large replies",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the 'set' command",
    "EXECABORT Transaction discarded because of previous errors.",
    "ERR unknown command 'ONCE', with args beginning with: '7' '1' ",
    "ERR command 'hset' is not supported by this version of Bowline",
    "ERR option 'IFEQ' is not supported by this version of Bowline",
    "ERR Protocol error: invalid bulk length",
];

#[test]
fn after_silence_no_refusal_makes_unknown_into_not_executed() {
    let refusals = ["NOSESSION gone", "ONCESTALE 9"];
    for refusal in refusals.iter().copied().chain(OF_THIS_SENDING) {
        let mut clerk = busy();
        clerk.answered(Answer::Silence);
        sends(&mut clerk, Duration::ZERO);
        error(&mut clerk, refusal);
        let outcome = done(&mut clerk);
        assert!(is_unknown(&outcome), "{refusal}: {outcome:?}");
        clerk.begin(&WRITE, None);
        let next = sends(&mut clerk, Duration::ZERO).1;
        assert_eq!(next, if OF_THIS_SENDING.contains(&refusal) { "7 2" } else { "OPEN" }, "{refusal}");
    }
}

#[test]
fn what_refuses_a_first_sending_or_an_opening_says_that_nothing_was_executed() {
    for refusal in OF_THIS_SENDING {
        let mut clerk = busy();
        error(&mut clerk, refusal);
        let first = done(&mut clerk);
        let mut clerk = Clerk::new(3);
        clerk.begin(&WRITE, None);
        sends(&mut clerk, Duration::ZERO);
        error(&mut clerk, refusal);
        for outcome in [first, done(&mut clerk)] {
            assert_eq!(outcome, Err(CallError::NotExecuted(refusal.to_owned())));
        }
    }
}

#[test]
fn what_opens_no_session_is_never_taken_for_the_calls_result() {
    for reply in [Reply::Int(-1), Reply::Int(0), Reply::Ok, Reply::Nil, Reply::Bulk("v".into())] {
        let mut clerk = Clerk::new(3);
        clerk.begin(&WRITE, None);
        assert_eq!(sends(&mut clerk, Duration::ZERO).1, "OPEN");
        result(&mut clerk, reply.clone());
        let outcome = done(&mut clerk);
        assert!(matches!(outcome, Err(CallError::NotExecuted(_))), "{reply:?}: {outcome:?}");
        clerk.begin(&WRITE, None);
        assert_eq!(sends(&mut clerk, Duration::ZERO).1, "OPEN");
    }
}

#[test]
fn an_error_of_the_store_is_a_result() {
    let mut clerk = busy();
    clerk.answered(Answer::Silence);
    sends(&mut clerk, Duration::ZERO);
    error(&mut clerk, "ERR string exceeds maximum allowed size");
    assert_eq!(
        done(&mut clerk),
        Err(CallError::Failed("ERR string exceeds maximum allowed size".to_owned()))
    );
}

#[test]
fn a_call_that_is_dropped_leaves_its_number_used_and_the_next_one_goes_elsewhere() {
    let mut clerk = busy();
    clerk.begin(&WRITE, None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "7 2".into()));
    clerk.answered(Answer::NotLeader(Some(2)));
    clerk.begin(&WRITE, None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "7 3".into()), "nobody was waited for");
}

#[test]
fn any_command_is_a_call_and_its_reply_the_result() {
    let mut clerk = Clerk::new(3).starting_with(2);
    let commands = Command::Exec { conditions: Vec::new(), commands: vec![READ, WRITE] };
    clerk.begin(&commands, None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "OPEN".into()));
    result(&mut clerk, Reply::Int(7));
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "7 1".into()));
    let reply = Reply::Array(vec![Reply::Nil, Reply::Int(1)]);
    result(&mut clerk, reply.clone());
    assert_eq!(done(&mut clerk), Ok(reply));
    clerk.begin(&Command::Exec { conditions: Vec::new(), commands: vec![READ] }, None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "plainly".into()), "it only reads");
}

#[test]
fn a_command_is_sent_as_it_is_or_within_a_session_or_behind_an_opening() {
    assert_eq!(Sending::Open.of(WRITE), Command::Session(SessionCommand::Open));
    assert_eq!(Sending::Plain.of(READ), READ);
    let once = SessionCommand::Run { session: 7, number: 2, command: Box::new(WRITE) };
    assert_eq!(Sending::Once { session: 7, number: 2 }.of(WRITE), Command::Session(once));
}

#[test]
fn a_session_that_was_left_is_used_no_more() {
    let mut clerk = busy();
    assert_eq!(clerk.leave(), Some(7));
    clerk.begin(&WRITE, None);
    assert_eq!(sends(&mut clerk, Duration::ZERO).1, "OPEN");
    assert_eq!(clerk.leave(), None);
}

#[test]
fn a_reply_may_say_that_it_is_no_result() {
    let of = |text| Answer::of_reply(Reply::error_text(text));
    assert_eq!(of("UNCERTAIN the leader was lost"), Answer::Silence);
    assert_eq!(of("CLUSTERDOWN no leader"), Answer::NoLeader);
    assert_eq!(of("ERR no"), Answer::Result(Reply::error_text("ERR no")));
    assert_eq!(Answer::of_reply(Reply::Ok), Answer::Result(Reply::Ok));
}
