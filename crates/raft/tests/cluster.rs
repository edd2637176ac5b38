//! Three nodes, messages delivered by hand in order: the whole way of a command and of a read.

use std::time::Duration;

use bowline_raft::{Config, HardState, LogId, Node, NodeId, Ready, RoleKind};
use bytes::Bytes;

struct Cluster {
    nodes: Vec<Node>,
    applied: Vec<Vec<Bytes>>,
    granted: Vec<u64>,
    now: Duration,
}

impl Cluster {
    fn new(size: u64) -> Self {
        let ids: Vec<_> = (1..=size).map(NodeId).collect();
        let node =
            |&id| Node::new(Config::new(id, ids.clone(), 7), HardState::default(), LogId::ZERO, Vec::new());
        Self {
            nodes: ids.iter().map(node).collect(),
            applied: vec![Vec::new(); ids.len()],
            granted: Vec::new(),
            now: Duration::ZERO,
        }
    }

    /// Carries out everything until nothing is left to do.
    fn settle(&mut self) {
        loop {
            let mut idle = true;
            for at in 0..self.nodes.len() {
                let ready = self.nodes[at].ready();
                idle &= ready.messages.is_empty() && ready.write.is_none() && ready.committed.is_empty();
                self.carry_out(at, ready);
            }
            if idle {
                return;
            }
        }
    }

    fn carry_out(&mut self, at: usize, ready: Ready) {
        let from = self.nodes[at].id();
        for envelope in ready.messages {
            let to = self.nodes.iter_mut().find(|n| n.id() == envelope.to).expect("a member");
            to.step(from, envelope.message).expect("a correct peer");
        }
        if let Some(write) = ready.write {
            self.nodes[at].persisted(write.seq);
        }
        for entry in ready.committed {
            self.nodes[at].applied(entry.id.index);
            if !entry.payload.is_empty() {
                self.applied[at].push(entry.payload);
            }
        }
        self.granted.extend(ready.reads.iter().map(|grant| grant.id));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(5);
            for node in &mut self.nodes {
                node.tick(self.now);
            }
            self.settle();
        }
    }

    fn leader(&mut self) -> &mut Node {
        let mut leaders: Vec<_> = self.nodes.iter_mut().filter(|n| n.role() == RoleKind::Leader).collect();
        assert_eq!(leaders.len(), 1, "there is exactly one leader");
        leaders.pop().expect("one")
    }
}

#[test]
fn a_command_reaches_every_node_once_and_in_order() {
    for size in [1, 2, 3, 5] {
        let mut cluster = Cluster::new(size);
        cluster.pass(Duration::from_secs(5));
        for text in ["a", "b", "c"] {
            cluster.leader().propose(Bytes::from(text)).expect("the leader takes it");
        }
        cluster.pass(Duration::from_millis(200));
        for applied in &cluster.applied {
            assert_eq!(applied, &["a", "b", "c"]);
        }
    }
}

#[test]
fn a_read_is_granted_by_a_majority() {
    for size in [1, 2, 3, 5] {
        let mut cluster = Cluster::new(size);
        cluster.pass(Duration::from_secs(5));
        cluster.leader().read(42).expect("the leader takes it");
        cluster.settle();
        assert_eq!(cluster.granted, [42]);
    }
}

#[test]
fn members_that_share_a_seed_campaign_at_different_times() {
    let ids: Vec<_> = (1..=3).map(NodeId).collect();
    let first_campaign = |id: NodeId| {
        let mut node =
            Node::new(Config::new(id, ids.clone(), 7), HardState::default(), LogId::ZERO, Vec::new());
        let campaigns = |ms: &u64| {
            node.tick(Duration::from_millis(*ms));
            node.role() == RoleKind::PreCandidate
        };
        (0..800).find(campaigns).expect("within two election timeouts")
    };
    let times: Vec<_> = ids.iter().map(|&id| first_campaign(id)).collect();
    assert!(times[0] != times[1] && times[1] != times[2] && times[0] != times[2], "{times:?}");
}
