//! A call on its way, step by step as in the table of [`super`].

use std::ops::RangeInclusive;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use super::{EndId, Incoming, Network, Registered, ServerName};
use crate::executor::{First, Sim, Task, race};

/// The longest wait for the failure of a call that leads nowhere.
const NOWHERE_MS: u64 = 99;
const NOWHERE_LONG_MS: u64 = 6999;
const SHORT_DELAY_MS: u64 = 26;
/// How many of a thousand requests, and of a thousand replies, are lost.
const LOST_PER_MILLE: u32 = 100;
const TRANSIT_US: RangeInclusive<u64> = 2_000..=6_000;
const DEAD_POLL: Duration = Duration::from_millis(100);
/// How many of 900 replies are held back.
const HELD_OF_900: u32 = 600;
const HELD_AT_LEAST_MS: u64 = 200;
const HELD_MORE_MS: u64 = 1999;

/// The switches of a network.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    pub(super) reliable: bool,
    pub(super) long_delays: bool,
    pub(super) long_reordering: bool,
}

/// A call, with all that was noted when it was made.
pub(super) struct Accepted {
    pub(super) number: u64,
    pub(super) end: EndId,
    /// `None` if the end was never connected.
    pub(super) target: Option<ServerName>,
    /// `None` if the end was disabled, or nothing was registered.
    pub(super) server: Option<Rc<Registered>>,
    pub(super) weather: Weather,
}

/// A call under way, from [`super::ClientEnd::call`]: the reply, or `None` for a failure. Dropping it does not stop
/// the call.
#[must_use = "a call can fail"]
#[derive(Debug)]
pub struct Call(Task<Option<Bytes>>);

impl Call {
    pub(super) fn begin(sim: &Sim, call: impl Future<Output = Option<Bytes>> + 'static) -> Self {
        Self(sim.spawn(call))
    }
}

impl Future for Call {
    type Output = Option<Bytes>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Pin::new(&mut self.0).poll(context)
    }
}

/// A call through an end that was never connected: nobody is told of it.
pub(super) async fn unbound(network: Network, weather: Weather) -> Option<Bytes> {
    nowhere(&network, weather).await;
    None
}

/// A call through an end that is bound to a name: there, and back.
pub(super) async fn carry(
    network: Network,
    accepted: Accepted,
    target: ServerName,
    method: &'static str,
    args: Bytes,
) -> Option<Bytes> {
    let Accepted { number, end, weather, server, .. } = accepted;
    let reply = if let Some(server) = server {
        let passage = Passage { network: network.clone(), number, end, target, server, weather };
        passage.there_and_back(Incoming { end, method, args }).await
    } else {
        network.tell(|observer| observer.request_lost(number));
        nowhere(&network, weather).await;
        None
    };
    match &reply {
        Some(_) => network.tell(|observer| observer.reply_arrived(number)),
        None => network.tell(|observer| observer.failed(number)),
    }
    reply
}

/// Step 0 of the table.
async fn nowhere(network: &Network, weather: Weather) {
    let limit = if weather.long_delays { NOWHERE_LONG_MS } else { NOWHERE_MS };
    let wait = network.draw(|random| up_to_ms(random, limit));
    network.sim().sleep(wait).await;
}

/// The way between an end and a server that was there when the call was made.
struct Passage {
    network: Network,
    number: u64,
    end: EndId,
    target: ServerName,
    server: Rc<Registered>,
    weather: Weather,
}

impl Passage {
    async fn there_and_back(&self, incoming: Incoming) -> Option<Bytes> {
        let (delay, is_lost) = self.network.draw(|random| self.weather.request(random));
        self.network.sim().sleep(delay).await;
        if is_lost {
            self.network.tell(|observer| observer.request_lost(self.number));
            return None;
        }
        let reply = self.execute(incoming).await?;
        self.network.tell(|observer| observer.replied(self.number, &reply));
        let is_dead = self.is_dead();
        let delay = self.network.draw(|random| if is_dead { None } else { self.weather.reply(random) });
        let Some(delay) = delay else {
            self.network.tell(|observer| observer.reply_lost(self.number));
            return None;
        };
        self.network.sim().sleep(delay).await;
        self.network.count_bytes(&reply);
        Some(reply)
    }

    /// Steps 4 and 5: what the handler replies, or `None` if that is of no use any more.
    async fn execute(&self, incoming: Incoming) -> Option<Bytes> {
        self.network.tell(|observer| observer.request_arrived(self.number));
        self.server.calls.set(self.server.calls.get() + 1);
        let mut handler = (self.server.handler)(incoming);
        loop {
            // A handler that is ready at once never gets as far as to a timer.
            match race(&mut handler, self.network.sim().sleep(DEAD_POLL)).await {
                First::Left(reply) => return Some(reply),
                First::Right(()) if self.is_dead() => {
                    self.network.sim().spawn(handler);
                    return None;
                }
                First::Right(()) => {}
            }
        }
    }

    /// Whether no reply can come back any more.
    fn is_dead(&self) -> bool {
        self.network.is_dead(self.end, self.target, &self.server)
    }
}

impl Weather {
    /// How long a request takes, and whether it is lost after that.
    fn request(self, random: &mut StdRng) -> (Duration, bool) {
        if self.reliable {
            return (transit(random), false);
        }
        let delay = up_to_ms(random, SHORT_DELAY_MS);
        if is_lost(random) { (delay, true) } else { (delay + transit(random), false) }
    }

    /// How long a reply takes, if it is not lost.
    fn reply(self, random: &mut StdRng) -> Option<Duration> {
        if !self.reliable && is_lost(random) {
            return None;
        }
        let is_held = self.long_reordering && random.random_ratio(HELD_OF_900, 900);
        let held = if is_held { held(random) } else { Duration::ZERO };
        Some(held + transit(random))
    }
}

fn held(random: &mut StdRng) -> Duration {
    let more = random.random_range(0..=HELD_MORE_MS);
    Duration::from_millis(HELD_AT_LEAST_MS) + up_to_ms(random, more)
}

fn is_lost(random: &mut StdRng) -> bool {
    random.random_ratio(LOST_PER_MILLE, 1000)
}

fn transit(random: &mut StdRng) -> Duration {
    Duration::from_micros(random.random_range(TRANSIT_US))
}

/// Any whole number of milliseconds up to `limit`.
fn up_to_ms(random: &mut StdRng, limit: u64) -> Duration {
    Duration::from_millis(random.random_range(0..=limit))
}
