//! How each run ends: no more faults but those that are planned, and the cluster must serve.

use std::time::Duration;

use bowline_raft::{Body, Index, InstallSnapshot, RoleKind};
use bytes::Bytes;

use crate::member::Snapshot;
use crate::world::{Flying, World};

impl World {
    /// Time goes by for all alike, and what is sent arrives at whoever is not cut off.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.let_time_pass();
            for _ in 0..3 {
                for Flying { from, to, message } in std::mem::take(&mut self.flying) {
                    if !self.cut.contains(&from) && !self.cut.contains(&to) {
                        self.arrive(from, to, message);
                    }
                }
            }
        }
    }

    fn let_time_pass(&mut self) {
        for at in 0..self.members.len() {
            self.members[at].tick(Duration::from_millis(10));
            self.members[at].persist(usize::MAX);
            self.carry_out(at);
        }
    }

    /// The leader takes a proposal each 10 ms, and its service makes a snapshot of all that is applied.
    fn pass_busily(&mut self, ms: u64, leader: usize) {
        for _ in 0..ms / 10 {
            let text = format!("busy {}", self.proposals);
            self.members[leader].node.propose(Bytes::from(text)).expect("it leads");
            self.proposals += 1;
            self.pass(10);
            let member = &mut self.members[leader];
            let applied = member.node.last_applied();
            if member.compact(applied, false) {
                self.carry_out(leader);
            }
        }
    }

    /// A member comes back that lacks what the leader's log no longer has, and the others do not wait for
    /// it: one snapshot brings it up, since what comes behind that is kept for it meanwhile.
    fn catch_up_under_load(&mut self, leader: usize) {
        let behind = (leader + 1) % self.members.len();
        let timeout = self.members[leader].node.config().election_timeout;
        self.cut.insert(self.members[behind].node.id());
        self.pass_busily(2 * u64::try_from(timeout.as_millis()).expect("short"), leader);
        self.cut.clear();
        let sent = self.sent_snapshots.len();
        self.pass_busily(500, leader);
        let sent = self.sent_snapshots.len() - sent;
        let config = self.members[leader].node.config();
        assert!(sent <= 1 || config.max_retained_bytes < 1 << 20, "{sent} snapshots for one that was away");
        self.happened.count("snapshots under load", sent as u64);
    }

    /// A leader that was cut off has a long end of a log that nobody else has. It comes back, is sent a snapshot
    /// that reaches less far, and loses its power when that is on its disk, and its log has not heard of it.
    fn crash_behind_an_installation(&mut self, leader: usize) {
        let id = self.members[leader].node.id();
        self.cut.insert(id);
        for number in 0..40 {
            let taken = self.members[leader].node.propose(Bytes::from(format!("lost {number}")));
            taken.expect("it leads");
        }
        self.pass(3000);
        let next =
            self.leaders_now().into_iter().find(|&at| at != leader).expect("the others have elected one");
        self.pass_busily(100, next);
        self.pass(1000);
        let ends = self.members[leader].node.last_log_id().index;
        assert!(ends > self.members[next].node.snapshot().index, "the end that is to be lost is too short");
        self.cut.clear();
        for _ in 0..100 {
            self.let_time_pass();
            for Flying { from, to, message } in std::mem::take(&mut self.flying) {
                match message.body {
                    Body::InstallSnapshot(InstallSnapshot { last, data, .. }) if to == id => {
                        self.members[leader].disk.keep_file(Snapshot { last, data });
                        self.members[leader].restart(0);
                        self.happened.count("crashes behind an installation", 1);
                        // Nobody tells the leader that its snapshot will not be answered.
                        self.pass(3000);
                        return;
                    }
                    _ => self.arrive(from, to, message),
                }
            }
        }
        panic!("it was sent no snapshot");
    }

    fn the_leader(&self) -> usize {
        let [leader] = self.leaders_now()[..] else { panic!("leaders: {:?}", self.leaders_now()) };
        leader
    }

    fn leaders_now(&self) -> Vec<usize> {
        (0..self.members.len()).filter(|&at| self.members[at].node.role() == RoleKind::Leader).collect()
    }

    pub(crate) fn heal_and_serve(&mut self) {
        self.cut.clear();
        let sent = self.sent_snapshots.len();
        self.pass(5000);
        let leader = self.the_leader();
        let sent = self.sent_snapshots.len() - sent;
        assert!(sent <= 2 * self.members.len(), "{sent} snapshots were sent without any fault");
        self.catch_up_under_load(leader);
        self.crash_behind_an_installation(leader);
        let leader = self.the_leader();
        let id = self.members[leader].node.propose(Bytes::from("last")).expect("the leader takes it");
        self.pass(100);
        let read = self.reads;
        self.members[leader].node.read(read).expect("the leader takes it");
        self.asked.insert(read, self.committed.len() as Index);
        self.pass(300);
        assert!(!self.asked.contains_key(&read), "the read was not granted");
        for member in &self.members {
            assert_eq!(member.state(), self.members[0].state(), "two nodes are not of one state");
            assert_eq!(member.node.retained_bytes(), 0, "nobody needs what is retained");
            assert_eq!(member.node.last_applied(), id.index, "node {} is behind", member.node.id());
            assert!(member.node.peers().iter().all(|p| !p.lost_data), "nobody lost data");
        }
    }
}
