//! What the network knows: its switches, ends, servers and counters.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;
use rand::rngs::StdRng;

use super::call::{self, Accepted, Call, Weather};
use super::{ClientEnd, EndId, NetworkObserver, Registered, Server, ServerName};
use crate::executor::Sim;
use crate::random;

/// The network of one test, shared by all that hold a handle of it.
///
/// Servers commonly hold ends, which hold the network, which holds the servers: [`Network::shut_down`] breaks
/// the circle.
#[derive(Clone)]
pub struct Network(Rc<Shared>);

struct Shared {
    sim: Sim,
    state: RefCell<State>,
}

struct State {
    weather: Weather,
    shut_down: bool,
    /// By number.
    ends: Vec<End>,
    servers: BTreeMap<ServerName, Rc<Registered>>,
    random: StdRng,
    calls: u64,
    bytes: u64,
    calls_of: BTreeMap<&'static str, u64>,
    observers: Vec<Rc<dyn NetworkObserver>>,
}

#[derive(Default)]
struct End {
    enabled: bool,
    target: Option<ServerName>,
}

impl Network {
    /// A reliable network without long delays and long reordering, and with nobody in it.
    pub fn new(sim: &Sim, seed: u64) -> Self {
        let state = State {
            weather: Weather { reliable: true, long_delays: false, long_reordering: false },
            shut_down: false,
            ends: Vec::new(),
            servers: BTreeMap::new(),
            random: random::stream(seed, "network", 0),
            calls: 0,
            bytes: 0,
            calls_of: BTreeMap::new(),
            observers: Vec::new(),
        };
        Self(Rc::new(Shared { sim: sim.clone(), state: RefCell::new(state) }))
    }

    /// Whether calls made from now on are neither delayed nor lost. At first they are not.
    pub fn set_reliable(&self, on: bool) {
        self.0.state.borrow_mut().weather.reliable = on;
    }

    /// Whether calls made from now on that lead nowhere take up to 7 s to fail, and not up to 100 ms.
    pub fn set_long_delays(&self, on: bool) {
        self.0.state.borrow_mut().weather.long_delays = on;
    }

    /// Whether two of three replies to calls made from now on are held back, for up to 2.2 s.
    pub fn set_long_reordering(&self, on: bool) {
        self.0.state.borrow_mut().weather.long_reordering = on;
    }

    /// Makes an end, disabled and leading nowhere.
    pub fn make_end(&self) -> ClientEnd {
        let mut state = self.0.state.borrow_mut();
        let id = EndId(state.ends.len() as u64);
        state.ends.push(End::default());
        ClientEnd { id, network: self.clone() }
    }

    /// Binds an end to a server's name, whether or not anything is registered under it.
    ///
    /// # Panics
    ///
    /// If the end is not of this network.
    pub fn connect(&self, end: EndId, server: ServerName) {
        self.0.state.borrow_mut().end(end).target = Some(server);
    }

    /// Switches an end on or off.
    ///
    /// # Panics
    ///
    /// If the end is not of this network.
    pub fn enable(&self, end: EndId, on: bool) {
        self.0.state.borrow_mut().end(end).enabled = on;
    }

    /// Registers a server, in the place of what has the name.
    pub fn add_server(&self, name: ServerName, server: Server) {
        let before = self.0.state.borrow_mut().servers.insert(name, Registered::new(server));
        // Dropped only now: what it owns may look at the network.
        drop(before);
    }

    /// Takes a server away. Its name can be given again.
    pub fn delete_server(&self, name: ServerName) {
        let before = self.0.state.borrow_mut().servers.remove(&name);
        drop(before);
    }

    /// Calls made so far, also those that have failed.
    pub fn total_calls(&self) -> u64 {
        self.0.state.borrow().calls
    }

    /// Bytes of the arguments of all calls made, and of the replies that were delivered.
    pub fn total_bytes(&self) -> u64 {
        self.0.state.borrow().bytes
    }

    /// Calls made so far of one method, also those that have failed.
    pub fn calls_of(&self, method: &str) -> u64 {
        self.0.state.borrow().calls_of.get(method).copied().unwrap_or(0)
    }

    /// Calls that have reached the handler of the server that is registered now; 0 if there is none.
    pub fn server_calls(&self, name: ServerName) -> u64 {
        self.0.state.borrow().servers.get(&name).map_or(0, |server| server.calls.get())
    }

    /// From now on `observer` is told of all calls, beside those that are told already.
    pub fn observe(&self, observer: Rc<dyn NetworkObserver>) {
        self.0.state.borrow_mut().observers.push(observer);
    }

    /// Ends it: calls made from now on fail at once and are not counted; servers and observers are dropped, so
    /// calls whose handlers run find their servers dead.
    pub fn shut_down(&self) {
        let mut state = self.0.state.borrow_mut();
        state.shut_down = true;
        let servers = std::mem::take(&mut state.servers);
        let observers = std::mem::take(&mut state.observers);
        drop(state);
        drop((servers, observers));
    }

    pub(super) fn call(&self, end: EndId, method: &'static str, args: Bytes) -> Call {
        let sim = &self.0.sim;
        let Some(accepted) = self.0.state.borrow_mut().accept(end, method, &args) else {
            return Call::begin(sim, std::future::ready(None));
        };
        let Some(target) = accepted.target else {
            return Call::begin(sim, call::unbound(self.clone(), accepted.weather));
        };
        self.tell(|observer| observer.called(accepted.number, end, target, method, &args));
        Call::begin(sim, call::carry(self.clone(), accepted, target, method, args))
    }

    pub(super) fn sim(&self) -> &Sim {
        &self.0.sim
    }

    /// Draws something from the network's stream of randomness.
    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.state.borrow_mut().random)
    }

    /// Whether a call to `server` through `end` can get no reply any more.
    pub(super) fn is_dead(&self, end: EndId, name: ServerName, server: &Rc<Registered>) -> bool {
        let mut state = self.0.state.borrow_mut();
        let is_registered = state.servers.get(&name).is_some_and(|now| Rc::ptr_eq(now, server));
        !(is_registered && state.end(end).enabled)
    }

    pub(super) fn count_bytes(&self, bytes: &Bytes) {
        self.0.state.borrow_mut().bytes += bytes.len() as u64;
    }

    pub(super) fn tell(&self, what: impl Fn(&dyn NetworkObserver)) {
        if self.0.state.borrow().observers.is_empty() {
            return;
        }
        // An observer may look at the network.
        let observers = self.0.state.borrow().observers.clone();
        observers.iter().for_each(|observer| what(&**observer));
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.total_calls();
        f.debug_struct("Network").field("total_calls", &calls).finish_non_exhaustive()
    }
}

impl State {
    fn end(&mut self, id: EndId) -> &mut End {
        let end = usize::try_from(id.0).ok().and_then(|number| self.ends.get_mut(number));
        end.unwrap_or_else(|| panic!("{id:?} is an end of this network"))
    }

    /// Counts a call and notes what decides its way; `None` when the network is shut down.
    fn accept(&mut self, id: EndId, method: &'static str, args: &Bytes) -> Option<Accepted> {
        if self.shut_down {
            return None;
        }
        self.calls += 1;
        self.bytes += args.len() as u64;
        *self.calls_of.entry(method).or_default() += 1;
        let End { enabled, target } = *self.end(id);
        let server = target.filter(|_| enabled).and_then(|name| self.servers.get(&name)).cloned();
        let weather = self.weather;
        Some(Accepted { number: self.calls, end: id, target, server, weather })
    }
}
