//! Where each event stands, so that no label covers another.

use std::time::Duration;

use bowline_sim::trace::{Fate, LaneState, Mark, MarkKind, Message, MessageKind, Note, Trace};

use super::events::{Event, What, events};
use super::label::{Area, CHAR, Label, Point, shorten, text_width};
use super::text::mark_label;
use super::tidy::{Owner, Shelves, tidy};

/// Width of the times at the left.
pub(super) const AXIS: f64 = 86.0;
/// From the times to the first lane.
const LEFT: f64 = 64.0;
/// From the last lane to the right edge.
const RIGHT: f64 = 124.0;
/// From the upper edge to the first event.
const TOP: f64 = 16.0;
/// From the last event to the lower edge.
const BOTTOM: f64 = 22.0;
/// A message of the usual duration falls by this much.
const USUAL_FALL: f64 = 34.0;
/// More pixels a millisecond than this, and a tenth of it is a distance that one sees.
const FAST: f64 = 60.0;
/// An empty span is at most this high.
const QUIET: f64 = 44.0;
/// An arrow falls at least by this much, so that its direction shows.
const LEAST_FALL: f64 = 10.0;
/// Between two times at the left.
const TICK: f64 = 15.0;
/// A message that does not arrive ends this far from its receiver.
const SHORT_OF: f64 = 26.0;
/// Half the height of a sign on a lane.
pub(super) const SIGN: f64 = 8.5;
/// Half the height of a step of the script.
pub(super) const BAND: f64 = 9.0;
/// From a label to the lane that its arrow comes from or passes.
const MARGIN: f64 = 12.0;

/// Where everything stands.
#[derive(Debug)]
pub(super) struct Layout {
    /// The lanes from left to right.
    pub(super) lanes: Vec<f64>,
    pub(super) width: f64,
    pub(super) height: f64,
    /// One for each message, in the trace's order.
    pub(super) arrows: Vec<Arrow>,
    /// How far down each mark is, and what it shows.
    pub(super) marks: Vec<Placed>,
    /// How far down each note is, and what it shows.
    pub(super) notes: Vec<Placed>,
    /// The times at the left.
    pub(super) ticks: Vec<(f64, Duration)>,
    /// Whether messages are so fast that a tenth of a millisecond is long.
    pub(super) fast: bool,
    /// Where an empty span is compressed, and how long it is.
    pub(super) breaks: Vec<(f64, Duration)>,
    /// Each lane's states from the top to the bottom.
    pub(super) stretches: Vec<Vec<Stretch>>,
}

/// A mark or a note.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) y: f64,
    pub(super) text: String,
}

/// A message's arrow.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arrow {
    pub(super) tail: Point,
    pub(super) tip: Point,
    pub(super) end: End,
    pub(super) label: Option<Label>,
}

/// How an arrow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Arrived,
    Lost,
    /// Past the lower edge, if at all.
    Open,
}

/// A part of a lane in which the server's state is the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) state: LaneState,
}

/// How a mark is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A box with a text, on the lane.
    Sign,
    /// A tick on the lane with a text beside it.
    Tick,
    /// A dot on the lane; only the tooltip says more.
    Dot,
}

pub(super) fn shape(kind: MarkKind) -> Shape {
    match kind {
        MarkKind::Start
        | MarkKind::Crash
        | MarkKind::Connected
        | MarkKind::Disconnected
        | MarkKind::Candidate
        | MarkKind::Leader
        | MarkKind::Follower
        | MarkKind::Truncated => Shape::Sign,
        MarkKind::Term | MarkKind::Command | MarkKind::Commit => Shape::Tick,
        MarkKind::Applied => Shape::Dot,
    }
}

/// Whether a message is one of the many that only say that all is well: drawn without a label.
pub(super) fn is_quiet(kind: MessageKind) -> bool {
    matches!(kind, MessageKind::Heartbeat | MessageKind::HeartbeatReply)
}

pub(super) fn layout(trace: &Trace) -> Layout {
    let mut placer = Placer::new(trace);
    for event in events(trace) {
        placer.place(event);
    }
    placer.finish()
}

/// Puts one event after the other on the page.
struct Placer<'a> {
    trace: &'a Trace,
    messages: Vec<&'a Message>,
    marks: Vec<&'a Mark>,
    notes: Vec<&'a Note>,
    layout: Layout,
    gap: f64,
    /// Pixels a millisecond.
    scale: f64,
    /// The last event.
    now: Duration,
    y: f64,
    /// How far each lane is taken.
    taken: Vec<f64>,
    /// What must not be covered.
    areas: Shelves,
}

impl<'a> Placer<'a> {
    fn new(trace: &'a Trace) -> Self {
        let messages: Vec<&Message> = trace.messages().collect();
        let (gap, scale) = (gap(trace, &messages), scale(&messages));
        let lanes: Vec<f64> = (0..trace.lanes().len()).map(|lane| AXIS + LEFT + lane as f64 * gap).collect();
        let unplaced = Arrow { tail: ORIGIN, tip: ORIGIN, end: End::Open, label: None };
        let placed = Placed { y: TOP, text: String::new() };
        let layout = Layout {
            width: lanes.last().unwrap_or(&AXIS) + RIGHT,
            height: TOP,
            arrows: vec![unplaced; messages.len()],
            marks: vec![placed.clone(); trace.marks().len()],
            notes: vec![placed; trace.notes().len()],
            ticks: Vec::new(),
            fast: scale > FAST,
            breaks: Vec::new(),
            stretches: trace
                .before()
                .iter()
                .map(|state| vec![Stretch { from: 0.0, to: 0.0, state: *state }])
                .collect(),
            lanes,
        };
        let mut placer = Self {
            trace,
            gap,
            scale,
            now: trace.since(),
            y: TOP,
            taken: vec![0.0; trace.lanes().len()],
            areas: Shelves::default(),
            marks: trace.marks().collect(),
            notes: trace.notes().collect(),
            messages,
            layout,
        };
        for i in 0..placer.messages.len() {
            placer.enter(i);
        }
        placer
    }

    /// A message that was sent before the trace begins comes in over the upper edge.
    fn enter(&mut self, i: usize) {
        let (message, since) = (self.messages[i], self.trace.since());
        if message.sent >= since {
            return;
        }
        let (from, to) = (self.layout.lanes[message.from], self.layout.lanes[message.to]);
        let whole = (message.end.saturating_sub(message.sent)).as_secs_f64();
        let share = if whole > 0.0 { (since - message.sent).as_secs_f64() / whole } else { 0.0 };
        self.layout.arrows[i].tail = Point { x: from + (to - from) * share.min(0.9), y: 0.0 };
    }

    fn place(&mut self, event: Event) {
        let (since, until) = (self.trace.since(), self.trace.until());
        if event.at < since || event.at > until {
            return;
        }
        let least = self.advance(event.at);
        self.y = match event.what {
            What::Note(i) => self.place_note(i, least),
            What::Mark(i) => self.place_mark(i, least),
            What::Send(i) => self.place_send(i, least),
            What::End(i) => {
                let end = if self.messages[i].fate == Fate::Lost { End::Lost } else { End::Arrived };
                self.place_end(i, end, least)
            }
        };
        self.tick(event.at);
    }

    /// How far down something at this moment is, if nothing is in its way.
    fn advance(&mut self, at: Duration) -> f64 {
        let span = at.saturating_sub(self.now);
        let wanted = span.as_secs_f64() * 1000.0 * self.scale;
        if wanted > 2.0 * QUIET {
            self.layout.breaks.push((self.y + QUIET / 2.0, span));
        }
        self.now = self.now.max(at);
        self.y + wanted.min(QUIET)
    }

    fn tick(&mut self, at: Duration) {
        // Events at the same moment that stand below each other need the time once.
        if self.layout.ticks.last().is_none_or(|(y, last)| self.y - y >= TICK && at > *last) {
            self.layout.ticks.push((self.y, at));
        }
    }

    fn place_note(&mut self, i: usize, least: f64) -> f64 {
        let taken = self.taken.iter().fold(least, |most, taken| most.max(taken + BAND + 2.0));
        let (left, right) = (AXIS, self.layout.width);
        let area = |y: f64| Area::rectangle(left, right, y - BAND, y + BAND);
        let y = self.settle(Owner::Fixed, taken, area);
        self.taken.fill(y + BAND + 2.0);
        let text = shorten(&self.notes[i].text, right - left - 16.0);
        self.layout.notes[i] = Placed { y, text };
        y
    }

    fn place_mark(&mut self, i: usize, least: f64) -> f64 {
        let mark = self.marks[i];
        let (lane, x) = (mark.lane, self.layout.lanes[mark.lane]);
        let half = if shape(mark.kind) == Shape::Sign { SIGN + 2.0 } else { 5.5 };
        let least = least.max(self.taken[lane] + half);
        let room = if lane + 1 < self.layout.lanes.len() { self.gap } else { RIGHT };
        let (y, text) = match shape(mark.kind) {
            Shape::Sign => {
                let text = shorten(mark_label(mark), self.gap - 40.0);
                let aside = sign_width(&text) / 2.0 + 3.0;
                let area = |y: f64| Area::rectangle(x - aside, x + aside, y - SIGN, y + SIGN);
                (self.settle(Owner::Fixed, least, area), text)
            }
            Shape::Tick => {
                let text = shorten(mark_label(mark), room - 30.0);
                let right = x + 16.0 + text_width(&text);
                let area = |y: f64| Area::rectangle(x, right, y - 6.0, y + 6.0);
                (self.settle(Owner::Fixed, least, area), text)
            }
            Shape::Dot => (least, String::new()),
        };
        self.taken[lane] = y + half;
        self.layout.marks[i] = Placed { y, text };
        let stretches = &mut self.layout.stretches[lane];
        let last = stretches.last_mut().expect("a lane begins with a stretch");
        let state = last.state.after(mark.kind);
        if state != last.state {
            last.to = y;
            stretches.push(Stretch { from: y, to: y, state });
        }
        y
    }

    fn place_send(&mut self, i: usize, least: f64) -> f64 {
        let lane = self.messages[i].from;
        let y = least.max(self.taken[lane]);
        self.taken[lane] = y;
        self.layout.arrows[i].tail = Point { x: self.layout.lanes[lane], y };
        y
    }

    fn place_end(&mut self, i: usize, end: End, least: f64) -> f64 {
        let message = self.messages[i];
        let tail = self.layout.arrows[i].tail;
        let target = self.layout.lanes[message.to];
        let rightward = message.to > message.from;
        let mut least = least.max(tail.y + LEAST_FALL);
        let short = if end == End::Arrived { 0.0 } else { SHORT_OF };
        let x = if rightward { target - short } else { target + short };
        if end == End::Arrived {
            least = least.max(self.taken[message.to] + 5.0);
        }
        let width = self.gap - short - MARGIN;
        let label = |y: f64| Label::of_arrow(tail, Point { x, y }, &message.label, width);
        let quiet = is_quiet(message.kind) || message.label.is_empty();
        let y = if quiet { least } else { self.settle(Owner::Message(i), least, |y| label(y).area()) };
        if end == End::Arrived {
            self.taken[message.to] = y + 6.0;
        }
        let label = (!quiet).then(|| label(y));
        self.layout.arrows[i] = Arrow { tail, tip: Point { x, y }, end, label };
        y
    }

    /// The first place at `least` or below it where the area is free; it is taken now.
    fn settle(&mut self, owner: Owner, least: f64, area: impl Fn(f64) -> Area) -> f64 {
        let mut y = least;
        // It ends: far enough down nothing has been placed yet.
        while self.areas.met(&area(y)).next().is_some() {
            y += 1.0;
        }
        self.areas.put(owner, area(y));
        y
    }

    fn finish(mut self) -> Layout {
        self.y = self.advance(self.trace.until());
        for i in 0..self.messages.len() {
            let message = self.messages[i];
            if message.fate == Fate::UnderWay || message.end > self.trace.until() {
                self.y = self.place_end(i, End::Open, self.y);
            }
        }
        if !self.layout.lanes.is_empty() {
            self.tick(self.trace.until());
        }
        self.layout.height = self.y + BOTTOM;
        tidy(&mut self.layout.arrows, &self.messages, self.areas, self.gap - SHORT_OF - MARGIN);
        for stretches in &mut self.layout.stretches {
            stretches.last_mut().expect("a lane begins with a stretch").to = self.layout.height;
        }
        self.layout
    }
}

const ORIGIN: Point = Point { x: 0.0, y: 0.0 };

/// The width of a sign with this text.
pub(super) fn sign_width(text: &str) -> f64 {
    text_width(text) + 14.0
}

/// From lane to lane: room for the labels, and not too wide for a screen.
fn gap(trace: &Trace, messages: &[&Message]) -> f64 {
    let longest = messages
        .iter()
        .filter(|message| !is_quiet(message.kind))
        .map(|message| text_width(&message.label))
        .fold(10.0 * CHAR, f64::max);
    let widest = if trace.lanes().len() > 5 { 170.0 } else { 230.0 };
    (longest + 56.0).clamp(140.0, widest)
}

/// Pixels a millisecond, so that a message of median duration falls as an arrow should.
fn scale(messages: &[&Message]) -> f64 {
    let mut durations: Vec<Duration> = messages
        .iter()
        .filter(|message| message.fate == Fate::Arrived && message.end > message.sent)
        .map(|message| message.end - message.sent)
        .collect();
    durations.sort_unstable();
    let usual = durations.get(durations.len() / 2).map_or(5.0, |usual| usual.as_secs_f64() * 1000.0);
    USUAL_FALL / usual
}
