use super::*;

const SEC: Duration = Duration::from_secs(1);

fn put() -> Operation {
    Operation::Put { key: "k".into(), value: "v".into() }
}

fn get() -> Operation {
    Operation::Get { key: "k".into() }
}

/// Whom it asks at this time, and what, in words.
fn sends(clerk: &mut Clerk, now: Duration) -> (usize, String) {
    let Step::Send { server, command } = clerk.next(now) else { panic!("it does not send") };
    let text = match command {
        Command::Session(SessionCommand::Open) => "OPEN".to_owned(),
        Command::Session(SessionCommand::Run { session, number, command }) => {
            let name = if matches!(*command, Command::Append { .. }) { "APPEND" } else { "SET" };
            format!("{session} {number} {name}")
        }
        Command::Get { .. } => "GET".to_owned(),
        other => panic!("{other:?}"),
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
    clerk.begin(put(), Some(SEC));
    assert_eq!(sends(&mut clerk, Duration::ZERO), (0, "OPEN".into()));
    result(&mut clerk, Reply::Int(7));
    assert_eq!(sends(&mut clerk, Duration::ZERO), (0, "7 1 SET".into()));
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
    clerk.begin(Operation::Append { key: "k".into(), value: "w".into() }, None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (0, "7 2 APPEND".into()));
    result(&mut clerk, Reply::Int(2));
    assert_eq!(done(&mut clerk), Ok(Reply::Int(2)));
}

#[test]
fn a_read_needs_no_session_and_a_missing_key_is_empty() {
    let mut clerk = Clerk::new(3);
    for (reply, value) in [(Reply::Nil, ""), (Reply::Bulk("v".into()), "v")] {
        clerk.begin(get(), None);
        assert_eq!(sends(&mut clerk, Duration::ZERO), (0, "GET".into()));
        result(&mut clerk, reply);
        assert_eq!(done(&mut clerk).map(Reply::into_value), Ok(value.into()));
    }
}

#[test]
fn every_sending_of_a_call_has_the_same_number_and_goes_elsewhere() {
    let mut clerk = busy();
    clerk.answered(Answer::Silence);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "7 1 SET".into()));
    clerk.answered(Answer::NotLeader(None));
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "7 1 SET".into()));
    result(&mut clerk, Reply::Ok);
    assert_eq!(done(&mut clerk), Ok(Reply::Ok));
    clerk.begin(get(), None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "GET".into()), "who answered is asked first");
}

#[test]
fn it_goes_where_it_is_told_unless_that_makes_no_sense() {
    for (hint, next) in [(2, 2), (1, 1), (0, 1), (99, 1)] {
        let mut clerk = busy();
        clerk.answered(Answer::NotLeader(Some(hint)));
        assert_eq!(sends(&mut clerk, Duration::ZERO), (next, "7 1 SET".into()));
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
    assert_eq!(sends(&mut clerk, PAUSE), (0, "7 1 SET".into()));
    clerk.answered(Answer::Silence);
    assert_eq!(sends(&mut clerk, PAUSE).0, 1, "the next pause is after all of them again");
}

#[test]
fn a_pause_is_not_longer_than_the_call() {
    let mut clerk = Clerk::new(1);
    clerk.begin(get(), Some(PAUSE / 2));
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
        assert_eq!(sends(&mut clerk, SEC / 2).1, "7 1 SET");
        clerk.answered(Answer::NotLeader(None));
        let Step::Done(outcome) = clerk.next(SEC) else { panic!("it goes on") };
        assert_eq!(is_unknown(&outcome), unknown, "{outcome:?}");
    }
}

#[test]
fn a_call_that_never_got_further_than_open_was_not_executed() {
    let mut clerk = Clerk::new(3);
    clerk.begin(put(), Some(SEC));
    sends(&mut clerk, Duration::ZERO);
    clerk.answered(Answer::Silence);
    assert!(matches!(clerk.next(SEC), Step::Done(Err(CallError::NotExecuted(_)))));
}

#[test]
fn without_a_sending_that_may_have_run_a_lost_session_is_replaced() {
    for refusal in ["NOSESSION gone", "ONCESTALE 9"] {
        let mut clerk = busy();
        clerk.answered(Answer::NotLeader(None));
        assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "7 1 SET".into()));
        error(&mut clerk, refusal);
        assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "OPEN".into()));
        result(&mut clerk, Reply::Int(8));
        assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "8 1 SET".into()));
    }
}

#[test]
fn after_silence_no_refusal_makes_unknown_into_not_executed() {
    for refusal in ["NOSESSION gone", "ONCESTALE 9", "LOGFULL no room"] {
        let mut clerk = busy();
        clerk.answered(Answer::Silence);
        sends(&mut clerk, Duration::ZERO);
        error(&mut clerk, refusal);
        let outcome = done(&mut clerk);
        assert!(is_unknown(&outcome), "{refusal}: {outcome:?}");
        clerk.begin(put(), None);
        let next = sends(&mut clerk, Duration::ZERO).1;
        assert_eq!(next, if refusal.starts_with("LOGFULL") { "7 2 SET" } else { "OPEN" });
    }
}

#[test]
fn a_full_log_refuses_a_first_sending_and_an_opening() {
    let mut clerk = busy();
    error(&mut clerk, "LOGFULL no room");
    assert!(matches!(done(&mut clerk), Err(CallError::NotExecuted(_))));
    let mut clerk = Clerk::new(3);
    clerk.begin(put(), None);
    sends(&mut clerk, Duration::ZERO);
    error(&mut clerk, "LOGFULL no room");
    assert!(matches!(done(&mut clerk), Err(CallError::NotExecuted(_))));
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
    clerk.begin(put(), None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (1, "7 2 SET".into()));
    clerk.answered(Answer::NotLeader(Some(2)));
    clerk.begin(put(), None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "7 3 SET".into()), "nobody was waited for");
}

#[test]
fn any_command_is_a_call_and_its_reply_the_result() {
    let mut clerk = Clerk::new(3).starting_with(2);
    let append = Command::Append { key: b"k", value: b"v" };
    let commands =
        Command::Exec { conditions: Vec::new(), commands: vec![Command::Get { key: b"k" }, append] };
    clerk.begin(Operation::Command(Encoded::new(&commands)), None);
    assert_eq!(sends(&mut clerk, Duration::ZERO), (2, "OPEN".into()));
    result(&mut clerk, Reply::Int(7));
    let Step::Send { command: Command::Session(SessionCommand::Run { command, .. }), .. } =
        clerk.next(Duration::ZERO)
    else {
        panic!("it does not run")
    };
    assert_eq!(*command, commands);
    let reply = Reply::Array(vec![Reply::Nil, Reply::Int(1)]);
    result(&mut clerk, reply.clone());
    assert_eq!(done(&mut clerk), Ok(reply));
    clerk.begin(Operation::Command(Encoded::new(&Command::StrLen { key: b"k" })), None);
    assert!(matches!(clerk.next(Duration::ZERO), Step::Send { command: Command::StrLen { .. }, .. }));
}

#[test]
fn a_session_that_was_left_is_used_no_more() {
    let mut clerk = busy();
    assert_eq!(clerk.leave(), Some(7));
    clerk.begin(put(), None);
    assert_eq!(sends(&mut clerk, Duration::ZERO).1, "OPEN");
    assert_eq!(clerk.leave(), None);
}

#[test]
fn a_reply_may_say_that_it_is_no_result() {
    let of = |text| Answer::of_reply(Reply::error_text(text));
    assert_eq!(of("UNCERTAIN the leader was lost"), Answer::Silence);
    assert_eq!(of("CLUSTERDOWN no leader"), Answer::NotLeader(None));
    assert_eq!(of("ERR no"), Answer::Result(Reply::error_text("ERR no")));
    assert_eq!(Answer::of_reply(Reply::Ok), Answer::Result(Reply::Ok));
}
