//! Which answers are still to be explained, and by which texts.

use std::ops::Range;

use super::values::Prefix;

/// Counts of the calls that are not placed yet, by the values that they show or can lead to.
pub(crate) struct Outlook {
    /// Calls whose answers show a value, at its place.
    shown: Counts,
    /// Texts that calls can begin anew with: at the first value that begins so,
    begun: Counts,
    /// and the same from the first such value on, less those from behind the last on: up to a place, how many cover it.
    covered: Counts,
}

impl Outlook {
    /// For so many values.
    pub(crate) fn new(values: usize) -> Self {
        Self { shown: Counts::new(values), begun: Counts::new(values), covered: Counts::new(values + 1) }
    }

    /// One more, or one less, call waits that shows the value at this place.
    pub(crate) fn show(&mut self, place: usize, change: i32) {
        self.shown.add(place, change);
    }

    /// One more, or one less, call waits that can begin anew with this text.
    pub(crate) fn begin(&mut self, text: Prefix, change: i32) {
        self.begun.add(text.from, change);
        self.covered.add(text.from, change);
        self.covered.add(text.to, -change);
    }

    /// Whether a call waits that shows one of these values.
    pub(crate) fn is_awaited(&self, values: Range<usize>) -> bool {
        self.shown.sum(values) > 0
    }

    /// Whether it would be wrong to go from one text to another (none: to one that is not the beginning of any value): what
    /// waits for the first could not be explained any more.
    pub(crate) fn forbids(&self, before: Prefix, after: Option<Prefix>) -> bool {
        let kept = after.map_or(0..0, |after| before.from.max(after.from)..before.to.min(after.to));
        let left = self.shown.sum(before.range()) - self.shown.sum(kept.start..kept.end.max(kept.start));
        left > 0 && !self.can_begin_within(before) && self.covered.sum(0..before.from + 1) == 0
    }

    /// Whether a call waits that can begin anew with one of the values of `text`, or a beginning of theirs that begins with it.
    pub(crate) fn can_begin_within(&self, text: Prefix) -> bool {
        self.begun.sum(text.range()) > 0
    }
}

/// Counts at places, and their sums over ranges, in logarithmic time (Fenwick 1994).
struct Counts {
    sums: Vec<i32>,
}

impl Counts {
    fn new(places: usize) -> Self {
        Self { sums: vec![0; places + 1] }
    }

    fn add(&mut self, place: usize, change: i32) {
        let mut at = place + 1;
        while at < self.sums.len() {
            self.sums[at] += change;
            at += at & at.wrapping_neg();
        }
    }

    fn sum(&self, places: Range<usize>) -> i32 {
        self.up_to(places.end) - self.up_to(places.start)
    }

    fn up_to(&self, end: usize) -> i32 {
        let (mut at, mut sum) = (end, 0);
        while at > 0 {
            sum += self.sums[at];
            at &= at - 1;
        }
        sum
    }
}
