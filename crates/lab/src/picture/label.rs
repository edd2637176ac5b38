//! Where an arrow's label stands, and what it would cover.

/// Width of a character of the diagram's font, in pixels: the widest of the usual fixed-width fonts at 10.5 pixels.
pub(super) const CHAR: f64 = 6.33;
/// From an arrow's tip to its label, along the arrow.
const CLEAR: f64 = 13.0;
/// From an arrow's line to the base line of a text above it, and of one below it.
const ABOVE: f64 = 4.5;
const BELOW: f64 = -11.5;
/// Height of a line of text.
const TEXT_HEIGHT: f64 = 12.0;
/// Steeper than this, text along the arrow is hard to read.
const STEEP: f64 = 0.6;

/// A place in the diagram, in pixels from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A text in the diagram.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    /// The left end of its base line.
    pub(super) at: Point,
    /// The direction in which it runs: a vector of length 1 that points to the right.
    pub(super) along: (f64, f64),
    /// What is shown.
    pub(super) text: String,
}

/// What is taken by something that others must not cover: between two vertical lines, and between two parallel ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    left: f64,
    right: f64,
    /// The upper edge at `left`.
    top: f64,
    height: f64,
    /// How much lower the edges are a pixel further to the right.
    slope: f64,
}

impl Area {
    pub(super) fn rectangle(left: f64, right: f64, top: f64, bottom: f64) -> Self {
        Self { left, right, top, height: bottom - top, slope: 0.0 }
    }

    /// A line of no width.
    pub(super) fn line(tail: Point, tip: Point) -> Self {
        let (left, right) = if tail.x < tip.x { (tail, tip) } else { (tip, tail) };
        let slope = (right.y - left.y) / (right.x - left.x);
        Self { left: left.x, right: right.x, top: left.y, height: 0.0, slope }
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (left, right) = (self.left.max(other.left), self.right.min(other.right));
        if left >= right {
            return false;
        }
        // How much lower this one is, at either end of what they share; in between it is in between.
        let lower = |x: f64| self.top_at(x) - other.top_at(x);
        let (a, b) = (lower(left), lower(right));
        a.min(b) < other.height && a.max(b) > -self.height
    }

    /// The lowest point.
    pub(super) fn bottom(&self) -> f64 {
        self.top.max(self.top_at(self.right)) + self.height
    }

    /// The highest point.
    pub(super) fn top(&self) -> f64 {
        self.top.min(self.top_at(self.right))
    }

    fn top_at(&self, x: f64) -> f64 {
        self.top + self.slope * (x - self.left)
    }
}

impl Label {
    /// A label beside the tip of an arrow, above its line; as much of the text as has room in `width` pixels from the
    /// tip on.
    pub(super) fn of_arrow(tail: Point, tip: Point, text: &str, width: f64) -> Self {
        let (dx, dy) = (tip.x - tail.x, tip.y - tail.y);
        if dy > STEEP * dx.abs() {
            // Level, beside the line, where it is one text height above the tip.
            let aside = TEXT_HEIGHT * dx.abs() / dy + 6.0;
            let text = shorten(text, width - aside);
            let x = if dx > 0.0 { tip.x - aside - text_width(&text) } else { tip.x + aside };
            return Self { at: Point { x, y: tip.y - 2.0 }, along: (1.0, 0.0), text };
        }
        let along = rightwards(tail, tip);
        Self::along(tip, along, dx > 0.0, shorten(text, width / along.0 - CLEAR), (CLEAR, ABOVE))
    }

    /// The other places for it beside the same arrow, within `width` pixels from the tip, the better ones first.
    pub(super) fn elsewhere(&self, tail: Point, tip: Point, width: f64) -> Vec<Self> {
        if self.along.1 == 0.0 && tail.y != tip.y {
            return Vec::new();
        }
        let room = width / self.along.0 - text_width(&self.text);
        let steps =
            std::iter::successors(Some(CLEAR), |back| Some(back + 12.0)).take_while(|back| *back <= room);
        let places = steps.flat_map(|back| [(back, ABOVE), (back, BELOW)]).skip(1);
        places.map(|place| Self::along(tip, self.along, tip.x > tail.x, self.text.clone(), place)).collect()
    }

    /// A label that runs along an arrow: so far back from its tip, and so far from the line to the base line, both
    /// along the direction of the arrow and at a right angle to it.
    fn along(tip: Point, along: (f64, f64), to_right: bool, text: String, (back, above): (f64, f64)) -> Self {
        let start = if to_right { -back - text_width(&text) } else { back };
        let x = tip.x + along.0 * start + along.1 * above;
        let y = tip.y + along.1 * start - along.0 * above;
        Self { at: Point { x, y }, along, text }
    }

    /// What the text takes.
    pub(super) fn area(&self) -> Area {
        let width = text_width(&self.text) * self.along.0;
        let height = TEXT_HEIGHT / self.along.0;
        let top = self.at.y - 0.8 * height;
        Area { left: self.at.x, right: self.at.x + width, top, height, slope: self.along.1 / self.along.0 }
    }
}

/// The direction of an arrow's line as one reads.
fn rightwards(tail: Point, tip: Point) -> (f64, f64) {
    let (dx, dy) = (tip.x - tail.x, tip.y - tail.y);
    let length = (dx * dx + dy * dy).sqrt();
    if dx > 0.0 { (dx / length, dy / length) } else { (-dx / length, -dy / length) }
}

/// The width of a text in pixels. Letters of the east take two places.
pub(super) fn text_width(text: &str) -> f64 {
    let places: u32 = text.chars().map(|c| if c < '\u{1100}' || c == '…' { 1 } else { 2 }).sum();
    f64::from(places) * CHAR
}

/// The text, or its beginning, as far as it has room.
pub(super) fn shorten(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_string();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if text_width(&short) + CHAR > width {
            short.pop();
            break;
        }
    }
    short + "…"
}
