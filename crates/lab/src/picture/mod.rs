//! Pictures of a run: a space-time diagram and a text in fixed columns.
//!
//! A space-time diagram is the picture that the literature draws of a distributed algorithm (Lamport, "Time, Clocks,
//! and the Ordering of Events in a Distributed System"): a line for each server, time goes down, and an arrow from
//! where a message was sent to where it arrived. Time is stretched where much happens and compressed where nothing
//! does; it never goes up the page.
//!
//! | module | |
//! |---|---|
//! | `events` | what a trace holds, in the order in which it is told |
//! | `layout` | where each event stands, so that no label covers another |
//! | `label`, `tidy` | where an arrow's label stands, and what it would cover |
//! | `draw`, `legend` | the diagram as SVG |
//! | `text` | the lines of the timeline |
//! | `page` | all of it as one HTML page |
//!
//! The same trace gives the same bytes. Nothing is loaded from elsewhere, and nothing needs a script.

mod draw;
mod events;
mod label;
mod layout;
mod legend;
mod page;
mod text;
mod tidy;

use bowline_sim::trace::Trace;

/// What stands above a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// What was run.
    pub title: String,
    /// The command that runs it again.
    pub reproduce: String,
    /// How it ended.
    pub verdict: Verdict,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that was demanded held; the text may give figures.
    Passed(String),
    /// Something did not hold: this.
    Failed(String),
}

/// A page to look at in a browser: heading, legend, diagram and timeline.
pub fn page(trace: &Trace, heading: &Heading) -> String {
    page::page(&whole(trace), heading)
}

/// The diagram alone, as an SVG document that can stand in a file of its own.
pub fn svg(trace: &Trace) -> String {
    draw::document(&whole(trace))
}

/// The events in fixed columns: time in milliseconds, server, what happened.
pub fn timeline(trace: &Trace) -> String {
    text::timeline(&whole(trace))
}

/// The trace without what is older than the moment from which on everything is there.
fn whole(trace: &Trace) -> Trace {
    trace.window(trace.since(), trace.until())
}

/// A text as it may stand in HTML and in XML, within an element or an attribute. What XML cannot hold at all
/// becomes the replacement character.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
