//! The state as a whole: as an image that is taken of it, and as one that takes its place.
//!
//! A follower that was sent a snapshot goes on from the snapshot's state, and never sees the entries in it.
//! Among them may be commands of its own clients, which it has forwarded and which nobody may answer any more:
//! the leader that took them on may have stepped down since. Their completion records are in the image, since
//! a record stays until its origin says that it is no longer needed, and an origin says so of no command that
//! it has not answered. So:
//!
//! | a command that waits here | then |
//! |---|---|
//! | has a record in the image | it is answered with the recorded reply |
//! | has none | it was not carried out by then; it waits on, for a later entry or for the leader's answer |
//! | is sent again, to any leader | its entry is carried out if there is no record, else answered from it |
//!
//! In none of these is it carried out twice, and in none is it forgotten.

use bowline_raft::{Index, LogId, NodeId};

use super::Replica;
use crate::forward::{Outcome, Path};
use crate::image::{self, Image};

impl Replica {
    /// The state as it is now, behind the entry that was applied last. That takes about as long as to copy 16384
    /// pointers and the completion records; keys and values are shared with this replica. To make bytes of
    /// them is for another thread.
    pub fn image(&self) -> Image {
        Image {
            last: self.applied,
            stamp_ms: self.applied_stamp_ms,
            store: self.store.clone(),
            sessions: self.sessions.clone(),
        }
    }

    /// An image up to that entry is durable: the log is not needed up to there. See
    /// [`Node::compact`](bowline_raft::Node::compact).
    pub fn compact(&mut self, index: Index) -> bool {
        self.node.compact(index)
    }

    /// The snapshot that was sent to that node is getting on; see
    /// [`Node::snapshot_progress`](bowline_raft::Node::snapshot_progress).
    pub fn snapshot_progress(&mut self, to: NodeId, round: u64) {
        self.node.snapshot_progress(to, round);
    }

    /// The snapshot that was sent to that node did not arrive; see
    /// [`Node::snapshot_failed`](bowline_raft::Node::snapshot_failed).
    pub fn snapshot_failed(&mut self, to: NodeId, round: u64) {
        self.node.snapshot_failed(to, round);
    }

    /// From now on this replica's state is that of the image, which was read from the snapshot that the last
    /// [`Output::restore`](super::Output::restore) names. It may come when it is ready, in a later pass too:
    /// until then nothing is applied and no read is answered here. Says whether it was taken. An image of
    /// another snapshot is not: a newer one has taken its place meanwhile, or none is wanted.
    pub fn restore(&mut self, image: Image) -> bool {
        if self.awaited != Some(image.last) {
            return false;
        }
        self.awaited = None;
        let Image { last, stamp_ms, store, sessions } = image;
        self.store.replace(store);
        self.sessions = sessions;
        self.applied = last;
        self.applied_stamp_ms = stamp_ms;
        self.clocks.applied(stamp_ms);
        self.node.applied(last.index);
        for (number, reply) in self.sessions.done_by(self.origin) {
            self.contact.answered(Path::Log, number, Outcome::Done(reply.clone()));
        }
        true
    }

    /// The snapshot's image is to come. What was committed before is in it.
    pub(super) fn await_image(&mut self, last: LogId) {
        self.awaited = Some(last);
        self.committed.clear();
    }

    /// A number that is the same on replicas with the same keys, values, records and time.
    pub fn digest(&self) -> u64 {
        image::digest(&self.store, &self.sessions, self.applied_stamp_ms)
    }
}

#[cfg(test)]
mod tests;
