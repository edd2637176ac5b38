//! Reads a picture back, as a browser would see it, and measures.

use std::collections::BTreeMap;

pub(crate) type Point = (f64, f64);

/// What stands on a page.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) arrows: BTreeMap<usize, Arrow>,
    /// How far down.
    pub(crate) marks: BTreeMap<usize, f64>,
    pub(crate) notes: BTreeMap<usize, f64>,
    /// Texts and signs: corners in order, and what is written there.
    pub(crate) texts: Vec<([Point; 4], String)>,
    /// How far right each lane is.
    pub(crate) lanes: Vec<f64>,
}

#[derive(Debug)]
pub(crate) struct Arrow {
    pub(crate) tail: Point,
    pub(crate) tip: Point,
    pub(crate) classes: Vec<String>,
    pub(crate) title: String,
}

/// Reads the diagram of a page.
pub(crate) fn read(page: &str) -> Picture {
    let (_, rest) = page.split_once("<section class=\"diagram\"").expect("a diagram");
    let (diagram, _) = rest.split_once("</section>").expect("its end");
    let (names, diagram) = diagram.split_once("</svg>").expect("the names");
    let lanes = names.split("<g class=\"name\">").skip(1);
    let mut picture = Picture {
        width: number(diagram, "width"),
        height: number(diagram, "height"),
        lanes: lanes.map(|name| number(&name[name.find("<text").expect("a name")..], "x")).collect(),
        ..Picture::default()
    };
    for group in diagram.split("<g class=\"").skip(1) {
        let (classes, rest) = group.split_once('"').expect("a class");
        let (group, after) = rest.split_once("</g>").expect("the end of a group");
        picture.group(classes, group);
        for text in after.split("<text class=\"l ").skip(1) {
            picture.texts.push((corners(text), inner(text).to_string()));
        }
    }
    picture
}

impl Picture {
    fn group(&mut self, classes: &str, group: &str) {
        let classes: Vec<String> = classes.split(' ').map(str::to_string).collect();
        let Some(id) = group.strip_prefix(" id=\"").and_then(|rest| rest.split('"').next()) else { return };
        let at: usize = id[1..].parse().expect("an id");
        let shape = &group[group.find("</title>").expect("a title") + "</title>".len()..];
        match classes[0].as_str() {
            "m" => {
                let title = group[group.find("<title>").expect("a title") + 7..].split("</title>").next();
                let title = title.unwrap_or_default().to_string();
                let line = &shape[shape.find("class=\"shaft\"").expect("a line")..];
                let (tail, tip) = attribute(line, "d")[1..].split_once('L').expect("from here to there");
                self.arrows.insert(at, Arrow { tail: point(tail), tip: point(tip), classes, title });
            }
            "mark" => {
                let y = if shape.starts_with("<rect") {
                    number(shape, "y") + number(shape, "height") / 2.0
                } else if shape.starts_with("<circle") {
                    number(shape, "cy")
                } else {
                    point(attribute(shape, "d")[1..].split('h').next().unwrap_or_default()).1
                };
                self.marks.insert(at, y);
                if shape.starts_with("<rect") {
                    self.texts.push((rectangle(shape), inner(shape).to_string()));
                } else if let Some(text) = shape.find("<text") {
                    self.texts.push((corners(&shape[text..]), inner(&shape[text..]).to_string()));
                }
            }
            "note" => {
                self.notes.insert(at, number(shape, "y") + number(shape, "height") / 2.0);
                self.texts.push((rectangle(shape), inner(shape).to_string()));
            }
            _ => {}
        }
    }
}

fn attribute<'a>(tag: &'a str, name: &str) -> &'a str {
    let (_, rest) = tag.split_once(&format!("{name}=\"")).expect("the attribute");
    rest.split('"').next().unwrap_or_default()
}

fn number(tag: &str, name: &str) -> f64 {
    attribute(tag, &format!(" {name}")).parse().expect("a number")
}

fn point(text: &str) -> Point {
    let (x, y) = text.split_once(' ').expect("two numbers");
    (x.parse().expect("a number"), y.parse().expect("a number"))
}

/// The text of the first text element.
fn inner(element: &str) -> &str {
    let element = element.find("<text").map_or(element, |at| &element[at..]);
    element.split_once('>').and_then(|(_, rest)| rest.split('<').next()).expect("a text")
}

fn rectangle(tag: &str) -> [Point; 4] {
    let (x, y) = (number(tag, "x"), number(tag, "y"));
    let (right, bottom) = (x + number(tag, "width"), y + number(tag, "height"));
    [(x, y), (right, y), (right, bottom), (x, bottom)]
}

/// What a text of 10.5 pixels takes: letters are 0.6 of that wide.
fn corners(tag: &str) -> [Point; 4] {
    let text =
        inner(tag).replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let width = 6.3 * f64::from(u32::try_from(text.chars().count()).expect("a short text"));
    let (a, b, x, y) = match tag.split_once("matrix(") {
        Some((_, rest)) => {
            let numbers: Vec<f64> = rest
                .split(')')
                .next()
                .unwrap_or_default()
                .split(' ')
                .map(|n| n.parse().expect("a number"))
                .collect();
            (numbers[0], numbers[1], numbers[4], numbers[5])
        }
        None => {
            let dy = if tag.contains(" dy=\"") { number(tag, "dy") } else { 0.0 };
            (1.0, 0.0, number(tag, "x"), number(tag, "y") + dy)
        }
    };
    let place = |along: f64, down: f64| (x + a * along - b * down, y + b * along + a * down);
    [place(0.0, -7.5), place(width, -7.5), place(width, 2.0), place(0.0, 2.0)]
}

/// Whether two convex areas share more than their edges: no line separates them.
pub(crate) fn overlap(one: &[Point; 4], other: &[Point; 4]) -> bool {
    let separated = |shape: &[Point; 4]| {
        (0..4).any(|side| {
            let ((ax, ay), (bx, by)) = (shape[side], shape[(side + 1) % 4]);
            let across = |points: &[Point; 4]| {
                let along = points.iter().map(|(x, y)| (x - ax) * (by - ay) - (y - ay) * (bx - ax));
                along.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| (least.min(v), most.max(v)))
            };
            let ((a, b), (c, d)) = (across(one), across(other));
            b <= c || d <= a
        })
    };
    !separated(one) && !separated(other)
}

/// The first reason why this is no XML document, if there is one.
pub(crate) fn malformed(xml: &str) -> Option<String> {
    let mut open = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        if let Some(reason) = bad_text(&rest[..at]) {
            return Some(reason);
        }
        let end = rest[at..].find('>').map(|end| at + end)?;
        let tag = &rest[at + 1..end];
        if let Some(reason) = bad_text(tag) {
            return Some(reason);
        }
        if tag.matches('"').count() % 2 == 1 {
            return Some(format!("an open quotation mark in <{tag}>"));
        }
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return Some(format!("{name} ends and was not open"));
            }
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        rest = &rest[end + 1..];
    }
    if open.is_empty() { bad_text(rest) } else { Some(format!("still open: {open:?}")) }
}

fn bad_text(text: &str) -> Option<String> {
    let entity =
        |after: &str| ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|known| after.starts_with(known));
    if text.split('&').skip(1).any(|after| !entity(after)) {
        return Some(format!("an & that begins nothing in {text:?}"));
    }
    let bad = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    bad.map(|c| format!("{c:?} in {text:?}"))
}
