//! The calls as SVG.

use super::layout::{Layout, Place};
use super::window::{Role, ShownCall, Window};
use super::{escape, millis, write};

/// Width of the times at the left.
const AXIS: usize = 92;
/// Width of a client's column, and of what is left free in it.
const COLUMN: usize = 176;
const MARGIN: usize = 8;
/// Height of the clients' names.
const NAMES: usize = 34;
/// How many characters fit into a box.
const LETTERS: usize = 23;

/// The clients' names, and below them their calls.
pub(super) fn draw(html: &mut String, window: &Window, layout: &Layout) {
    let width = AXIS + layout.columns.len() * COLUMN + 2 * MARGIN;
    open(html, width, NAMES, "names");
    write(html, format_args!("<text class=\"time\" x=\"{}\" y=\"22\">ms</text>\n", AXIS - 14));
    for (column, client) in layout.columns.iter().enumerate() {
        let x = left(column) + (COLUMN - MARGIN) / 2;
        write(html, format_args!("<text class=\"name\" x=\"{x}\" y=\"22\">client {client}</text>\n"));
    }
    html.push_str("</svg>\n");
    open(html, width, layout.height, "calls");
    for (y, at_ns) in &layout.times {
        write(html, format_args!("<path class=\"tick\" d=\"M{AXIS} {y}H{width}\"/>\n"));
        write(
            html,
            format_args!(
                "<text class=\"time\" x=\"{}\" y=\"{}\">{}</text>\n",
                AXIS - 14,
                y + 4,
                millis(*at_ns)
            ),
        );
    }
    for (call, place) in window.calls.iter().zip(&layout.boxes) {
        call_box(html, call, place);
    }
    effects(html, window, layout);
    html.push_str("</svg>\n");
}

fn open(html: &mut String, width: usize, height: usize, class: &str) {
    let size = format!("width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\"");
    write(html, format_args!("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"{class}\" {size}>\n"));
}

fn left(column: usize) -> usize {
    AXIS + column * COLUMN + MARGIN
}

fn call_box(html: &mut String, call: &ShownCall, place: &Place) {
    let class = match (call.role, &call.reply) {
        (Role::Unplaced, _) => "unplaced",
        (Role::Placed(_), Some(_)) => "placed",
        (Role::Placed(_), None) => "placed lost",
        (Role::Open, Some(_)) => "open",
        (Role::Open, None) => "open lost",
    };
    let (x, width, height) = (left(place.column), COLUMN - 2 * MARGIN, place.bottom - place.top);
    let reply = call.reply.as_ref().map_or("no answer", |(reply, _)| reply);
    write(html, format_args!("<g id=\"c{}\" class=\"call {class}\">\n", call.id.0));
    write(html, format_args!("<title>{} → {}</title>\n", escape(&call.operation), escape(reply)));
    write(
        html,
        format_args!(
            "<rect x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{height}\" rx=\"5\"/>\n",
            place.top
        ),
    );
    for (line, text, class) in
        [(15, call.operation.clone(), "operation"), (30, format!("→ {reply}"), "reply")]
    {
        let (x, y, text) = (x + 8, place.top + line, escape(&cut(&text)));
        write(html, format_args!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>\n"));
    }
    html.push_str("</g>\n");
}

/// As much of a text as fits into a box: both ends of it.
fn cut(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= LETTERS {
        return text.to_owned();
    }
    let tail = LETTERS / 2;
    let (head, tail) = (&letters[..LETTERS - tail - 1], &letters[letters.len() - tail..]);
    head.iter().chain(['…'].iter()).chain(tail).collect()
}

/// The numbered dots at the right edges of the boxes, and the way from one to the next.
fn effects(html: &mut String, window: &Window, layout: &Layout) {
    let at = |call: usize| left(layout.boxes[call].column) + COLUMN - 2 * MARGIN - 1;
    let points: Vec<String> = layout.effects.iter().map(|(call, y)| format!("{} {y}", at(*call))).collect();
    if points.len() > 1 {
        write(html, format_args!("<path class=\"way\" d=\"M{}\"/>\n", points.join("L")));
    }
    for (call, y) in &layout.effects {
        let Role::Placed(place) = window.calls[*call].role else { continue };
        let (x, half) = (at(*call), 6 + 3 * place.to_string().len());
        write(html, format_args!("<g class=\"effect\"><rect x=\"{}\" y=\"{}\" ", x - half, y - 8));
        write(html, format_args!("width=\"{}\" height=\"16\" rx=\"8\"/>", 2 * half));
        write(html, format_args!("<text x=\"{x}\" y=\"{}\">{place}</text></g>\n", y + 4));
    }
}
