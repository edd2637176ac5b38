//! The lines of the timeline.

use std::fmt::Write;
use std::time::Duration;

use bowline_sim::trace::{Fate, Mark, MarkKind, Trace};

use super::events::{What, events};

/// One line, and what it tells of.
pub(super) struct Line {
    pub(super) what: What,
    pub(super) text: String,
}

/// The columns' names.
pub(super) fn head() -> String {
    format!("{:>12}  {:<6}  {:<12}  {}", "time/ms", "server", "what", "event")
}

/// A line an event; a message has one when it is sent and one when it arrives or is lost.
pub(super) fn lines(trace: &Trace) -> Vec<Line> {
    let messages: Vec<_> = trace.messages().collect();
    let marks: Vec<_> = trace.marks().collect();
    let notes: Vec<_> = trace.notes().collect();
    let name = |lane: usize| trace.lanes()[lane].as_str();
    let line = |at: Duration, server: &str, what: &str, event: &str| {
        let line = format!("{:>12}  {server:<6}  {what:<12}  {event}", millis(at));
        line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    };
    let mut lines = Vec::new();
    for event in events(trace).into_iter().filter(|event| event.at <= trace.until()) {
        let text = match event.what {
            What::Note(i) => line(event.at, "--", "script", &notes[i].text),
            What::Mark(i) => {
                line(event.at, name(marks[i].lane), mark_word(marks[i].kind), mark_label(marks[i]))
            }
            What::Send(i) => {
                let message = messages[i];
                let open = message.fate == Fate::UnderWay || message.end > trace.until();
                let suffix = if open { " (still under way)" } else { "" };
                let to = format!("-> {}", name(message.to));
                line(event.at, name(message.from), &to, &format!("{}{suffix}", message.label))
            }
            What::End(i) => {
                let message = messages[i];
                let (server, what) = match message.fate {
                    Fate::Lost => (message.from, format!("-x {}", name(message.to))),
                    Fate::Arrived | Fate::UnderWay => (message.to, format!("<- {}", name(message.from))),
                };
                let suffix = if message.fate == Fate::Lost { " (lost)" } else { "" };
                line(event.at, name(server), &what, &format!("{}{suffix}", message.label))
            }
        };
        lines.push(Line { what: event.what, text });
    }
    lines
}

pub(super) fn timeline(trace: &Trace) -> String {
    let mut text = head() + "\n";
    for line in lines(trace) {
        writeln!(text, "{}", line.text).expect("a string takes everything");
    }
    text
}

/// What a mark says; its kind when it says nothing.
pub(super) fn mark_label(mark: &Mark) -> &str {
    if mark.label.is_empty() { mark_word(mark.kind) } else { &mark.label }
}

fn mark_word(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Start => "start",
        MarkKind::Crash => "crash",
        MarkKind::Connected => "connected",
        MarkKind::Disconnected => "disconnected",
        MarkKind::Term => "term",
        MarkKind::Candidate => "candidate",
        MarkKind::Leader => "leader",
        MarkKind::Follower => "follower",
        MarkKind::Command => "command",
        MarkKind::Truncated => "truncated",
        MarkKind::Commit => "commit",
        MarkKind::Applied => "applied",
    }
}

/// Milliseconds with three digits after the point.
pub(super) fn millis(at: Duration) -> String {
    let micros = at.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

/// Milliseconds, rounded to one digit after the point.
pub(super) fn tenths(at: Duration) -> String {
    let tenths = (at.as_micros() + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}
