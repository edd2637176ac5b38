//! Where each call stands.

use std::collections::BTreeMap;

use super::window::{Role, ShownCall, Window};

/// From the top to the first event.
const TOP: usize = 18;
/// From one event to the next.
const LINE: usize = 16;
/// The least height of a box, so that two lines of text fit.
const BOX: usize = 38;
/// Between boxes of one column.
const GAP: usize = 5;

/// A drawing of the calls of a window.
pub(super) struct Layout {
    /// By call: its box.
    pub(super) boxes: Vec<Place>,
    /// By column: the client.
    pub(super) columns: Vec<u64>,
    /// When something happened: height and time.
    pub(super) times: Vec<(usize, u64)>,
    /// Where the calls of the order took effect, one after the other: call and height.
    pub(super) effects: Vec<(usize, usize)>,
    pub(super) height: usize,
}

/// Where a box stands.
pub(super) struct Place {
    pub(super) column: usize,
    pub(super) top: usize,
    pub(super) bottom: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Invoked,
    Returned,
}

pub(super) fn layout(window: &Window) -> Layout {
    let calls = &window.calls;
    let mut events: Vec<(u64, Event, usize)> = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        events.push((call.invoked_ns, Event::Invoked, number));
        events.extend(call.reply.iter().map(|(_, at_ns)| (*at_ns, Event::Returned, number)));
    }
    events.sort_unstable();
    let mut order: Vec<usize> = (0..calls.len()).filter(|&call| place(&calls[call]).is_some()).collect();
    order.sort_by_key(|&call| place(&calls[call]));
    let mut order = order.into_iter().peekable();

    let (columns, column_of) = columns(calls);
    let mut free_from = vec![0; columns.len()];
    let (mut tops, mut bottoms) = (vec![None; calls.len()], vec![None; calls.len()]);
    let (mut times, mut effects) = (Vec::new(), Vec::new());
    let mut y = TOP;
    for (at_ns, event, call) in events {
        let column = column_of[call];
        match event {
            Event::Invoked => {
                y = y.max(free_from[column]);
                tops[call] = Some(y);
            }
            Event::Returned => {
                y = y.max(tops[call].expect("it was invoked") + BOX);
                bottoms[call] = Some(y);
                free_from[column] = y + GAP;
            }
        }
        times.push((y, at_ns));
        y += LINE;
        while let Some(call) = order.next_if(|&call| tops[call].is_some()) {
            effects.push((call, y));
            y += LINE;
        }
    }
    let end = y + BOX;
    let place = |call: usize| {
        let top = tops[call].expect("it was invoked");
        Place { column: column_of[call], top, bottom: bottoms[call].unwrap_or(end) }
    };
    Layout { boxes: (0..calls.len()).map(place).collect(), columns, times, effects, height: end + TOP }
}

fn place(call: &ShownCall) -> Option<usize> {
    match call.role {
        Role::Placed(place) => Some(place),
        Role::Unplaced | Role::Open => None,
    }
}

/// The columns, and the column of each call. A client has as many as it had calls out at a time: a call without an
/// answer keeps its own.
fn columns(calls: &[ShownCall]) -> (Vec<u64>, Vec<usize>) {
    // By client: for each of its columns when it is free again; none if never.
    let mut clients: BTreeMap<u64, Vec<Option<u64>>> = BTreeMap::new();
    let mut lanes = Vec::new();
    for call in calls {
        let free = clients.entry(call.client).or_default();
        let is_free = |until: &Option<u64>| until.is_some_and(|until| until <= call.invoked_ns);
        let lane = free.iter().position(is_free).unwrap_or_else(|| {
            free.push(None);
            free.len() - 1
        });
        free[lane] = call.reply.as_ref().map(|(_, at_ns)| *at_ns);
        lanes.push(lane);
    }
    let mut first = BTreeMap::new();
    let mut columns = Vec::new();
    for (client, lanes) in clients {
        first.insert(client, columns.len());
        columns.extend(lanes.iter().map(|_| client));
    }
    let column_of = calls.iter().zip(lanes).map(|(call, lane)| first[&call.client] + lane).collect();
    (columns, column_of)
}
