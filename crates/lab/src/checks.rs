//! What a script asks of the whole group, and how long it waits for it.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_raft::{Index, Term};
use bytes::Bytes;

use crate::applier::text;
use crate::config::{Edition, Lab};

impl Lab {
    /// Waits for a leader among the connected servers, about five seconds at most: the one of the latest term. No
    /// term may have two.
    pub async fn check_one_leader(&self) -> usize {
        for _ in 0..10 {
            let pause = match self.edition() {
                Edition::Course => 450 + self.random_below(100),
                Edition::Y2016 => 500,
            };
            self.sleep(Duration::from_millis(pause)).await;
            let mut leaders: BTreeMap<Term, Vec<usize>> = BTreeMap::new();
            for i in self.connected() {
                if let Some((term, true)) = self.get_state(i).await {
                    leaders.entry(term).or_default().push(i);
                }
            }
            for (term, claims) in &leaders {
                self.ensure(claims.len() == 1, || {
                    format!("term {term} has {} leaders: {claims:?}", claims.len())
                })
                .await;
            }
            if let Some(claims) = leaders.values().next_back() {
                self.note(|| format!("the script finds S{} as the leader", claims[0]));
                return claims[0];
            }
        }
        self.fail("expected one leader, got none").await
    }

    /// The term that all connected servers are in.
    pub async fn check_terms(&self) -> Term {
        let mut agreed = None;
        for i in self.connected() {
            let Some((term, _)) = self.get_state(i).await else { continue };
            let first = *agreed.get_or_insert(term);
            self.ensure(first == term, || format!("servers disagree on the term: {first} and {term}")).await;
        }
        agreed.unwrap_or(0)
    }

    /// No connected server may take itself for the leader.
    pub async fn check_no_leader(&self) {
        for i in self.connected() {
            let leads = self.get_state(i).await.is_some_and(|(_, leads)| leads);
            self.ensure(!leads, || format!("expected no leader, but server {i} claims to be one")).await;
        }
    }

    /// How many servers have applied this index, and what they applied. Those that have crashed since count too.
    pub fn n_committed(&self, index: Index) -> (usize, Option<Bytes>) {
        self.records().borrow().committed(index)
    }

    /// Waits until `n` servers have applied this index, half a minute at most, and gives back what stands there;
    /// none as soon as somebody has moved on from `start_term`.
    pub async fn wait(&self, index: Index, n: usize, start_term: Option<Term>) -> Option<Bytes> {
        let mut pause = Duration::from_millis(10);
        for _ in 0..30 {
            if self.n_committed(index).0 >= n {
                break;
            }
            self.sleep(pause).await;
            if pause < Duration::from_secs(1) {
                pause *= 2;
            }
            let Some(start_term) = start_term else { continue };
            for i in 0..self.n() {
                if self.get_state(i).await.is_some_and(|(term, _)| term > start_term) {
                    return None;
                }
            }
        }
        let (count, command) = self.n_committed(index);
        self.ensure(count >= n, || {
            format!("only {count} servers applied index {index}, and {n} should have")
        })
        .await;
        command
    }

    /// One complete agreement: `command` is applied by at least `expected` servers. Its index. Ten seconds are
    /// enough for it; with `retry` it may be submitted again if it was lost with a leader, without it no leader
    /// may be lost meanwhile.
    pub async fn one(&self, command: Bytes, expected: usize, retry: bool) -> Index {
        let began = self.now();
        self.note(|| format!("the script wants {} agreed on by {expected}", text(&command)));
        let mut candidate = 0;
        while self.now() - began < Duration::from_secs(10) {
            let Some(index) = self.submit_to_somebody(&command, &mut candidate).await else {
                self.sleep(Duration::from_millis(50)).await;
                continue;
            };
            let submitted = self.now();
            while self.now() - submitted < Duration::from_secs(2) {
                let (count, agreed) = self.n_committed(index);
                if count > 0 && count >= expected && agreed.as_ref() == Some(&command) {
                    self.note(|| format!("{} is agreed on at {index}", text(&command)));
                    return index;
                }
                self.sleep(Duration::from_millis(20)).await;
            }
            if !retry && self.edition() == Edition::Course {
                break;
            }
        }
        self.fail(format!("failed to reach agreement on {} by {expected} servers", text(&command))).await
    }

    /// Asks each connected server in turn, from the one behind `candidate` on, until one takes the command.
    async fn submit_to_somebody(&self, command: &Bytes, candidate: &mut usize) -> Option<Index> {
        for _ in 0..self.n() {
            *candidate = (*candidate + 1) % self.n();
            if !self.is_connected(*candidate) {
                continue;
            }
            if let Some((index, _)) = self.start(*candidate, command.clone()).await {
                return Some(index);
            }
        }
        None
    }

    fn connected(&self) -> Vec<usize> {
        (0..self.n()).filter(|i| self.is_connected(*i)).collect()
    }
}
