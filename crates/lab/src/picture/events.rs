//! What a trace holds, in the order in which it is told.

use std::time::Duration;

use bowline_sim::trace::{Fate, Trace};

/// A moment of the trace; the number is the place in the trace's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) what: What,
}

/// What happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A step of the script.
    Note(usize),
    /// A message arrives or is lost.
    End(usize),
    /// Something happens to a server.
    Mark(usize),
    /// A message is sent.
    Send(usize),
}

/// All events by time. What happens at the same moment stands as cause and effect: the script acts, what arrives
/// changes a server, and what it sends comes last.
pub(super) fn events(trace: &Trace) -> Vec<Event> {
    let mut events = Vec::new();
    for (i, note) in trace.notes().enumerate() {
        events.push((note.at, 0, Event { at: note.at, what: What::Note(i) }));
    }
    for (i, mark) in trace.marks().enumerate() {
        events.push((mark.at, 2, Event { at: mark.at, what: What::Mark(i) }));
    }
    for (i, message) in trace.messages().enumerate() {
        events.push((message.sent, 3, Event { at: message.sent, what: What::Send(i) }));
        if message.fate != Fate::UnderWay {
            let rank = if message.end == message.sent { 4 } else { 1 };
            events.push((message.end, rank, Event { at: message.end, what: What::End(i) }));
        }
    }
    // Stable: of equal ones the first that was recorded stays first.
    events.sort_by_key(|(at, rank, _)| (*at, *rank));
    events.into_iter().map(|(_, _, event)| event).collect()
}
