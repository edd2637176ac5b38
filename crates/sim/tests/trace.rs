//! What a trace keeps, what it forgets, and what it still knows of what it has forgotten.

use std::time::Duration;

use bowline_sim::trace::{Fate, LaneRole, LaneState, MarkKind, Message, MessageKind, Trace};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn labels(trace: &Trace) -> Vec<&str> {
    trace.messages().map(|message| message.label.as_str()).collect()
}

fn message(label: &str, sent: u64, end: u64) -> Message {
    let kind = MessageKind::AppendEntries;
    Message { from: 0, to: 1, sent: ms(sent), end: ms(end), fate: Fate::Arrived, kind, label: label.into() }
}

#[test]
fn a_message_is_under_way_until_it_ends() {
    let mut trace = Trace::new(["S0", "S1"]);
    let first = trace.send(ms(1), 0, 1, MessageKind::RequestVote, "first");
    let second = trace.send(ms(2), 1, 0, MessageKind::VoteReply, "second");
    trace.end(second, ms(4), Fate::Lost);
    let found: Vec<_> = trace.messages().map(|m| (m.sent, m.end, m.fate)).collect();
    assert_eq!(found, [(ms(1), ms(1), Fate::UnderWay), (ms(2), ms(4), Fate::Lost)]);
    trace.end(first, ms(5), Fate::Arrived);
    assert_eq!(trace.messages().next().map(|m| (m.end, m.fate)), Some((ms(5), Fate::Arrived)));
    assert_eq!(trace.until(), ms(5));
}

#[test]
fn the_newest_messages_are_kept_and_ids_still_name_them() {
    let mut trace = Trace::with_limit(["S0", "S1"], 3);
    let ids: Vec<_> =
        (0..8).map(|at| trace.send(ms(at), 0, 1, MessageKind::Heartbeat, at.to_string())).collect();
    assert_eq!(labels(&trace), ["5", "6", "7"]);
    assert_eq!(trace.since(), ms(4));
    for (at, id) in (100..).zip(ids) {
        trace.end(id, ms(at), Fate::Arrived);
    }
    let ends: Vec<_> = trace.messages().map(|message| message.end).collect();
    assert_eq!(ends, [ms(105), ms(106), ms(107)]);
}

#[test]
fn what_is_forgotten_goes_together_and_its_effect_stays() {
    let mut trace = Trace::with_limit(["S0", "S1"], 2);
    trace.mark(ms(1), 0, MarkKind::Leader, "leader t1");
    trace.note(ms(1), "begin");
    trace.mark(ms(2), 1, MarkKind::Crash, "crash");
    for (label, at) in [("a", 0), ("b", 2), ("c", 3), ("d", 4)] {
        trace.message(message(label, at, at + 1));
    }
    assert_eq!(labels(&trace), ["c", "d"]);
    assert_eq!(trace.since(), ms(2));
    assert_eq!(trace.notes().count(), 0, "a step of what nobody can see any more");
    assert_eq!(trace.marks().map(|mark| mark.label.as_str()).collect::<Vec<_>>(), ["crash"]);
    assert_eq!(trace.before()[0].role, LaneRole::Leader);
    assert!(trace.before()[1].up, "the crash is still to come");
}

#[test]
fn marks_have_their_limit_too_and_take_old_messages_with_them() {
    let mut trace = Trace::with_limit(["S0", "S1"], 2);
    trace.message(message("over", 0, 1));
    trace.message(message("reaches in", 1, 30));
    for (at, kind) in [(10, MarkKind::Candidate), (20, MarkKind::Leader), (30, MarkKind::Crash)] {
        trace.mark(ms(at), 1, kind, "");
    }
    assert_eq!(labels(&trace), ["reaches in"]);
    assert_eq!(trace.marks().count(), 2);
    assert_eq!(trace.before()[1].role, LaneRole::Candidate);
    for at in [31, 32, 33] {
        trace.note(ms(at), "step");
    }
    assert_eq!(trace.notes().map(|note| note.at).collect::<Vec<_>>(), [ms(32), ms(33)]);
    assert_eq!((trace.since(), trace.marks().count()), (ms(31), 0));
}

#[test]
fn a_window_holds_what_reaches_into_it() {
    let mut trace = Trace::new(["S0", "S1"]);
    for (label, sent, end) in
        [("over", 0, 9), ("in", 5, 10), ("inside", 12, 14), ("out", 20, 30), ("later", 21, 22)]
    {
        trace.message(message(label, sent, end));
    }
    trace.send(ms(3), 1, 0, MessageKind::AppendReply, "never ends");
    trace.mark(ms(4), 1, MarkKind::Disconnected, "cut off");
    trace.mark(ms(9), 0, MarkKind::Leader, "leader t1");
    trace.mark(ms(10), 1, MarkKind::Connected, "back");
    trace.mark(ms(20), 0, MarkKind::Crash, "crash");
    trace.mark(ms(21), 0, MarkKind::Start, "start");
    trace.note(ms(9), "before");
    trace.note(ms(10), "step");

    let window = trace.window(ms(10), ms(20));
    assert_eq!(labels(&window), ["in", "inside", "out", "never ends"]);
    assert_eq!(window.marks().map(|mark| mark.label.as_str()).collect::<Vec<_>>(), ["back", "crash"]);
    assert_eq!(window.notes().map(|note| note.text.as_str()).collect::<Vec<_>>(), ["step"]);
    assert_eq!((window.since(), window.until()), (ms(10), ms(20)));
    let leader = LaneState { role: LaneRole::Leader, ..LaneState::default() };
    assert_eq!(window.before(), [leader, LaneState { connected: false, ..LaneState::default() }]);
    assert_eq!(window.lanes(), trace.lanes());
}

#[test]
fn a_window_past_the_end_is_empty() {
    let mut trace = Trace::new(["S0", "S1"]);
    trace.mark(ms(1), 1, MarkKind::Crash, "crash");
    let window = trace.window(ms(50), ms(60));
    assert_eq!((window.messages().len(), window.marks().len(), window.notes().len()), (0, 0, 0));
    assert!(!window.before()[1].up);
    assert!(window.since() <= window.until());
}

#[test]
fn a_lane_is_as_the_marks_on_it_say() {
    let through =
        |kinds: &[MarkKind]| kinds.iter().fold(LaneState::default(), |state, kind| state.after(*kind));
    let fresh = LaneState::default();
    assert_eq!(through(&[MarkKind::Candidate]).role, LaneRole::Candidate);
    assert_eq!(through(&[MarkKind::Candidate, MarkKind::Leader, MarkKind::Commit]).role, LaneRole::Leader);
    assert_eq!(through(&[MarkKind::Leader, MarkKind::Follower]), fresh);
    assert_eq!(through(&[MarkKind::Leader, MarkKind::Crash]), LaneState { up: false, ..fresh });
    assert_eq!(through(&[MarkKind::Leader, MarkKind::Crash, MarkKind::Start]), fresh);
    let cut = LaneState { connected: false, ..fresh };
    assert_eq!(through(&[MarkKind::Disconnected, MarkKind::Crash, MarkKind::Start]), cut);
    assert_eq!(through(&[MarkKind::Disconnected, MarkKind::Connected]), fresh);
}
