//! One replica: the consensus node, the store, the records of what was done, and whoever waits.
//!
//! Pure, as its parts are. The shell feeds it and carries out what [`Replica::ready`] hands back:
//!
//! ```text
//! submit(client, command) ─┐                       ┌─ answers   to this node's clients
//! serve_here(token, ...)  ─┤                       ├─ served    to who may not be forwarded
//! message(from, ...)      ─┤   ┌───────────────┐   ├─ messages  between the members' raft nodes
//! forwarded, forward_answers ─▶│    Replica    │──▶├─ forwards  clients' commands, to the leader
//! persisted(seq)          ─┤   └───────────────┘   ├─ replies   to what others forwarded
//! tick(time)              ─┤                       ├─ write     for the disk
//! restore(image)          ─┘                       └─ restore   a snapshot whose image is wanted
//! ```
//!
//! A command's way: `contact` numbers it and sends it to the leader; there
//! `serving` puts it into the entry of this pass, which is proposed; once committed it is applied on
//! each replica, here, and the answer goes back the same way. A read's way: it waits at the leader
//! for a confirmation that this is still the leader, and for the state to be as new as that.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bowline_raft::{self as raft, Entry, EntryKind, HardState, Index, LogId, Node, NodeId, Reject};
use bytes::Bytes;

use crate::clock::Clocks;
use crate::codec::DecodeError;
use crate::command::Command;
use crate::contact::{Answer, ClientId, Contact, Target};
use crate::digest::Digest;
use crate::direct::{Direct, Served};
use crate::entry::{FLOOR_ONLY, Request};
use crate::forward::{Answers, Forward, Forwarded, Outcome, Path};
use crate::image::Image;
use crate::outgoing::{ForwardedAnswer, Outgoing};
use crate::reply::Reply;
use crate::serving::{ServedRead, Serving};
use crate::session::{Origin, Sessions, Verdict};
use crate::slot::Slots;
use crate::store::Store;
use entries::{requests, stamp_ms};

/// The answer to a command that was not executed since its node's records are too large.
const CROWDED: Reply = Reply::error_text(
    "CROWDED too many large replies of this node are on their way to its clients; the command was certainly not executed",
);

/// How many keys and fields of those that were removed are freed in one pass.
const GARBAGE_PER_PASS: usize = 1000;

/// What a replica is made with.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// The consensus settings.
    pub raft: raft::Config,
    /// The number of this node's start: durable before this replica is made, and never used before.
    pub life: u64,
    /// How long a command is held without an answer before it is given up: longer than an election.
    pub command_timeout: Duration,
}

/// Clock readings, of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Since any fixed beginning; never goes back.
    pub monotonic: Duration,
    /// Since 1970, in milliseconds. May jump.
    pub unix_ms: u64,
}

/// What came out of the inputs since the last one; see [`raft::Ready`].
#[derive(Debug, Default)]
#[must_use = "what is not carried out is lost"]
pub struct Output {
    /// To the other members' nodes.
    pub messages: Vec<raft::Envelope>,
    /// For this node's disk.
    pub write: Option<raft::Write>,
    /// A snapshot whose image is to take the place of this replica's state: see [`Replica::restore`].
    pub restore: Option<raft::Restore>,
    /// For this node's clients.
    pub answers: Vec<Answer>,
    /// Answers to [`Replica::serve_here`], with their tokens.
    pub served: Vec<(u64, Served)>,
    /// Clients' commands, for the node that leads; see [`Replica::forwarded`].
    pub forwards: Vec<(NodeId, Vec<u8>)>,
    /// Answers to what other nodes forwarded; see [`Replica::forward_answers`].
    pub replies: Vec<(NodeId, Vec<u8>)>,
    /// Role, term or leader, if any of them changed.
    pub role: Option<raft::RoleChange>,
    /// What an operator must hear of.
    pub alarms: Vec<raft::Alarm>,
    /// There is more to do at once, whether or not anything arrives.
    pub again: bool,
}

pub use entries::check_entries;
pub use status::Status;

/// See the module's own page.
pub struct Replica {
    node: Node,
    store: Store,
    sessions: Sessions,
    contact: Contact,
    serving: Serving,
    direct: Direct,
    origin: Origin,
    clocks: Clocks,
    /// The monotonic clock.
    now: Duration,
    /// When this node last proposed an entry for its time alone.
    time_proposed: Duration,
    /// The entry that was carried out last.
    applied: LogId,
    /// The latest stamp that was applied, in milliseconds since 1970.
    applied_stamp_ms: u64,
    /// The end of the snapshot whose image is to take the place of the state. Until then nothing is applied.
    awaited: Option<LogId>,
    /// Committed, and not applied yet.
    committed: VecDeque<Entry>,
    /// For each other node how often its connection for forwards was made.
    links: BTreeMap<NodeId, u64>,
    outgoing: Outgoing,
    duplicates: u64,
}

impl Replica {
    /// A replica with what its disk holds: the image in its snapshot, if there is one, and the entries behind
    /// that; see [`Node::new`].
    pub fn new(
        config: ReplicaConfig,
        hard_state: HardState,
        image: Option<Image>,
        entries: Vec<Entry>,
    ) -> Self {
        let origin = Origin { node: config.raft.id.0, life: config.life };
        let image = image.unwrap_or_else(|| Image::empty(config.raft.seed));
        let Image { last: applied, stamp_ms: applied_stamp_ms, mut store, sessions } = image;
        store.index_expiries();
        let clocks = Clocks::new(config.raft.voters.len(), applied_stamp_ms);
        Self {
            node: Node::new(config.raft, hard_state, applied, entries),
            store,
            sessions,
            contact: Contact::new(config.command_timeout),
            serving: Serving::default(),
            direct: Direct::default(),
            origin,
            clocks,
            now: Duration::ZERO,
            time_proposed: Duration::ZERO,
            applied,
            applied_stamp_ms,
            awaited: None,
            committed: VecDeque::new(),
            links: BTreeMap::new(),
            outgoing: Outgoing::default(),
            duplicates: 0,
        }
    }

    /// A command of a client of this node. There will be one [`Answer`] with this token, unless
    /// the client is [forgotten](Self::forget) before.
    pub fn submit(&mut self, client: ClientId, token: u64, command: &Command<'_>) {
        self.contact.submit(client, token, &self.drawn(command, client.0, token));
    }

    /// The command with what is left to chance in it drawn. None of this life of the node has the same `client` and
    /// `number`.
    fn drawn<'c, 'a>(&self, command: &'c Command<'a>, client: u64, number: u64) -> Cow<'c, Command<'a>> {
        if !command.has_draw() {
            return Cow::Borrowed(command);
        }
        let Origin { node, life } = self.origin;
        let mut drawn = command.clone();
        drawn.draw(Digest::new(7).word(node).word(life).word(client).word(number).finish());
        Cow::Owned(drawn)
    }

    /// Whether clients should go on sending. Commands that come all the same are taken.
    pub fn has_room(&self) -> bool {
        self.contact.has_room()
    }

    /// The client has gone and wants no answers.
    pub fn forget(&mut self, client: ClientId) {
        self.contact.forget(client);
    }

    /// A message from another member's node.
    ///
    /// # Errors
    ///
    /// [`Reject`] when no correct peer would have sent it.
    pub fn message(&mut self, from: NodeId, message: raft::Message) -> Result<(), Reject> {
        let (term, clock_ms) = (message.term, told_clock(&message));
        self.node.step(from, message)?;
        self.clocks.heard(from, term, clock_ms);
        Ok(())
    }

    /// What was written up to this number is on disk.
    pub fn persisted(&mut self, seq: u64) {
        self.node.persisted(seq);
    }

    /// A new connection for forwards to that node: what an earlier one carried may be lost.
    pub fn link_up(&mut self, to: NodeId) {
        *self.links.entry(to).or_default() += 1;
    }

    /// Commands of another node's clients. Passed over unless this node leads in the term that
    /// they are meant for; the sender learns of the next leader, and sends them again. Passed over
    /// as well if a later connection or life of that node has brought something already.
    ///
    /// # Errors
    ///
    /// If the bytes are malformed; what stood in front of that has been taken.
    pub fn forwarded(&mut self, from: NodeId, bytes: &Bytes) -> Result<(), DecodeError> {
        let mut forward = Forward::decode(bytes)?;
        let header = forward.header;
        self.follow_leadership();
        let origin = Origin { node: from.0, life: header.life };
        let is_taken = self.serving.takes_from(origin, header.link, header.term);
        if is_taken && forward.is_empty() {
            self.serve_floor(origin, header.floor);
        }
        while let Some(Forwarded { path, number, command }) = forward.next_request()? {
            // What does not decode here must not get into the log.
            let decoded = Command::decode(command)?;
            if path == Path::Read && decoded.is_write() {
                return Err(DecodeError::UnknownFlags(1));
            }
            if is_taken {
                self.serve(origin, header.floor, path, number, bytes.slice_ref(command));
            }
        }
        Ok(())
    }

    /// Answers to what this node forwarded.
    ///
    /// # Errors
    ///
    /// If the bytes are malformed; what stood in front of that has been taken.
    pub fn forward_answers(&mut self, bytes: &Bytes) -> Result<(), DecodeError> {
        let mut answers = Answers::decode(bytes)?;
        if answers.life != self.origin.life {
            return Ok(());
        }
        while let Some((path, number, outcome)) = answers.next_answer()? {
            self.contact.answered(path, number, outcome);
        }
        Ok(())
    }

    /// Whether answers to that node are to be kept back, since it does not take those that are under way. A few
    /// bytes may ask for many large values: they are put into form only as fast as they can be sent.
    pub fn hold_answers(&mut self, to: NodeId, hold: bool) {
        self.outgoing.hold(to, hold);
    }

    /// It is now `time`; whatever was given before is older.
    pub fn tick(&mut self, time: Time) {
        self.now = time.monotonic;
        self.clocks.tick(time.monotonic, time.unix_ms);
        self.node.set_clock(time.unix_ms);
        self.node.tick(time.monotonic);
        self.contact.tick(time.monotonic);
    }

    /// What is to be done now.
    pub fn ready(&mut self) -> Output {
        self.follow_leadership();
        let forwards = self.send_to_leader();
        self.propose();
        let ready = self.node.ready();
        if let Some(restore) = &ready.restore {
            self.await_image(restore.last);
        }
        self.committed.extend(ready.committed);
        self.apply_committed();
        for grant in ready.reads {
            self.serving.granted(grant);
        }
        let reads_left = self.serve_reads();
        let replies = self.outgoing.put();
        let garbage_left = self.store.collect_garbage(GARBAGE_PER_PASS);
        Output {
            messages: ready.messages,
            write: ready.write,
            restore: ready.restore,
            answers: self.contact.take_answers(),
            served: std::mem::take(&mut self.direct.served),
            forwards,
            replies,
            role: ready.role,
            alarms: ready.alarms,
            again: garbage_left
                || reads_left
                || self.outgoing.has_more()
                || self.contact.has_unsent()
                || self.node.has_more_to_apply()
                || self.can_apply()
                || self.time_is_wanted(),
        }
    }

    fn follow_leadership(&mut self) {
        self.serving.follow(&self.node);
        self.direct.follow(self.serving.term());
    }

    /// Sends this node's clients' commands where they are served: to another node, or to itself.
    fn send_to_leader(&mut self) -> Vec<(NodeId, Vec<u8>)> {
        let term = self.node.term();
        let target = self.node.leader().map(|leader| {
            let link = self.links.get(&leader).copied().unwrap_or(0);
            Target { leader, term, link }
        });
        // Commands for a node to which there never was a connection wait for one.
        let target = target.filter(|t| t.link > 0 || t.leader == self.node.id());
        self.contact.retarget(target);
        let tells_floor = self.sessions.holds_any(self.origin.node) && self.contact.should_tell_floor();
        match target {
            None => Vec::new(),
            Some(target) if target.leader == self.node.id() => {
                let (origin, floor) = (self.origin, self.contact.floor());
                for (path, number, command) in self.contact.take_unsent() {
                    self.serve(origin, floor, path, number, command);
                }
                if tells_floor {
                    self.serve_floor(origin, floor);
                }
                Vec::new()
            }
            Some(target) => {
                let mut messages = self.contact.forward_unsent(target, self.origin.life);
                if tells_floor {
                    messages.push(self.contact.forward_floor(target, self.origin.life));
                }
                messages.into_iter().map(|message| (target.leader, message)).collect()
            }
        }
    }

    /// Takes a request on, as the leader.
    fn serve(&mut self, origin: Origin, floor: u64, path: Path, number: u64, command: Bytes) {
        match path {
            Path::Log => {
                let request = Request { origin, floor, number, command: &command };
                self.serving.take_command(&request);
            }
            Path::Read => self.serving.take_read(ServedRead { origin, number, command }),
        }
    }

    /// Takes on, as the leader, that an origin has finished everything below its floor. Its records
    /// are forgotten by that though it has nothing else to say: a node that no client uses any more,
    /// or that was started again, would leave them to everybody for ever.
    fn serve_floor(&mut self, origin: Origin, floor: u64) {
        let request = Request { origin, floor, number: FLOOR_ONLY, command: &[] };
        self.serving.take_command(&request);
    }

    /// The leader's time, for the next entry, once it is known. It never goes back behind what was applied.
    fn stamp_ms(&self) -> Option<u64> {
        self.clocks.median(self.node.term()).map(|median_ms| median_ms.max(self.applied_stamp_ms))
    }

    fn propose(&mut self) {
        if !self.serving.leads() {
            return;
        }
        self.serving.ask(&mut self.node);
        let Some(stamp_ms) = self.stamp_ms() else { return };
        if self.wants_time(stamp_ms) && self.serving.take_time() {
            self.time_proposed = self.now;
        }
        for payload in self.serving.propose(&mut self.node, stamp_ms) {
            for request in requests(&payload) {
                self.answer(request.origin, Path::Log, request.number, Outcome::LogFull);
            }
        }
    }

    /// Whether there is something to be applied now.
    fn can_apply(&self) -> bool {
        self.awaited.is_none() && !self.committed.is_empty()
    }

    /// Applies what has been committed, as much as one pass may. There is no more than that, unless an image
    /// was waited for.
    fn apply_committed(&mut self) {
        let mut budget = self.node.config().max_apply_bytes;
        while budget > 0 && self.can_apply() {
            let entry = self.committed.pop_front().expect("there is something to be applied");
            budget = budget.saturating_sub(entry.weight());
            self.apply(&entry);
        }
        self.node.applied(self.applied.index);
    }

    /// Carries out a committed entry, as every replica does.
    fn apply(&mut self, entry: &Entry) {
        self.applied = entry.id;
        match entry.kind {
            EntryKind::Empty => return,
            EntryKind::Command => {}
            EntryKind::Configuration => {
                panic!("entry {} changes the membership, which this version cannot", entry.id)
            }
        }
        self.applied_stamp_ms = self.applied_stamp_ms.max(stamp_ms(&entry.payload));
        self.clocks.applied(self.applied_stamp_ms);
        self.store.begin_entry(self.applied_stamp_ms, entry.id.index, entry.payload.len());
        self.sessions.once.expire(self.applied_stamp_ms);
        for request in requests(&entry.payload) {
            if request.origin == Origin::NONE {
                let reply = self.execute(entry.id.index, request.command).1;
                if self.direct.leads_in(entry.id.term) {
                    self.direct.answered(request.number, Outcome::Done(reply));
                }
                continue;
            }
            self.sessions.begin(request.origin, request.floor);
            if request.number == FLOOR_ONLY {
                continue;
            }
            let reply = match self.sessions.check(request.origin, request.number) {
                Verdict::Fresh => {
                    let (slots, reply) = self.execute(entry.id.index, request.command);
                    self.sessions.complete(request.origin, request.number, reply.clone(), slots);
                    reply
                }
                Verdict::Done(reply) => {
                    self.duplicates += 1;
                    reply.clone()
                }
                Verdict::Crowded => {
                    self.sessions.complete(request.origin, request.number, CROWDED, Slots::All);
                    CROWDED
                }
                // Given up, or of an earlier life: nobody waits for it.
                Verdict::Refused => continue,
            };
            self.answer(request.origin, Path::Log, request.number, Outcome::Done(reply));
        }
    }

    fn execute(&mut self, index: Index, command: &[u8]) -> (Slots, Reply) {
        let command = Command::decode(command).expect("a command was checked before it was proposed");
        (Slots::of(&command), self.carry_out(&command, index))
    }

    /// Tells the origin: a client of this node at once, another node if this one leads.
    fn answer(&mut self, origin: Origin, path: Path, number: u64, outcome: Outcome) {
        if origin == Origin::NONE {
            self.direct.answered(number, outcome);
        } else if origin == self.origin {
            self.contact.answered(path, number, outcome);
        } else if origin.node != self.origin.node && self.serving.leads() {
            self.outgoing
                .push(NodeId(origin.node), ForwardedAnswer { life: origin.life, path, number, outcome });
        }
    }

    /// The consensus node, to look at.
    pub fn node(&self) -> &Node {
        &self.node
    }
}

/// The reading of the sender's clock that comes with an answer; 0 in anything else.
fn told_clock(message: &raft::Message) -> u64 {
    match &message.body {
        raft::Body::AppendReply(reply) => reply.clock_ms,
        _ => 0,
    }
}

mod entries;
mod expiry;
mod sessions;
mod snapshots;
mod status;

#[cfg(test)]
mod tests;
