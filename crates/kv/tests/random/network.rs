//! What travels between the nodes: Raft's messages each for itself, clients' commands and their
//! answers in streams.

use bowline_raft::{Body, Message, NodeId};
use bytes::Bytes;
use rand::RngExt;

use crate::cluster::{Cluster, MS};
use crate::event::Event;
use crate::streams::StreamId;

impl Cluster {
    pub(crate) fn send_message(&mut self, from: u64, to: u64, message: &Message) {
        let copies = if self.rng.random_bool(self.weather.repeat) { 2 } else { 1 };
        self.tally.messages_repeated += copies - 1;
        // A snapshot is long, and lost with any piece of it.
        let pieces = if matches!(message.body, Body::InstallSnapshot(_)) { 4.0 } else { 1.0 };
        for _ in 0..copies {
            if self.blocked.contains(&(from, to)) || self.rng.random_bool(pieces * self.weather.lose) {
                self.tally.messages_lost += 1;
                self.lost(from, to, message);
                continue;
            }
            let delay = self.delay();
            let sent = self.queue.order;
            self.push(delay, Event::Raft { from, to, sent, message: message.clone() });
        }
    }

    /// That a snapshot did not arrive may be noticed.
    fn lost(&mut self, from: u64, to: u64, message: &Message) {
        if let Body::InstallSnapshot(install) = &message.body
            && self.rng.random_bool(0.5)
        {
            self.tally.snapshots_failed += 1;
            let (life, round) = (self.members[&from].life, install.round);
            let notices = self.rng.random_range(0..200 * MS);
            self.push(notices, Event::Failed { from, life, to, round });
        }
    }

    fn delay(&mut self) -> u64 {
        let usual = self.rng.random_range(20..=self.weather.usual_delay);
        if self.rng.random_bool(self.weather.late) {
            usual + self.rng.random_range(0..200 * MS)
        } else {
            usual
        }
    }

    pub(crate) fn send_frame(&mut self, stream: Option<StreamId>, is_forward: bool, bytes: Bytes) {
        let delay = self.delay();
        let Some(id) = stream else { return self.tally.frames_lost += 1 };
        let stream = self.streams.get(id);
        if stream.is_broken {
            self.tally.frames_lost += 1;
        } else if is_forward {
            stream.forwards.push_back(bytes);
            self.push(delay, Event::Forward { stream: id });
        } else {
            stream.answers.push_back(bytes);
            self.push(delay, Event::Answers { stream: id });
        }
    }

    /// What is under way still arrives as long as a connection lasts. What has got to the other
    /// machine when it breaks is read there, whenever that may be.
    pub(crate) fn deliver_forward(&mut self, id: StreamId) {
        let now = self.now;
        let stream = self.streams.get(id);
        let (from, to) = (stream.dialler, stream.acceptor);
        if now < stream.held_until {
            let delay = stream.held_until - now;
            return self.push(delay, Event::Forward { stream: id });
        }
        if !stream.is_broken && self.blocked.contains(&(from, to)) {
            return self.push(20 * MS, Event::Forward { stream: id });
        }
        let Some(bytes) = stream.forwards.pop_front() else { return };
        let (from_life, to_life) = (stream.dialler_life, stream.acceptor_life);
        if self.members[&to].life != to_life {
            return self.tally.frames_lost += 1;
        }
        self.tally.frames_late += u64::from(self.streams.accepted(to, from) != Some(id));
        self.tally.frames_of_earlier_lives += u64::from(self.members[&from].life != from_life);
        let replica = self.member(to).replica.as_mut().expect("it is up");
        replica.forwarded(NodeId(from), &bytes).expect("what a correct peer sent");
        self.ring(to);
    }

    pub(crate) fn deliver_answers(&mut self, id: StreamId) {
        let stream = self.streams.get(id);
        let (by, to, life) = (stream.acceptor, stream.dialler, stream.dialler_life);
        if !stream.is_broken && self.blocked.contains(&(by, to)) {
            return self.push(20 * MS, Event::Answers { stream: id });
        }
        let Some(bytes) = stream.answers.pop_front() else { return };
        // Whoever has hung up reads no more.
        if self.members[&to].life != life || self.streams.dialled(to, by) != Some(id) {
            return self.tally.frames_lost += 1;
        }
        let replica = self.member(to).replica.as_mut().expect("it is up");
        replica.forward_answers(&bytes).expect("what a correct peer sent");
        self.ring(to);
    }

    pub(crate) fn dial(&mut self, from: u64, life: u64, to: u64) {
        if self.members[&from].life != life || self.streams.dialled(from, to).is_some() {
            return;
        }
        let other = &self.members[&to];
        let is_there = other.replica.is_some() && other.paused_since.is_none();
        if !is_there || self.blocked.contains(&(from, to)) || self.blocked.contains(&(to, from)) {
            return self.push(10 * MS, Event::Dial { from, life, to });
        }
        let other_life = other.life;
        self.streams.connect((from, life), (to, other_life));
        self.tell(|| format!("a connection {from} -> {to} is made"));
        self.member(from).replica.as_mut().expect("it is up").link_up(NodeId(to));
        self.ring(from);
    }

    pub(crate) fn hang_up(&mut self, id: StreamId) {
        let stream = self.streams.get(id);
        let (from, to, life) = (stream.dialler, stream.acceptor, stream.dialler_life);
        self.streams.hang_up(id);
        let pause = self.rng.random_range(MS..50 * MS);
        self.push(pause, Event::Dial { from, life, to });
    }

    pub(crate) fn break_stream(&mut self, id: StreamId) {
        let now = self.now;
        let stream = self.streams.get(id);
        if std::mem::replace(&mut stream.is_broken, true) {
            return;
        }
        let (from, to) = (stream.dialler, stream.acceptor);
        let forwards = self.rng.random_range(0..=stream.forwards.len());
        let answers = self.rng.random_range(0..=stream.answers.len());
        let lost = stream.forwards.len() - forwards + stream.answers.len() - answers;
        stream.forwards.truncate(forwards);
        stream.answers.truncate(answers);
        if self.rng.random_bool(0.6) {
            let longest = if self.rng.random_bool(0.5) { 20 * MS } else { 1500 * MS };
            stream.held_until = now + self.rng.random_range(0..longest);
        }
        self.tally.streams_broken += 1;
        self.tally.frames_lost += lost as u64;
        let notices = if self.rng.random_bool(0.5) { 0 } else { self.rng.random_range(0..300 * MS) };
        self.push(notices, Event::HangUp { stream: id });
        self.tell(|| format!("the connection {from} -> {to} breaks with {forwards} frames under way"));
    }
}
