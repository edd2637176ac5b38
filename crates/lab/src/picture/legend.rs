//! What the lines and signs of a diagram mean.

use bowline_sim::trace::{Fate, LaneRole, LaneState, MarkKind, MessageKind, Trace};

use super::draw::{gap_sign, lane, mark, mark_class, message_class, num, shaft, write};
use super::label::Point;
use super::layout::{End, Layout, shape};

/// How to read it.
pub(super) const SENTENCE: &str = "Each line is a server, and time goes down the page. An arrow leaves its sender when \
    a message is sent and reaches its receiver when it arrives: only what leads down to an event along lines and arrows \
    can have caused it.";

/// Height of a row.
const ROW: f64 = 22.0;
/// Length of an arrow, and width of a piece of a lane.
const ARROW: f64 = 34.0;
const LANE: f64 = 16.0;
/// Width of a character, on average and a little more.
const CHAR: f64 = 6.3;

/// The legend as a part of a drawing.
pub(super) struct Legend {
    pub(super) svg: String,
    pub(super) height: f64,
}

/// What can be explained.
enum Item {
    /// A request and its reply.
    Exchange(MessageKind, MessageKind),
    Message(End),
    Lane(LaneState),
    Mark(MarkKind),
    Gap,
}

/// Explains what the trace holds, and nothing else.
pub(super) fn legend(trace: &Trace, layout: &Layout, width: f64) -> Legend {
    let (left, mut svg) = (16.0, String::from("<g class=\"legend\">\n"));
    let (mut x, mut y) = (left, ROW);
    for (item, text) in items(trace, !layout.breaks.is_empty()) {
        let sampled = item.width() + 8.0;
        let needed = sampled + text.chars().count() as f64 * CHAR + 18.0;
        if x > left && x + needed > width {
            (x, y) = (left, y + ROW);
        }
        sample(&mut svg, x, y, &item);
        let (at, base) = (num(x + sampled), num(y + 4.0));
        write(&mut svg, format_args!("<text x=\"{at}\" y=\"{base}\">{text}</text>\n"));
        x += needed;
    }
    svg.push_str("</g>\n");
    Legend { svg, height: y + ROW }
}

fn items(trace: &Trace, breaks: bool) -> Vec<(Item, &'static str)> {
    let mut items = Vec::new();
    for (request, reply, words) in EXCHANGES {
        if trace.messages().any(|message| message.kind == request || message.kind == reply) {
            items.push((Item::Exchange(request, reply), words));
        }
    }
    if trace.messages().any(|message| message.fate == Fate::Lost) {
        items.push((Item::Message(End::Lost), "lost"));
    }
    if trace.messages().any(|message| message.fate == Fate::UnderWay || message.end > trace.until()) {
        items.push((Item::Message(End::Open), "still under way"));
    }
    let mut states = vec![(LaneState::default(), "follower")];
    let kinds = || trace.marks().map(|mark| mark.kind);
    let role = |role| LaneState { role, ..LaneState::default() };
    let began = |state: fn(&LaneState) -> bool| trace.before().iter().any(state);
    if kinds().any(|kind| kind == MarkKind::Candidate) || began(|state| state.role == LaneRole::Candidate) {
        states.push((role(LaneRole::Candidate), "candidate"));
    }
    if kinds().any(|kind| kind == MarkKind::Leader) || began(|state| state.role == LaneRole::Leader) {
        states.push((role(LaneRole::Leader), "leader"));
    }
    if kinds().any(|kind| kind == MarkKind::Disconnected) || began(|state| !state.connected) {
        states.push((LaneState { connected: false, ..LaneState::default() }, "disconnected"));
    }
    if kinds().any(|kind| kind == MarkKind::Crash) || began(|state| !state.up) {
        states.push((LaneState { up: false, ..LaneState::default() }, "crashed"));
    }
    items.extend(states.into_iter().map(|(state, word)| (Item::Lane(state), word)));
    let marks = [
        (MarkKind::Command, "command taken"),
        (MarkKind::Commit, "commit index moves"),
        (MarkKind::Applied, "applied"),
    ];
    for (kind, word) in marks {
        if kinds().any(|found| found == kind) {
            items.push((Item::Mark(kind), word));
        }
    }
    if breaks {
        items.push((Item::Gap, "empty time, compressed"));
    }
    items
}

const EXCHANGES: [(MessageKind, MessageKind, &str); 4] = [
    (MessageKind::PreVote, MessageKind::PreVoteReply, "PreVote, reply"),
    (MessageKind::RequestVote, MessageKind::VoteReply, "RequestVote, reply"),
    (MessageKind::AppendEntries, MessageKind::AppendReply, "AppendEntries, reply"),
    (MessageKind::Heartbeat, MessageKind::HeartbeatReply, "heartbeat, reply"),
];

impl Item {
    fn width(&self) -> f64 {
        match self {
            Self::Exchange(..) => 2.0 * ARROW + 6.0,
            Self::Message(_) => ARROW,
            Self::Lane(_) | Self::Mark(_) | Self::Gap => LANE,
        }
    }
}

fn sample(svg: &mut String, x: f64, y: f64, item: &Item) {
    let middle = x + LANE / 2.0;
    match item {
        Item::Exchange(request, reply) => {
            arrow(svg, (x, x + ARROW), y, *request, End::Arrived);
            arrow(svg, (x + 2.0 * ARROW + 6.0, x + ARROW + 6.0), y, *reply, End::Arrived);
        }
        Item::Message(end) => arrow(svg, (x, x + ARROW - 11.0), y, MessageKind::AppendEntries, *end),
        Item::Lane(state) => lane(svg, middle, (y - 9.0, y + 9.0), *state),
        Item::Mark(kind) => {
            lane(svg, middle, (y - 9.0, y + 9.0), LaneState::default());
            write(svg, format_args!("<g class=\"mark {}\">", mark_class(*kind)));
            mark(svg, middle, y, shape(*kind), "");
            svg.push_str("</g>");
        }
        Item::Gap => {
            lane(svg, middle, (y - 9.0, y + 9.0), LaneState::default());
            svg.push_str("<g class=\"break\">");
            gap_sign(svg, middle, y);
            svg.push_str("</g>");
        }
    }
}

fn arrow(svg: &mut String, (tail, tip): (f64, f64), y: f64, kind: MessageKind, end: End) {
    write(svg, format_args!("<g class=\"m {}\">", message_class(kind, end)));
    shaft(svg, Point { x: tail, y }, Point { x: tip, y }, kind, end);
    svg.push_str("</g>");
}
