//! Labels move out of the way of lines.
//!
//! The layout has found a place for each label in which it covers no other. That a line passes through it is
//! sometimes not to be helped, and sometimes there is a better place beside the same arrow.

use std::collections::BTreeSet;

use bowline_sim::trace::Message;

use super::label::{Area, Label};
use super::layout::{Arrow, is_quiet};

/// Height of a shelf.
const SHELF: f64 = 64.0;
/// How bad it is that a line passes through a label; a thin one; that the label is not at its usual place.
const LINE: u32 = 8;
const THIN_LINE: u32 = 3;
const ELSEWHERE: u32 = 2;

/// Areas by how far down the page they are, so that only neighbours are compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelves {
    shelves: Vec<Vec<(Owner, Area)>>,
}

/// Whose area it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// The message in this place of the trace.
    Message(usize),
    /// Something that stays where it is.
    Fixed,
}

impl Shelves {
    pub(super) fn put(&mut self, owner: Owner, area: Area) {
        let last = shelf(area.bottom());
        if self.shelves.len() <= last {
            self.shelves.resize_with(last + 1, Vec::new);
        }
        for shelf in &mut self.shelves[shelf(area.top())..=last] {
            shelf.push((owner, area));
        }
    }

    fn take(&mut self, owner: Owner, area: &Area) {
        for shelf in &mut self.shelves[shelf(area.top())..=shelf(area.bottom())] {
            shelf.retain(|(of, _)| *of != owner);
        }
    }

    /// The owners of what an area overlaps; one can come several times.
    pub(super) fn met(&self, area: &Area) -> impl Iterator<Item = Owner> {
        let shelves = self.shelves.iter().take(shelf(area.bottom()) + 1).skip(shelf(area.top()));
        shelves.flatten().filter(|(_, other)| other.overlaps(area)).map(|(owner, _)| *owner)
    }
}

/// The shelf for this height; what is above the page lies on the first.
#[expect(clippy::cast_possible_truncation, reason = "a page is not that high, and a cast stays in the range")]
fn shelf(y: f64) -> usize {
    (y.max(0.0) / SHELF) as usize
}

/// Moves labels to the place beside their arrow through which the fewest lines pass. `taken` has what must not be
/// covered, the labels themselves included; a label stays within `width` pixels from its arrow's tip.
pub(super) fn tidy(arrows: &mut [Arrow], messages: &[&Message], mut taken: Shelves, width: f64) {
    let mut lines = Shelves::default();
    for (i, arrow) in arrows.iter().enumerate() {
        lines.put(Owner::Message(i), Area::line(arrow.tail, arrow.tip));
    }
    for (i, arrow) in arrows.iter_mut().enumerate() {
        let Some(label) = arrow.label.take() else { continue };
        let me = Owner::Message(i);
        taken.take(me, &label.area());
        let through = |label: &Label| {
            let met: BTreeSet<Owner> = lines.met(&label.area()).filter(|owner| *owner != me).collect();
            met.into_iter().map(|owner| weight(messages, owner)).sum::<u32>()
        };
        let mut best = (through(&label), label.clone());
        for place in label.elsewhere(arrow.tail, arrow.tip, width) {
            if best.0 <= ELSEWHERE {
                break;
            }
            let cost = ELSEWHERE + through(&place);
            if cost < best.0 && taken.met(&place.area()).next().is_none() {
                best = (cost, place);
            }
        }
        taken.put(me, best.1.area());
        arrow.label = Some(best.1);
    }
}

fn weight(messages: &[&Message], owner: Owner) -> u32 {
    match owner {
        Owner::Message(i) if is_quiet(messages[i].kind) => THIN_LINE,
        Owner::Message(_) | Owner::Fixed => LINE,
    }
}
