//! What must hold of a key/value run beside what its script asks: the history, the records, the states.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_linearizability::course::Course;
use bowline_linearizability::unplaced;
use bowline_sim::kv_server::KvServer;

use super::KvLab;

/// How many thousands of steps the checker may take for a history: many times what any needs, and the same on
/// every machine.
pub(super) const MOST_STEPS: u64 = 20_000;

/// How long servers may take to apply what is committed when nothing is asked of them any more.
const SETTLED: Duration = Duration::from_millis(500);

impl KvLab {
    /// Each element that a client has appended is there, once, and behind the one before it.
    pub(crate) async fn check_clnt_appends(&self, client: usize, value: &str, count: usize) {
        let mut behind = 0;
        for j in 0..count {
            let element = format!("x {client} {j} y");
            let found: Vec<usize> = value.match_indices(&element).map(|(at, _)| at).collect();
            let is_right = found.len() == 1 && (j == 0 || found[0] > behind);
            self.ensure(is_right, || {
                format!(
                    "the element {element:?} stands at {found:?}, the one before it at {behind}, in {value:?}"
                )
            })
            .await;
            behind = found[0];
        }
    }

    /// The whole history is linearizable.
    pub(crate) async fn check_linearizable(&self) {
        let wrong = unplaced::<Course>(&self.0.history.borrow(), MOST_STEPS);
        self.ensure(wrong.is_none(), || wrong.unwrap_or_default()).await;
    }

    /// When all is still: servers that have applied as much hold the same, all of them have applied as much, and
    /// there is at most one record a clerk. The history is linearizable.
    pub(crate) async fn check_end(&self) {
        self.check_linearizable().await;
        self.connect_all();
        let began = self.now();
        while !self.has_settled() {
            self.sleep(Duration::from_millis(20)).await;
            let in_time = self.now() - began < SETTLED * 20;
            self.ensure(in_time, || "the servers do not come to the same index".to_owned()).await;
        }
        let states: BTreeMap<u64, u64> = self.digests().into_iter().collect();
        let digests = self.digests();
        for (index, digest) in digests {
            self.ensure(states[&index] == digest, || format!("the servers' states differ at index {index}"))
                .await;
        }
        let records = self.statuses().into_iter().map(|status| status.records).max().unwrap_or(0);
        let clerks = self.0.clerks.get();
        self.ensure(records <= clerks, || format!("{records} records are held for {clerks} clerks")).await;
    }

    fn has_settled(&self) -> bool {
        let statuses = self.statuses();
        let most = statuses.iter().map(|status| status.commit_index).max();
        statuses.iter().all(|status| Some(status.last_applied) == most)
    }

    /// Of each server the index that it has applied, and its state there.
    fn digests(&self) -> Vec<(u64, u64)> {
        let digest = |server: &KvServer| (server.replica().node().last_applied(), server.replica().digest());
        self.hosts().into_iter().map(|host| host.look(digest)).collect()
    }
}
