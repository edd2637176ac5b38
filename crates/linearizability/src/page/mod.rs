//! A picture of a history around the answer that cannot be explained, as one HTML page.
//!
//! Clients are columns and time goes down, as in the laboratory's pictures; a call is a box from its invocation to its answer.
//! Time is stretched: every event has a line of its own, and never stands above an earlier one. The numbered dots are where
//! the calls took effect in the order that was found for everything before; the red box is the call that fits nowhere in it.
//!
//! Of a long history only the end of that order is shown, and what was under way there. Nothing is loaded from elsewhere, and
//! nothing needs a script. The same history gives the same bytes.

mod draw;
mod layout;
mod table;
mod window;

use std::fmt::{Arguments, Write};

use crate::blame::Violation;
use crate::history::History;
use crate::model::Model;
use window::Window;

const STYLE: &str = include_str!("page.css");
/// Shows which line belongs to which box; the page says the same without it.
const SCRIPT: &str = include_str!("page.js");

/// What stands above a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// What was run.
    pub title: String,
    /// The command that runs it again; empty if there is none.
    pub reproduce: String,
}

/// A page about a violation that was found in this history.
pub fn page<M: Model>(
    history: &History<M::Operation, M::Reply>,
    violation: &Violation,
    heading: &Heading,
) -> String {
    let window = Window::new::<M>(history, violation);
    let layout = layout::layout(&window);
    let title = escape(&heading.title);
    let mut html = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    write(&mut html, format_args!("<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n"));
    write(&mut html, format_args!("<body class=\"bowline\">\n<header>\n<h1>{title}</h1>\n"));
    table::intro(&mut html, &window);
    if !heading.reproduce.is_empty() {
        let again = escape(&heading.reproduce);
        write(&mut html, format_args!("<p class=\"again\">Run it again: <code>{again}</code></p>\n"));
    }
    html.push_str("</header>\n<main>\n<section class=\"diagram\">\n");
    draw::draw(&mut html, &window, &layout);
    html.push_str("</section>\n<section class=\"order\">\n");
    table::table(&mut html, &window);
    write(&mut html, format_args!("</section>\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"));
    html
}

fn write(html: &mut String, text: Arguments<'_>) {
    html.write_fmt(text).expect("a string takes everything");
}

/// A text as it may stand in HTML, within an element or an attribute.
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
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A time in milliseconds with three digits after the point.
fn millis(ns: u64) -> String {
    let micros = ns / 1000;
    format!("{}.{:03}", micros / 1000, micros % 1000)
}
