//! What the page says in words.

use super::window::{Role, ShownCall, Window};
use super::{escape, millis, write};
use crate::show::Bare;

/// What is wrong, and how to read the picture.
pub(super) fn intro(html: &mut String, window: &Window) {
    let call = window.unplaced();
    let (reply, at_ns) = call.reply.as_ref().expect("what cannot be placed was answered");
    let key = window.key.as_ref().map_or_else(String::new, |key| format!(" of the key {}", Bare(key)));
    let certain = if window.is_exact {
        ""
    } else {
        " The time ran out: the first one may come earlier, behind the order below."
    };
    write(
        html,
        format_args!(
            "<p class=\"verdict\"><b>not linearizable</b> The {} calls{} have no order that explains their answers. The \
             first answer without a place: <a href=\"#c{}\"><code>{}</code></a> of client {}, invoked at {} ms, answered <code>{}</code> at {} \
             ms.{certain}</p>\n",
            window.total,
            escape(&key),
            call.id.0,
            escape(&call.operation),
            call.client,
            millis(call.invoked_ns),
            escape(reply),
            millis(*at_ns),
        ),
    );
    write(
        html,
        format_args!(
            "<p class=\"how\">Time goes down, every event has a line of its own. A box is a call, from its invocation to its \
             answer; one that fades was never answered. The numbered dots are one order that explains every earlier answer: \
             where each call took effect. <span class=\"red\">Red</span> is the call that fits nowhere. Grey ones were under \
             way, and the order does without them.{}</p>\n",
            match window.skipped {
                0 => String::new(),
                skipped => format!(" The first {skipped} calls of the order are not shown."),
            }
        ),
    );
}

/// The order, what the unplaced call would have answered, and what was under way beside it.
pub(super) fn table(html: &mut String, window: &Window) {
    let has_values = window.values.iter().any(Option::is_some);
    write(
        html,
        format_args!("<h2>The order of what was answered before</h2>\n<table>\n<tr><th></th><th>client</th>"),
    );
    write(html, format_args!("<th>call</th>{}</tr>\n", if has_values { "<th>value then</th>" } else { "" }));
    for ((place, call), value) in window.placed().into_iter().zip(&window.values) {
        let value = value.as_ref().map_or_else(String::new, |value| format!("<td>{}</td>", escape(value)));
        row(html, &place.to_string(), "", call, &value);
    }
    let unplaced = window.unplaced();
    row(html, "?", " class=\"unplaced\"", unplaced, if has_values { "<td></td>" } else { "" });
    html.push_str("</table>\n");
    attempts(html, window);
    let open: Vec<_> = window.calls.iter().filter(|call| call.role == Role::Open).collect();
    if !open.is_empty() {
        html.push_str("<h2>Under way, and not in the order</h2>\n<table>\n");
        open.into_iter().for_each(|call| row(html, "", " class=\"open\"", call, ""));
        html.push_str("</table>\n");
    }
}

fn row(html: &mut String, mark: &str, class: &str, call: &ShownCall, value: &str) {
    let reply = call.reply.as_ref().map_or("no answer", |(reply, _)| reply);
    let (id, operation, reply) = (call.id.0, escape(&call.operation), escape(reply));
    write(html, format_args!("<tr{class} data-call=\"c{id}\"><td>{mark}</td><td>{}</td>", call.client));
    write(html, format_args!("<td><a href=\"#c{id}\">{operation} → {reply}</a></td>{value}</tr>\n"));
}

/// What the unplaced call would have answered at each place, places with the same answer told together.
fn attempts(html: &mut String, window: &Window) {
    let call = window.unplaced();
    let (reply, _) = call.reply.as_ref().expect("what cannot be placed was answered");
    html.push_str("<h2>What it would have answered in this order</h2>\n<ul>\n");
    if let Some(place) = window.was_right {
        let (reply, behind) = (escape(reply), behind(place));
        write(
            html,
            format_args!(
                "<li><b>{reply}</b> the last time {behind}, but that was over before it began</li>\n"
            ),
        );
    }
    for same in window.attempts.chunk_by(|a, b| a.1 == b.1) {
        let [(first, answer), .., (last, _)] = same else {
            let (place, answer) = &same[0];
            write(html, format_args!("<li><code>{}</code> {}</li>\n", escape(answer), behind(*place)));
            continue;
        };
        write(html, format_args!("<li><code>{}</code> {} to {last}</li>\n", escape(answer), behind(*first)));
    }
    write(html, format_args!("</ul>\n<p>It was answered <b>{}</b>.</p>\n", escape(reply)));
}

fn behind(place: usize) -> String {
    if place == 0 { "in the beginning".to_owned() } else { format!("behind {place}") }
}
