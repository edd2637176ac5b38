//! A trace made by hand, as a run of five servers would leave it: a split vote, a replication, a leader that is cut
//! off with entries of its own, a crash, and a log that is repaired.

use std::time::Duration;

use bowline_sim::trace::{Fate, MarkKind, MessageKind, Trace};

use MessageKind::{AppendEntries, AppendReply, Heartbeat, HeartbeatReply, RequestVote, VoteReply};

const MARKS: [MarkKind; 12] = [
    MarkKind::Start,
    MarkKind::Crash,
    MarkKind::Connected,
    MarkKind::Disconnected,
    MarkKind::Term,
    MarkKind::Candidate,
    MarkKind::Leader,
    MarkKind::Follower,
    MarkKind::Command,
    MarkKind::Truncated,
    MarkKind::Commit,
    MarkKind::Applied,
];

/// Writes the story down; messages take 2 to 6 ms.
pub(crate) struct Story {
    pub(crate) trace: Trace,
    random: u64,
}

pub(crate) fn ms(ms: f64) -> Duration {
    Duration::from_micros(Duration::from_secs_f64(ms / 1000.0).as_micros().try_into().expect("a short time"))
}

impl Story {
    pub(crate) fn new(servers: usize) -> Self {
        let trace = Trace::new((0..servers).map(|server| format!("S{server}")));
        Self { trace, random: 7 }
    }

    /// 31 bits that look like chance.
    fn draw(&mut self) -> u32 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.random >> 33).expect("31 bits")
    }

    fn delay(&mut self) -> f64 {
        2.0 + f64::from(self.draw() % 4000) / 1000.0
    }

    fn mark(&mut self, at: f64, lane: usize, kind: MarkKind, label: &str) {
        self.trace.mark(ms(at), lane, kind, label);
    }

    /// A message that arrives; when.
    fn carry(&mut self, at: f64, from: usize, to: usize, kind: MessageKind, label: &str) -> f64 {
        let end = at + self.delay();
        let id = self.trace.send(ms(at), from, to, kind, label);
        self.trace.end(id, ms(end), Fate::Arrived);
        end
    }

    fn lose(&mut self, at: f64, from: usize, to: usize, kind: MessageKind, label: &str) {
        let end = at + self.delay();
        let id = self.trace.send(ms(at), from, to, kind, label);
        self.trace.end(id, ms(end), Fate::Lost);
    }

    /// A request and its reply; when the reply is there.
    fn call(&mut self, at: f64, ends: (usize, usize), kind: MessageKind, ask: &str, answer: &str) -> f64 {
        let reply = match kind {
            RequestVote => VoteReply,
            AppendEntries => AppendReply,
            _ => HeartbeatReply,
        };
        let there = self.carry(at, ends.0, ends.1, kind, ask);
        self.carry(there, ends.1, ends.0, reply, answer)
    }

    fn heartbeats(&mut self, at: f64, leader: usize, reached: &[usize], term: u64) {
        for server in (0..self.trace.lanes().len()).filter(|server| *server != leader) {
            let label = format!("Heartbeat t{term}");
            if reached.contains(&server) {
                self.call(at, (leader, server), Heartbeat, &label, "ok");
            } else {
                self.lose(at, leader, server, Heartbeat, &label);
            }
        }
    }

    fn stands(&mut self, at: f64, candidate: usize, term: u64) {
        self.mark(at, candidate, MarkKind::Term, &format!("t{term}"));
        self.mark(at, candidate, MarkKind::Candidate, &format!("candidate t{term}"));
    }

    fn split_vote(&mut self) {
        self.stands(252.4, 0, 1);
        self.stands(254.1, 3, 1);
        for (candidate, at, voter) in [(0, 252.4, 1), (0, 252.4, 2), (3, 254.1, 4)] {
            let there = self.carry(at, candidate, voter, RequestVote, "Vote? t1 last 0");
            self.mark(there, voter, MarkKind::Term, "t1");
            self.carry(there, voter, candidate, VoteReply, "yes t1");
        }
        self.call(252.4, (0, 3), RequestVote, "Vote? t1 last 0", "no t1");
        self.call(254.1, (3, 2), RequestVote, "Vote? t1 last 0", "no t1");
        self.lose(252.4, 0, 4, RequestVote, "Vote? t1 last 0");
        self.lose(254.1, 3, 0, RequestVote, "Vote? t1 last 0");
        self.lose(254.1, 3, 1, RequestVote, "Vote? t1 last 0");
    }

    fn second_election(&mut self) {
        self.stands(611.7, 3, 2);
        let mut votes = Vec::new();
        for voter in [0, 1, 2, 4] {
            let there = self.carry(611.7, 3, voter, RequestVote, "Vote? t2 last 0");
            self.mark(there, voter, MarkKind::Term, "t2");
            if voter == 0 {
                self.mark(there, 0, MarkKind::Follower, "steps down");
            }
            votes.push(self.carry(there, voter, 3, VoteReply, "yes t2"));
        }
        votes.sort_by(f64::total_cmp);
        self.mark(votes[1], 3, MarkKind::Leader, "leader t2");
        self.heartbeats(votes[1], 3, &[0, 1, 2, 4], 2);
        self.heartbeats(votes[1] + 110.0, 3, &[0, 1, 2, 4], 2);
    }

    /// An entry to some; the second acknowledgement commits it.
    fn replicate(&mut self, at: f64, leader: usize, to: &[usize], label: &str, index: u64) {
        let mut acknowledged = Vec::new();
        for server in to {
            let answer = format!("ok match {index}");
            acknowledged.push(self.call(at, (leader, *server), AppendEntries, label, &answer));
        }
        acknowledged.sort_by(f64::total_cmp);
        self.mark(acknowledged[1], leader, MarkKind::Commit, &format!("commit {index}"));
        self.mark(acknowledged[1], leader, MarkKind::Applied, &format!("applied {index}"));
        for server in to {
            let label = format!("Heartbeat c{index}");
            let there = self.carry(acknowledged[1] + 3.0, leader, *server, Heartbeat, &label);
            self.mark(there, *server, MarkKind::Commit, &format!("commit {index}"));
            self.mark(there, *server, MarkKind::Applied, &format!("applied {index}"));
        }
    }

    fn first_command(&mut self) {
        self.trace.note(ms(760.0), "one(\"x = 1\"): a command to the leader, expected on all five");
        self.mark(760.0, 3, MarkKind::Command, "1: x = 1");
        self.replicate(760.0, 3, &[0, 1, 2, 4], "Append t2 1..1 c0", 1);
    }

    fn cut_off(&mut self) {
        self.trace
            .note(ms(820.0), "disconnect(S3): the leader is alone, and takes two commands that nobody sees");
        self.mark(820.0, 3, MarkKind::Disconnected, "disconnected");
        self.mark(824.0, 3, MarkKind::Command, "2: x = 2");
        self.mark(831.0, 3, MarkKind::Command, "3: x = 3");
        for server in [0, 1, 2, 4] {
            self.lose(824.0, 3, server, AppendEntries, "Append t2 2..2 c1");
        }
        self.heartbeats(934.0, 3, &[], 2);
    }

    fn third_election(&mut self) {
        self.stands(1180.2, 1, 3);
        let mut votes = Vec::new();
        for voter in [0, 2, 4] {
            let there = self.carry(1180.2, 1, voter, RequestVote, "Vote? t3 last 1");
            self.mark(there, voter, MarkKind::Term, "t3");
            votes.push(self.carry(there, voter, 1, VoteReply, "yes t3"));
        }
        self.lose(1180.2, 1, 3, RequestVote, "Vote? t3 last 1");
        votes.sort_by(f64::total_cmp);
        self.mark(votes[1], 1, MarkKind::Leader, "leader t3");
        self.heartbeats(votes[1], 1, &[0, 2, 4], 3);
        self.trace.note(ms(1230.0), "one(\"y = 7\"): the new leader, with three of five");
        self.mark(1230.0, 1, MarkKind::Command, "2: y = 7");
        self.replicate(1230.0, 1, &[0, 2, 4], "Append t3 2..2 c1", 2);
        self.lose(1230.0, 1, 3, AppendEntries, "Append t3 2..2 c1");
        self.trace.note(ms(1270.0), "crash1(S4)");
        self.mark(1270.0, 4, MarkKind::Crash, "crash");
        self.heartbeats(1310.0, 1, &[0, 2], 3);
    }

    fn repair(&mut self) {
        self.trace
            .note(ms(1350.0), "connect(S3): the old leader is back, with entries that were never committed");
        self.mark(1350.0, 3, MarkKind::Connected, "connected");
        let there = self.carry(1420.0, 1, 3, AppendEntries, "Append t3 3..2 c2");
        self.mark(there, 3, MarkKind::Term, "t3");
        self.mark(there, 3, MarkKind::Follower, "steps down");
        let refused = self.carry(there, 3, 1, AppendReply, "conflict at 2 of t2");
        let there = self.carry(refused, 1, 3, AppendEntries, "Append t3 2..2 c2");
        self.mark(there, 3, MarkKind::Truncated, "drops 2..3");
        self.mark(there, 3, MarkKind::Commit, "commit 2");
        self.mark(there, 3, MarkKind::Applied, "applied 2");
        self.carry(there, 3, 1, AppendReply, "ok match 2");
        self.trace.note(ms(1500.0), "start1(S4), connect(S4)");
        self.mark(1500.0, 4, MarkKind::Start, "start");
        self.heartbeats(1530.0, 1, &[0, 2, 3, 4], 3);
        self.trace.send(ms(1640.0), 1, 0, Heartbeat, "Heartbeat t3");
        self.trace.send(ms(1640.0), 1, 4, AppendEntries, "Append t3 1..2 c2");
    }

    /// Steady work: commands and heartbeats, while one server is out of reach.
    pub(crate) fn busy(messages: usize) -> Trace {
        let mut story = Self::new(5);
        story.mark(0.0, 0, MarkKind::Leader, "leader t1");
        let mut round = 0_u32;
        while story.trace.messages().len() < messages {
            round += 1;
            let at = 40.0 * f64::from(round);
            if round.is_multiple_of(3) {
                story.heartbeats(at, 0, &[1, 2, 3], 1);
                continue;
            }
            story.mark(at, 0, MarkKind::Command, &format!("{round}: put k{round}"));
            story.replicate(at, 0, &[1, 2, 3], &format!("Append t1 {round}..{round}"), u64::from(round));
            story.lose(at, 0, 4, AppendEntries, &format!("Append t1 1..{round}"));
        }
        story.trace
    }

    /// Anything that can be recorded, many at the same moment.
    pub(crate) fn wild(seed: u64) -> Trace {
        let lanes = 2 + usize::try_from(seed % 6).expect("a few");
        let mut story = Self::new(lanes);
        story.random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut at = 0.0;
        for step in 0..150 {
            at += [0.0, 0.0, 0.3, 1.0, 7.0, 400.0][story.below(6)];
            let lane = story.below(lanes);
            match story.below(8) {
                0 => story.trace.note(ms(at), format!("step {step} of a script with a longer name")),
                1 | 2 => {
                    let kind = MARKS[story.below(MARKS.len())];
                    let label = ["", "t7", "a label that has no room on any screen"][story.below(3)];
                    story.mark(at, lane, kind, label);
                }
                _ => story.wild_message(at, lane),
            }
        }
        story.trace
    }

    fn wild_message(&mut self, at: f64, from: usize) {
        let lanes = self.trace.lanes().len();
        let to = (from + 1 + self.below(lanes - 1)) % lanes;
        let kind = MessageKind::ALL[self.below(MessageKind::ALL.len())];
        let label =
            ["", "ok", "Append t1 1..12 c0", "a label that has no room between two lanes"][self.below(4)];
        let id = self.trace.send(ms(at), from, to, kind, label);
        let took = [0.0, 0.0, 0.5, 3.0, 6.0, 6.0, 900.0][self.below(7)];
        match self.below(8) {
            0 => {}
            1 => self.trace.end(id, ms(at + took), Fate::Lost),
            _ => self.trace.end(id, ms(at + took), Fate::Arrived),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        let drawn = self.draw();
        usize::try_from(drawn).expect("31 bits") % bound
    }

    /// The whole of it.
    pub(crate) fn told() -> Trace {
        let mut story = Self::new(5);
        story.split_vote();
        story.second_election();
        story.first_command();
        story.cut_off();
        story.third_election();
        story.repair();
        story.trace
    }
}
