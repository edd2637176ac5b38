//! Snapshots: each node makes its own when its log has grown, and sends it to whoever needs it.

use bowline_kv::Image;
use bowline_raft::{Body, Index, InstallSnapshot, Message, NodeId, Restore};
use rand::RngExt;

use crate::cluster::{Cluster, MS};
use crate::event::Event;

impl Cluster {
    /// Takes an image if the log has grown enough. It is written while commands go on.
    pub(crate) fn begin_snapshot(&mut self, id: u64) {
        let Some(threshold) = self.plan.snapshot_bytes else { return };
        let member = self.member(id);
        let replica = member.replica.as_ref().expect("it is up");
        let status = replica.status();
        let is_due = status.log_bytes > threshold && status.last_applied > status.snapshot_index;
        if member.is_writing_snapshot || !is_due {
            return;
        }
        let (image, digest) = (replica.image(), replica.digest());
        member.is_writing_snapshot = true;
        let life = member.life;
        assert_eq!(image.last().index, status.last_applied);
        self.check_digest(id, status.last_applied, digest);
        let takes = self.rng.random_range(MS..300 * MS);
        self.push(takes, Event::Snapshot { node: id, life, image: Box::new(image) });
    }

    pub(crate) fn finish_snapshot(&mut self, id: u64, life: u64, image: Image) {
        let member = self.member(id);
        if member.life != life {
            return;
        }
        member.is_writing_snapshot = false;
        let (last, keys) = (image.last(), image.keys());
        let bytes = image.encode();
        let is_newer = member.disk.put_snapshot(last, bytes);
        // It is durable. That its log needs to reach back no further, the log hears only now.
        let compacts = member.replica.as_mut().expect("it is up").compact(last.index);
        assert!(is_newer || !compacts, "the log ends at {last}, and the snapshot does not reach so far");
        self.tally.snapshots_made += u64::from(compacts);
        self.tally.snapshots_outrun += u64::from(!compacts);
        self.tell(|| format!("node {id} has a snapshot up to {last} with {keys} keys"));
        self.ring(id);
    }

    /// What a restart begins with.
    pub(crate) fn image_on_disk(&mut self, id: u64) -> Option<Image> {
        let seed = self.rng.random();
        let (last, bytes) = self.members[&id].disk.snapshot.clone();
        if last.index == 0 {
            return None;
        }
        let image = Image::decode(&bytes, seed).expect("it was written here");
        assert_eq!(image.last(), last);
        self.check_digest(id, last.index, image.digest());
        self.tally.starts_from_snapshots += 1;
        self.tell(|| format!("node {id} begins with its snapshot up to {last}"));
        Some(image)
    }

    /// The node's snapshot is put into a message that wants one.
    pub(crate) fn with_snapshot(&self, id: u64, message: Message) -> Message {
        let Body::InstallSnapshot(InstallSnapshot { round, last: least, .. }) = message.body else {
            return message;
        };
        let (last, data) = self.members[&id].disk.snapshot.clone();
        assert!(last >= least, "node {id} sends what reaches to {last}, and should send {least}");
        Message { body: Body::InstallSnapshot(InstallSnapshot { round, last, data }), ..message }
    }

    /// The image is made out of the bytes, which may take a while.
    pub(crate) fn begin_restore(&mut self, id: u64, restore: Restore) {
        let life = self.members[&id].life;
        let longest = if self.rng.random_bool(0.5) { MS } else { 3000 * MS };
        let takes = self.rng.random_range(0..longest);
        self.push(takes, Event::Restore { node: id, life, restore });
    }

    pub(crate) fn restore(&mut self, id: u64, life: u64, restore: &Restore) {
        let seed = self.rng.random();
        if self.members[&id].life != life {
            return;
        }
        let image = Image::decode(&restore.data, seed).expect("a correct peer sent it");
        assert_eq!(image.last(), restore.last);
        let digest = image.digest();
        let replica = self.member(id).replica.as_mut().expect("it is up");
        let waiting = replica.status().unanswered;
        let is_taken = replica.restore(image);
        let status = replica.status();
        if is_taken {
            assert_eq!((status.last_applied, replica.digest()), (restore.last.index, digest));
            self.check_digest(id, restore.last.index, digest);
            self.tally.snapshots_installed += 1;
            self.tally.answered_from_snapshots += waiting - status.unanswered;
            self.tell(|| {
                let answered = waiting - status.unanswered;
                format!("node {id} goes over to the snapshot up to {}: {answered} answers", restore.last)
            });
        } else {
            assert!(status.snapshot_index > restore.last.index, "node {id} wants no {}", restore.last);
            self.tally.snapshots_overtaken += 1;
        }
        self.ring(id);
    }

    /// Whoever has been at that index had the same state there.
    pub(crate) fn check_digest(&mut self, id: u64, index: Index, digest: u64) {
        let (by, first) = *self.digests.entry(index).or_insert((id, digest));
        assert_eq!(first, digest, "nodes {by} and {id} differ at index {index}");
    }

    pub(crate) fn snapshot_failed(&mut self, from: u64, life: u64, to: u64, round: u64) {
        let member = self.member(from);
        if member.life == life {
            member.replica.as_mut().expect("it is up").snapshot_failed(NodeId(to), round);
            self.ring(from);
        }
    }
}
