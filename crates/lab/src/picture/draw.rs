//! The diagram as SVG.

use std::fmt::Write;

use bowline_sim::trace::{Fate, LaneRole, LaneState, Mark, MarkKind, Message, MessageKind, Trace};

use super::escape;
use super::events::What;
use super::label::{Label, Point};
use super::layout::{AXIS, Arrow, BAND, End, Layout, SIGN, Shape, is_quiet, layout, shape, sign_width};
use super::legend;
use super::text::{mark_label, millis, tenths};

/// Height of the servers' names.
pub(super) const NAMES: f64 = 36.0;
/// Colours, lines and fonts; all names are below the class `bowline`.
pub(super) const STYLE: &str = include_str!("diagram.css");
/// An arrow head's length, and half its width.
const HEAD: (f64, f64) = (9.0, 3.8);

pub(super) fn document(trace: &Trace) -> String {
    let layout = layout(trace);
    let legend = legend::legend(trace, &layout, layout.width);
    let height = legend.height + NAMES + layout.height;
    let mut svg = open(layout.width, height);
    write(
        &mut svg,
        format_args!("<title>Space-time diagram: {}</title>\n", escape(&trace.lanes().join(", "))),
    );
    write(&mut svg, format_args!("<style>\n{STYLE}</style>\n"));
    write(
        &mut svg,
        format_args!("<rect class=\"paper\" width=\"{}\" height=\"{}\"/>\n", num(layout.width), num(height)),
    );
    svg.push_str(&legend.svg);
    write(&mut svg, format_args!("<g transform=\"translate(0 {})\">\n", num(legend.height)));
    svg.push_str(&names(trace, &layout));
    write(&mut svg, format_args!("</g>\n<g transform=\"translate(0 {})\">\n", num(legend.height + NAMES)));
    svg.push_str(&body(trace, &layout, false));
    svg.push_str("</g>\n</svg>\n");
    svg
}

/// The opening tag of a drawing of this size.
pub(super) fn open(width: f64, height: f64) -> String {
    let (width, height) = (num(width), num(height));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"bowline\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\">\n"
    )
}

/// The servers' names above their lanes.
pub(super) fn names(trace: &Trace, layout: &Layout) -> String {
    let mut svg = String::new();
    let y = NAMES / 2.0 + 1.0;
    write(
        &mut svg,
        format_args!("<text class=\"unit\" x=\"{}\" y=\"{}\">ms</text>\n", num(AXIS - 14.0), num(y + 4.0)),
    );
    for (name, x) in trace.lanes().iter().zip(&layout.lanes) {
        let width = sign_width(name).max(44.0);
        write(
            &mut svg,
            format_args!(
                "<g class=\"name\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"24\" rx=\"6\"/>\
                 <text x=\"{}\" y=\"{}\">{}</text></g>\n",
                num(x - width / 2.0),
                num(y - 12.0),
                num(width),
                num(*x),
                num(y + 4.5),
                escape(name)
            ),
        );
    }
    svg
}

/// Everything below the names. With ids, links can lead to messages, marks and notes.
pub(super) fn body(trace: &Trace, layout: &Layout, ids: bool) -> String {
    let mut svg = String::new();
    axis(&mut svg, layout);
    lanes(&mut svg, layout);
    breaks(&mut svg, layout);
    notes(&mut svg, trace, layout, ids);
    // What is quiet lies below the rest.
    for quiet in [true, false] {
        for (i, message) in
            trace.messages().enumerate().filter(|(_, message)| is_quiet(message.kind) == quiet)
        {
            arrow(&mut svg, trace, message, &layout.arrows[i], &id(ids, What::Send(i)));
        }
    }
    for (i, mark) in trace.marks().enumerate() {
        let (x, placed) = (layout.lanes[mark.lane], &layout.marks[i]);
        write(
            &mut svg,
            format_args!("<g class=\"mark {}\"{}>", mark_class(mark.kind), id(ids, What::Mark(i))),
        );
        write(&mut svg, format_args!("<title>{}</title>", mark_title(trace, mark)));
        self::mark(&mut svg, x, placed.y, shape(mark.kind), &placed.text);
        svg.push_str("</g>\n");
    }
    for (message, arrow) in trace.messages().zip(&layout.arrows) {
        if let Some(label) = &arrow.label {
            text_along(&mut svg, message, label);
        }
    }
    svg
}

fn axis(svg: &mut String, layout: &Layout) {
    for (y, at) in &layout.ticks {
        let (time, x, y) = (if layout.fast { millis(*at) } else { tenths(*at) }, AXIS - 14.0, num(*y));
        write(
            svg,
            format_args!(
                "<g class=\"time\"><text x=\"{}\" y=\"{y}\" dy=\"3.5\">{time}</text><path d=\"M{} {y}h6\"/></g>\n",
                num(x),
                num(x + 5.0)
            ),
        );
    }
}

fn lanes(svg: &mut String, layout: &Layout) {
    for (x, stretches) in layout.lanes.iter().zip(&layout.stretches) {
        for stretch in stretches {
            lane(svg, *x, (stretch.from, stretch.to), stretch.state);
        }
    }
}

/// A part of a lane from one height to another.
pub(super) fn lane(svg: &mut String, x: f64, (from, to): (f64, f64), state: LaneState) {
    let class = match (state.up, state.role) {
        (false, _) => "down",
        (true, LaneRole::Follower) => "follower",
        (true, LaneRole::Candidate) => "candidate",
        (true, LaneRole::Leader) => "leader",
    };
    let off = if state.connected { "" } else { " off" };
    write(
        svg,
        format_args!("<path class=\"lane {class}{off}\" d=\"M{} {}V{}\"/>\n", num(x), num(from), num(to)),
    );
}

fn breaks(svg: &mut String, layout: &Layout) {
    for (y, span) in &layout.breaks {
        let ms = span.as_secs_f64() * 1000.0;
        let ms = if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") };
        write(
            svg,
            format_args!(
                "<g class=\"break\"><title>{ms} ms in which nothing is drawn</title>\
                 <text x=\"{}\" y=\"{}\" dy=\"3.5\">~ {ms} ms ~</text>",
                num(AXIS - 4.0),
                num(*y)
            ),
        );
        for (x, stretches) in layout.lanes.iter().zip(&layout.stretches) {
            let here = stretches.iter().find(|stretch| (stretch.from..=stretch.to).contains(y));
            if here.is_some_and(|stretch| stretch.state.up) {
                gap_sign(svg, *x, *y);
            }
        }
        svg.push_str("</g>\n");
    }
}

/// The sign that a line does not go on evenly.
pub(super) fn gap_sign(svg: &mut String, x: f64, y: f64) {
    let (left, up, down) = (num(x - 7.0), num(y - 1.0), num(y + 4.0));
    write(
        svg,
        format_args!(
            "<path class=\"gap\" d=\"M{left} {up}l14 -4v5l-14 4z\"/><path d=\"M{left} {up}l14 -4M{left} {down}l14 -4\"/>"
        ),
    );
}

fn notes(svg: &mut String, trace: &Trace, layout: &Layout, ids: bool) {
    for (i, (note, placed)) in trace.notes().zip(&layout.notes).enumerate() {
        write(
            svg,
            format_args!(
                "<g class=\"note\"{}><title>{} ms: {}</title><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"4\"/>\
                 <text x=\"{}\" y=\"{}\" dy=\"4\">{}</text></g>\n",
                id(ids, What::Note(i)),
                millis(note.at),
                escape(&note.text),
                num(AXIS),
                num(placed.y - BAND),
                num(layout.width - AXIS - 8.0),
                num(2.0 * BAND),
                num(AXIS + 10.0),
                num(placed.y),
                escape(&placed.text)
            ),
        );
    }
}

fn arrow(svg: &mut String, trace: &Trace, message: &Message, arrow: &Arrow, id: &str) {
    let class = message_class(message.kind, arrow.end);
    write(svg, format_args!("<g class=\"m {class}\"{id}><title>{}</title>", message_title(trace, message)));
    shaft(svg, arrow.tail, arrow.tip, message.kind, arrow.end);
    svg.push_str("</g>\n");
}

/// An arrow's line and its end.
pub(super) fn shaft(svg: &mut String, tail: Point, tip: Point, kind: MessageKind, end: End) {
    let (dx, dy) = (tip.x - tail.x, tip.y - tail.y);
    let length = (dx * dx + dy * dy).sqrt();
    let (ux, uy) = (dx / length, dy / length);
    let back = |along: f64, aside: f64| {
        format!("{} {}", num(tip.x - ux * along - uy * aside), num(tip.y - uy * along + ux * aside))
    };
    let (long, wide) = HEAD;
    let solid = end == End::Arrived && !kind.is_reply();
    let to = back(if solid { long - 2.0 } else { 1.0 }, 0.0);
    let line = format!("M{} {}L{to}", num(tail.x), num(tail.y));
    write(svg, format_args!("<path class=\"hit\" d=\"{line}\"/><path class=\"shaft\" d=\"{line}\"/>"));
    let tip = back(1.0, 0.0);
    let (left, right) = (back(long, wide), back(long, -wide));
    match end {
        End::Arrived if solid => {
            write(svg, format_args!("<path class=\"solid\" d=\"M{tip}L{left}L{right}z\"/>"));
        }
        End::Arrived => {
            write(svg, format_args!("<path class=\"open\" d=\"M{left}L{tip}L{right}\"/>"));
        }
        End::Lost => {
            let (a, b, c, d) = (back(4.5, 4.5), back(-4.5, -4.5), back(4.5, -4.5), back(-4.5, 4.5));
            write(svg, format_args!("<path class=\"open\" d=\"M{a}L{b}M{c}L{d}\"/>"));
        }
        End::Open => {
            let (a, b, c) = (back(-4.0, 0.0), back(-9.0, 0.0), back(-14.0, 0.0));
            write(svg, format_args!("<path class=\"dots\" d=\"M{a}h0M{b}h0M{c}h0\"/>"));
        }
    }
}

/// A mark on a lane.
pub(super) fn mark(svg: &mut String, x: f64, y: f64, shape: Shape, text: &str) {
    let width = sign_width(text);
    let text = escape(text);
    match shape {
        Shape::Sign => {
            write(
                svg,
                format_args!(
                    "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\"/><text x=\"{}\" y=\"{}\" dy=\"3.7\">{text}</text>",
                    num(x - width / 2.0),
                    num(y - SIGN),
                    num(width),
                    num(2.0 * SIGN),
                    num(SIGN),
                    num(x),
                    num(y)
                ),
            );
        }
        Shape::Tick => write(
            svg,
            format_args!(
                "<path d=\"M{} {}h14\"/><text x=\"{}\" y=\"{}\" dy=\"3.7\">{text}</text>",
                num(x - 7.0),
                num(y),
                num(x + 11.0),
                num(y)
            ),
        ),
        Shape::Dot => write(svg, format_args!("<circle cx=\"{}\" cy=\"{}\" r=\"3\"/>", num(x), num(y))),
    }
}

fn text_along(svg: &mut String, message: &Message, label: &Label) {
    let class = message_class(message.kind, End::Arrived);
    let (Point { x, y }, (a, b)) = (label.at, label.along);
    let place = if b == 0.0 {
        format!("x=\"{}\" y=\"{}\"", num(x), num(y))
    } else {
        format!("transform=\"matrix({a:.4} {b:.4} {:.4} {a:.4} {} {})\"", -b, num(x), num(y))
    };
    write(svg, format_args!("<text class=\"l {class}\" {place}>{}</text>\n", escape(&label.text)));
}

/// The name by which a link finds it.
pub(super) fn name_of(what: What) -> String {
    match what {
        What::Note(i) => format!("n{i}"),
        What::Mark(i) => format!("k{i}"),
        What::Send(i) | What::End(i) => format!("m{i}"),
    }
}

fn id(ids: bool, what: What) -> String {
    if ids { format!(" id=\"{}\"", name_of(what)) } else { String::new() }
}

/// The classes of the style sheet for a message.
pub(super) fn message_class(kind: MessageKind, end: End) -> String {
    let class = match kind {
        MessageKind::PreVote | MessageKind::PreVoteReply => "prevote",
        MessageKind::RequestVote | MessageKind::VoteReply => "vote",
        MessageKind::AppendEntries | MessageKind::InstallSnapshot | MessageKind::AppendReply => "append",
        MessageKind::Heartbeat | MessageKind::HeartbeatReply => "beat",
    };
    let reply = if kind.is_reply() { " reply" } else { "" };
    let lost = if end == End::Lost { " lost" } else { "" };
    format!("{class}{reply}{lost}")
}

/// The class of the style sheet for a mark.
pub(super) fn mark_class(kind: MarkKind) -> &'static str {
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

fn message_title(trace: &Trace, message: &Message) -> String {
    let name = |lane: usize| escape(&trace.lanes()[lane]);
    let took = || millis(message.end - message.sent);
    let end = match message.fate {
        Fate::UnderWay => "still under way".to_string(),
        Fate::Arrived => format!("arrived {} ms, after {} ms", millis(message.end), took()),
        Fate::Lost => format!("lost {} ms, after {} ms", millis(message.end), took()),
    };
    format!(
        "{:?} {} → {}\n{}\nsent {} ms, {end}",
        message.kind,
        name(message.from),
        name(message.to),
        escape(&message.label),
        millis(message.sent)
    )
}

fn mark_title(trace: &Trace, mark: &Mark) -> String {
    format!("{}: {}, {} ms", escape(&trace.lanes()[mark.lane]), escape(mark_label(mark)), millis(mark.at))
}

/// A number as short as a tenth of a pixel allows.
pub(super) fn num(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_string() } else { text.to_string() }
}

pub(super) fn write(svg: &mut String, what: std::fmt::Arguments<'_>) {
    svg.write_fmt(what).expect("a string takes everything");
}
