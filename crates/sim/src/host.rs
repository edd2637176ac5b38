//! One server of the labs in the virtual world, with a clock, a disk, and ends to the others. What it runs is a
//! [`Seat`]: a bare [`Peer`], whose service is the tester's, or the key/value store of
//! [`KvServer`](crate::kv_server::KvServer).
//!
//! This is all that an engineer writes around a peer: inputs in, effects out, in order. The clock has an offset
//! and a rate of its own, and what it takes for the time of day is a few seconds off. The disk is the seeds' persister; what it is given is there at once, or, on a slow
//! disk, after up to 20 ms, and is lost if the server crashes before. What is to be applied goes through an
//! unbuffered channel, as the seeds ask.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use bowline_kv::Time;
use bowline_raft::codec::{self, Header};
use bowline_raft::peer::{ApplyMsg, Effect, Peer, Persister, Save};
use bowline_raft::{Alarm, Body, Envelope, GroupId, Index, LogId, Message, Node, Term};
use bytes::Bytes;
use rand::rngs::StdRng;

use crate::channel::{OneshotSender, Receiver, Sender, oneshot, rendezvous};
use crate::clock::{Clock, Daytime};
use crate::executor::Sim;
use crate::labrpc::{ClientEnd, Incoming, Server};
use crate::random::{derive, stream, up_to};
use crate::watch::{Cause, Watch, node_id};

/// How often a server looks at its clock.
const TICK: Duration = Duration::from_millis(10);

/// The longest time that a save takes on a slow disk.
const SLOWEST_SAVE: Duration = Duration::from_millis(20);

/// The name under which pre-votes are counted.
pub const PRE_VOTE: &str = "PreVote";

/// How long a save takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskKind {
    /// No time: the persister of the seeds.
    Fast,
    /// From 0 to 20 ms, and a crash loses what had not finished.
    Slow,
}

impl fmt::Display for DiskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Slow => "slow",
        })
    }
}

/// What a server is made of, besides its peer.
#[derive(Debug)]
pub struct Parts {
    /// Its number, from 0.
    pub me: usize,
    /// Which life of the server this is: lives draw differently.
    pub life: u64,
    /// An end to each server, this one too.
    pub ends: Vec<ClientEnd>,
    /// What it starts with, and where it saves.
    pub persister: Rc<RefCell<Persister>>,
    /// How long a save takes.
    pub disk: DiskKind,
    /// The seed of the run.
    pub seed: u64,
    /// Who sees what it does.
    pub watch: Rc<RefCell<Watch>>,
}

/// What runs on a server: something that takes a peer's inputs and wants a peer's effects.
pub trait Seat: fmt::Debug + Sized + 'static {
    /// What its host keeps for it: who waits for what comes out.
    type Desk;

    /// The time is now `time`.
    fn tick(&mut self, time: Time);
    /// Server `from` asks, by a call that is answered under this number.
    fn request(&mut self, from: usize, call: u64, request: Message);
    /// One of its own calls has ended with a reply.
    fn reply(&mut self, call: u64, reply: Message);
    /// One of its own calls has ended without.
    fn failed(&mut self, call: u64);
    /// All saves up to this one are durable.
    fn saved(&mut self, seq: u64);
    /// What is to be done.
    fn effects(&mut self) -> Vec<Effect>;
    /// The node inside.
    fn node(&self) -> &Node;
    /// How many messages no correct peer would have sent.
    fn rejected(&self) -> u64;
    /// What an operator must hear of, since this was last asked.
    fn take_alarms(&mut self) -> Vec<Alarm>;

    /// Hands over what it wants applied.
    fn apply(&mut self, host: &Host<Self>, message: ApplyMsg);
    /// Hands over what else has come out of the last effects.
    fn passed(&mut self, host: &Host<Self>);
    /// It ends: nothing more is handed over.
    fn killed(&mut self, host: &Host<Self>);
}

/// A running server. Handles are cheap and mean the same server.
pub struct Host<S: Seat = Peer>(Rc<Inner<S>>);

struct Inner<S: Seat> {
    sim: Sim,
    me: usize,
    ends: Vec<ClientEnd>,
    persister: Rc<RefCell<Persister>>,
    disk: DiskKind,
    clock: Cell<Clock>,
    watch: Rc<RefCell<Watch>>,
    seat: RefCell<S>,
    is_killed: Cell<bool>,
    /// What waits until the disk has finished what it is busy with.
    saves: RefCell<Vec<Save>>,
    disk_is_busy: Cell<bool>,
    disk_random: RefCell<StdRng>,
    /// Requests that wait for their reply, by the number that the peer knows them by.
    open: RefCell<BTreeMap<u64, OneshotSender<Bytes>>>,
    requests: Cell<u64>,
    desk: S::Desk,
}

/// A peer's service, which takes what is to be applied.
#[derive(Debug)]
pub struct ApplyDesk {
    /// Committed, and not yet taken by the service.
    applies: RefCell<VecDeque<ApplyMsg>>,
    hands_over: Cell<bool>,
    /// None once it is killed.
    apply_channel: RefCell<Option<Sender<ApplyMsg>>>,
}

impl<S: Seat> Clone for Host<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Seat> fmt::Debug for Host<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.0.me)
    }
}

impl Parts {
    /// From what the election timeouts of this life are drawn.
    pub(crate) fn elections(&self) -> u64 {
        derive(derive(self.seed, "elections", self.me as u64), "life", self.life)
    }
}

impl Host<Peer> {
    /// Makes the peer from what its persister holds, and lets it run. The receiver is the seeds' apply channel.
    pub fn start(sim: &Sim, parts: Parts) -> (Self, Receiver<ApplyMsg>) {
        let peer = Peer::make(parts.ends.len(), parts.me, &parts.persister.borrow(), parts.elections());
        let peer = peer.expect("a persister holds what a peer has saved");
        let (apply_channel, applied) = rendezvous();
        let desk = ApplyDesk {
            applies: RefCell::default(),
            hands_over: Cell::new(false),
            apply_channel: RefCell::new(Some(apply_channel)),
        };
        (Self::run(sim, parts, peer, desk), applied)
    }

    /// Starts agreement on a command; the answer comes at once.
    pub fn submit(&self, command: Bytes) -> (Index, Term, bool) {
        self.pass(Cause::Own, |peer| peer.start(command))
    }

    /// The term, and whether the peer thinks that it leads.
    pub fn get_state(&self) -> (Term, bool) {
        self.0.seat.borrow().get_state()
    }

    /// The service has made a snapshot of all up to `index`.
    pub fn snapshot(&self, index: Index, snapshot: Bytes) {
        self.pass(Cause::Own, |peer| peer.snapshot(index, snapshot));
    }

    /// Gives the service what is committed, one after the other, each when it has taken the one before.
    async fn hand_over(self) {
        let desk = &self.0.desk;
        loop {
            let next = desk.applies.borrow_mut().pop_front();
            let Some(message) = next else { break };
            let offer = desk.apply_channel.borrow().as_ref().map(|channel| channel.send(message));
            let Some(offer) = offer else { break };
            if offer.await.is_err() {
                break;
            }
        }
        desk.hands_over.set(false);
    }
}

impl Seat for Peer {
    type Desk = ApplyDesk;

    fn tick(&mut self, time: Time) {
        self.tick(time.monotonic);
    }

    fn request(&mut self, from: usize, call: u64, request: Message) {
        self.request(from, call, request);
    }

    fn reply(&mut self, call: u64, reply: Message) {
        self.reply(call, reply);
    }

    fn failed(&mut self, call: u64) {
        self.failed(call);
    }

    fn saved(&mut self, seq: u64) {
        self.saved(seq);
    }

    fn effects(&mut self) -> Vec<Effect> {
        self.effects()
    }

    fn node(&self) -> &Node {
        self.node()
    }

    fn rejected(&self) -> u64 {
        self.rejected()
    }

    fn take_alarms(&mut self) -> Vec<Alarm> {
        self.take_alarms()
    }

    fn apply(&mut self, host: &Host<Self>, message: ApplyMsg) {
        match &message {
            ApplyMsg::Command { index, .. } => host.watch().borrow_mut().applied(self.node(), *index),
            ApplyMsg::Snapshot { index, term, .. } => {
                host.watch().borrow_mut().restored(self.node().id(), LogId::new(*term, *index));
            }
        }
        let desk = host.desk();
        desk.applies.borrow_mut().push_back(message);
        if !desk.hands_over.replace(true) {
            host.0.sim.spawn(host.clone().hand_over());
        }
    }

    fn passed(&mut self, _: &Host<Self>) {}

    fn killed(&mut self, host: &Host<Self>) {
        self.kill();
        host.desk().applies.borrow_mut().clear();
        host.desk().apply_channel.take();
    }
}

impl<S: Seat> Host<S> {
    /// Lets it run.
    pub(crate) fn run(sim: &Sim, parts: Parts, seat: S, desk: S::Desk) -> Self {
        let Parts { me, life, ends, persister, disk, seed, watch } = parts;
        watch.borrow_mut().started(seat.node());
        let host = Self(Rc::new(Inner {
            sim: sim.clone(),
            me,
            ends,
            persister,
            disk,
            clock: Cell::new(Clock::of(seed, me)),
            watch,
            seat: RefCell::new(seat),
            is_killed: Cell::new(false),
            saves: RefCell::default(),
            disk_is_busy: Cell::new(false),
            disk_random: RefCell::new(stream(seed, "disk", (me as u64) << 32 | life)),
            open: RefCell::default(),
            requests: Cell::new(0),
            desk,
        }));
        let first_tick = up_to(&mut stream(seed, "ticks", me as u64), TICK);
        sim.spawn(host.clone().ticks(first_tick));
        host
    }

    /// From now on it takes this for the time of day.
    pub fn set_daytime(&self, daytime: Daytime) {
        self.0.clock.set(self.0.clock.get().with(daytime));
    }

    /// What runs on it, to look at.
    pub fn look<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.0.seat.borrow())
    }

    pub(crate) fn desk(&self) -> &S::Desk {
        &self.0.desk
    }

    pub(crate) fn watch(&self) -> &RefCell<Watch> {
        &self.0.watch
    }

    /// What others find under the server's name.
    pub fn service(&self) -> Server {
        let host = self.clone();
        Server::new(move |incoming| Box::pin(host.clone().serve(incoming)))
    }

    /// Kills it: it neither says nor hands over anything more.
    pub fn kill(&self) {
        self.0.is_killed.set(true);
        self.0.seat.borrow_mut().killed(self);
    }

    async fn ticks(self, first: Duration) {
        self.0.sim.sleep(first).await;
        while !self.0.is_killed.get() {
            self.pass(Cause::Own, |_| ());
            self.0.sim.sleep(TICK).await;
        }
    }

    /// A request that has come in; the reply, as soon as there is one. A killed peer gives none, and the caller
    /// hears from the network that it is gone.
    pub(crate) async fn serve(self, incoming: Incoming) -> Bytes {
        let (header, request) = codec::decode(&incoming.args).expect("peers send messages");
        let from = usize::try_from(header.from.0 - 1).expect("a server's number");
        let call = self.0.requests.get();
        self.0.requests.set(call + 1);
        let (answer, answered) = oneshot();
        self.0.open.borrow_mut().insert(call, answer);
        self.pass(Cause::Request, |peer| peer.request(from, call, request));
        match answered.await {
            Some(reply) => reply,
            None => pending().await,
        }
    }

    /// One input, the time, and then all that is to be done.
    pub(crate) fn pass<T>(&self, cause: Cause, input: impl FnOnce(&mut S) -> T) -> T {
        let mut seat = self.0.seat.borrow_mut();
        let result = input(&mut seat);
        seat.tick(self.0.clock.get().at(self.0.sim.now()));
        while !self.0.is_killed.get() {
            let effects = seat.effects();
            let save = effects.iter().find_map(|effect| match effect {
                Effect::Save(save) => Some(save),
                _ => None,
            });
            self.0.watch.borrow_mut().stepped(seat.node(), save);
            let alarms = seat.take_alarms();
            self.0.watch.borrow_mut().complains(seat.node().id(), seat.rejected(), &alarms);
            seat.passed(self);
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                self.carry_out(&mut seat, effect, cause);
            }
        }
        result
    }

    fn carry_out(&self, seat: &mut S, effect: Effect, cause: Cause) {
        match effect {
            Effect::Save(save) => self.save(seat, save),
            Effect::Call { call, to, request } => {
                let method = method(&request);
                let args = self.send(to, request, cause);
                self.0.sim.spawn(self.clone().call(call, to, method, args));
            }
            Effect::Reply { call, to, reply } => {
                let bytes = self.send(to, reply, cause);
                let open = self.0.open.borrow_mut().remove(&call);
                open.expect("a request is answered once").send(bytes);
            }
            Effect::Apply(message) => seat.apply(self, message),
        }
    }

    fn send(&self, to: usize, message: Message, cause: Cause) -> Bytes {
        let (from, to) = (node_id(self.0.me), node_id(to));
        let envelope = Envelope { to, message };
        self.0.watch.borrow_mut().sent(from, &envelope, cause);
        let mut bytes = Vec::new();
        let header = Header { cluster: 0, group: GroupId::FIRST_DATA, from, to };
        codec::encode(header, &envelope.message, &mut bytes);
        bytes.into()
    }

    async fn call(self, call: u64, to: usize, method: &'static str, args: Bytes) {
        match self.0.ends[to].call(method, args).await {
            Some(bytes) => {
                let (_, reply) = codec::decode(&bytes).expect("peers answer with messages");
                self.pass(Cause::Answer, |peer| peer.reply(call, reply));
            }
            None => self.pass(Cause::Answer, |peer| peer.failed(call)),
        }
    }

    fn save(&self, seat: &mut S, save: Save) {
        match self.0.disk {
            DiskKind::Fast => {
                self.0.watch.borrow_mut().saving(node_id(self.0.me), std::slice::from_ref(&save));
                self.finish(seat, &save);
            }
            DiskKind::Slow => {
                self.0.saves.borrow_mut().push(save);
                if !self.0.disk_is_busy.replace(true) {
                    self.0.sim.spawn(self.clone().slow_saves());
                }
            }
        }
    }

    /// One save after the other; those that came while the disk was busy go together, and of them only the last
    /// is still worth its bytes.
    async fn slow_saves(self) {
        loop {
            let saves = std::mem::take(&mut *self.0.saves.borrow_mut());
            let Some(last) = saves.last() else { break };
            self.0.watch.borrow_mut().saving(node_id(self.0.me), &saves);
            let time = up_to(&mut self.0.disk_random.borrow_mut(), SLOWEST_SAVE);
            self.0.sim.sleep(time).await;
            if self.0.is_killed.get() {
                return;
            }
            self.pass(Cause::Own, |peer| self.finish(peer, last));
        }
        self.0.disk_is_busy.set(false);
    }

    fn finish(&self, seat: &mut S, save: &Save) {
        self.0.persister.borrow_mut().save(save.state.clone(), save.snapshot.clone());
        self.0.watch.borrow_mut().saved(node_id(self.0.me));
        seat.saved(save.seq);
    }
}

/// Under what name a request is counted.
fn method(request: &Message) -> &'static str {
    match request.body {
        Body::PreVote { .. } => PRE_VOTE,
        Body::RequestVote { .. } => "RequestVote",
        Body::InstallSnapshot(_) => "InstallSnapshot",
        _ => "AppendEntries",
    }
}
