//! A simulated disk: what a file system may do to a program that trusts it too much.
//!
//! Every file is there twice: as it is on the platter, and as the cache shows it. A write changes the cache
//! and is remembered as pending; a sync carries what is pending to the platter. Names are kept the same way,
//! with [`sync_dir`](Disk::sync_dir) for a sync. Then:
//!
//! | fault | what is left |
//! |---|---|
//! | [`power_loss`](SimDisk::power_loss) | the platter, and of what was pending any 512-byte sectors, in any version that they had since, and any names; [`power_loss_keeping`](SimDisk::power_loss_keeping) says how much |
//! | [`kill`](SimDisk::kill) | the cache, whole; what was pending still is, so a later power loss can take it |
//! | [`stop_at`](SimDisk::stop_at) | the n-th operation is done by half, and every later one fails, until a crash is called |
//! | [`fail_next_sync`](SimDisk::fail_next_sync) | any sectors of what was pending on the platter; the rest is in the cache only, and no later sync writes it |
//! | [`set_free`](SimDisk::set_free) | a write for which there is no room stops in the middle |
//!
//! A crash ends the process: files that were open before it cannot be used after it. All choices come from one
//! seeded generator, so the same calls give the same disk. [`SimDisk`] is a handle, and clones share the
//! disk; [`fork`](SimDisk::fork) makes another one of the same state.

mod inode;
mod operation;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bowline_storage::{Disk, DiskFile};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use inode::Keep;
use inode::{Change, Inode};
pub use operation::Operation;

/// What a disk writes whole or not at all, in bytes.
pub const SECTOR_BYTES: usize = 512;

/// A handle on a simulated disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// An open file.
#[derive(Clone, Debug)]
pub struct SimFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    /// The life in which it was opened.
    life: u64,
}

/// What has really happened to the disk: a test that planned a fault looks here whether there was one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Power losses.
    pub power_losses: u64,
    /// Kills.
    pub kills: u64,
    /// Sectors that were written and not synced, and that a power loss took back.
    pub sectors_lost: u64,
    /// Sectors that were written and not synced, and that were kept all the same.
    pub sectors_kept: u64,
    /// Changes of names that a power loss took back.
    pub names_lost: u64,
    /// Operations that were stopped in the middle.
    pub stops: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Writes for which there was no room.
    pub full: u64,
}

#[derive(Debug)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// Names as the cache shows them, and as they are on the platter.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    pending_names: Vec<Rebinding>,
    /// Raised by every crash.
    life: u64,
    operations: Vec<Operation>,
    stop_at: Option<u64>,
    stopped: bool,
    fail_next_sync: bool,
    free: u64,
    faults: DiskFaults,
    random: StdRng,
}

/// One change of the directory, done as a whole or not at all: names that go, and a name that comes.
#[derive(Clone, Debug)]
struct Rebinding {
    gone: Option<String>,
    bound: Option<(String, u64)>,
}

impl SimDisk {
    /// An empty disk without a limit, whose choices follow from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            inodes: BTreeMap::new(),
            next_inode: 1,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            life: 0,
            operations: Vec::new(),
            stop_at: None,
            stopped: false,
            fail_next_sync: false,
            free: u64::MAX / 2,
            faults: DiskFaults::default(),
            random: StdRng::seed_from_u64(seed),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Another disk in the same state, whose choices from now on follow from `seed`.
    pub fn fork(&self, seed: u64) -> Self {
        let state = self.lock();
        let forked = State {
            inodes: state.inodes.clone(),
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            pending_names: state.pending_names.clone(),
            operations: state.operations.clone(),
            random: StdRng::seed_from_u64(seed),
            ..*state
        };
        Self { state: Arc::new(Mutex::new(forked)) }
    }

    /// The power goes: see the table above.
    pub fn power_loss(&self) {
        self.lock().power_loss(None, None);
    }

    /// The power goes, and so much is kept of what was pending: of the changes of names, and of the sectors.
    pub fn power_loss_keeping(&self, names: Keep, contents: Keep) {
        self.lock().power_loss(Some(names), Some(contents));
    }

    /// The process is killed, and the machine lives.
    pub fn kill(&self) {
        let mut state = self.lock();
        state.faults.kills += 1;
        state.begin_life();
    }

    /// Stops in the middle of the operation of that number, counted as by [`operations`](Self::operations).
    pub fn stop_at(&self, operation: u64) {
        self.lock().stop_at = Some(operation);
    }

    /// How many operations that change something or sync there have been: creating, writing, truncating,
    /// syncing, renaming, removing.
    pub fn operations(&self) -> u64 {
        self.lock().operations.len() as u64
    }

    /// What each of them was, in their order.
    pub fn history(&self) -> Vec<Operation> {
        self.lock().operations.clone()
    }

    /// The next sync of a file fails.
    pub fn fail_next_sync(&self) {
        self.lock().fail_next_sync = true;
    }

    /// From now on files can grow by so many bytes in all.
    pub fn set_free(&self, bytes: u64) {
        self.lock().free = bytes;
    }

    /// What has happened so far.
    pub fn faults(&self) -> DiskFaults {
        self.lock().faults
    }

    /// Damages a file where it is: one bit, in the cache and on the platter.
    ///
    /// # Panics
    ///
    /// If there is no such file or it is shorter.
    pub fn flip(&self, name: &str, offset: usize, bit: u32) {
        let state = &mut *self.lock();
        let inode = state.inodes.get_mut(&state.names[name]).expect("a named file");
        inode.settle(Keep::Everything, &mut state.random, &mut state.faults);
        inode.cache[offset] ^= 1 << bit;
        inode.durable = inode.cache.clone();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Counts an operation; an error when it is the one to stop at, or behind it.
    fn operate<T>(
        &self,
        what: Operation,
        half: impl FnOnce(&mut State),
        whole: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        self.lock().operate(what, half, whole)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no test goes on after a panic")
}

fn stopped() -> io::Error {
    io::Error::other("the simulated process was stopped here")
}

impl State {
    /// Keeps so much of what was pending, or as much as chance will have it.
    fn power_loss(&mut self, names: Option<Keep>, contents: Option<Keep>) {
        self.faults.power_losses += 1;
        let names = names.unwrap_or_else(|| Keep::draw(&mut self.random));
        for change in std::mem::take(&mut self.pending_names) {
            if names.this(&mut self.random) {
                change.apply(&mut self.durable_names);
            } else {
                self.faults.names_lost += 1;
            }
        }
        self.names = self.durable_names.clone();
        let contents = contents.unwrap_or_else(|| Keep::draw(&mut self.random));
        for inode in self.inodes.values_mut() {
            inode.settle(contents, &mut self.random, &mut self.faults);
            inode.cache = inode.durable.clone();
        }
        self.begin_life();
    }

    fn begin_life(&mut self) {
        self.life += 1;
        self.stop_at = None;
        self.stopped = false;
        self.fail_next_sync = false;
        let reachable: BTreeSet<u64> =
            self.names.values().chain(self.durable_names.values()).copied().collect();
        let pending: BTreeSet<u64> = self
            .pending_names
            .iter()
            .filter_map(|change| change.bound.as_ref())
            .map(|(_, inode)| *inode)
            .collect();
        self.inodes.retain(|inode, _| reachable.contains(inode) || pending.contains(inode));
    }

    fn operate<T>(
        &mut self,
        what: Operation,
        half: impl FnOnce(&mut Self),
        whole: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.stopped {
            return Err(stopped());
        }
        let number = self.operations.len() as u64;
        self.operations.push(what);
        if self.stop_at != Some(number) {
            return whole(self);
        }
        self.stopped = true;
        self.faults.stops += 1;
        half(self);
        Err(stopped())
    }

    fn inode(&mut self, file: &SimFile) -> io::Result<&mut Inode> {
        self.parts(file).map(|(inode, ..)| inode)
    }

    fn parts(&mut self, file: &SimFile) -> io::Result<(&mut Inode, &mut StdRng, &mut DiskFaults)> {
        if file.life != self.life {
            return Err(io::Error::other("a file of a process that is gone"));
        }
        let inode = self.inodes.get_mut(&file.inode).expect("an open file keeps its inode");
        Ok((inode, &mut self.random, &mut self.faults))
    }

    fn rebind(&mut self, change: Rebinding) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    /// Done or not, when the process is stopped in the middle.
    fn perhaps(&mut self) -> bool {
        self.random.random_bool(0.5)
    }

    fn write(&mut self, file: &SimFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let free = self.free;
        let inode = self.inode(file)?;
        let offset = usize::try_from(offset).expect("in memory");
        let room = usize::try_from(free).unwrap_or(usize::MAX).saturating_add(inode.cache.len());
        let fits = bytes.len().min(room.saturating_sub(offset));
        let grown = (offset + fits).saturating_sub(inode.cache.len());
        if fits > 0 {
            inode.change(Change::Write { offset, bytes: bytes[..fits].to_vec() });
        }
        self.free -= grown as u64;
        if fits < bytes.len() {
            self.faults.full += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self, file: &SimFile) -> io::Result<()> {
        let fail = std::mem::take(&mut self.fail_next_sync);
        let (inode, random, faults) = self.parts(file)?;
        if fail {
            faults.failed_syncs += 1;
            let keep = Keep::draw(random);
            inode.settle(keep, random, faults);
            return Err(io::Error::other("simulated failure of the disk"));
        }
        // Not a fault: nothing to count.
        inode.settle(Keep::Everything, random, &mut DiskFaults::default());
        Ok(())
    }
}

impl Rebinding {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((name, inode)) = &self.bound {
            names.insert(name.clone(), *inode);
        }
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn location(&self) -> String {
        "simulated disk".to_string()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<SimFile> {
        let make = |state: &mut State| {
            if state.names.contains_key(name) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let inode = state.next_inode;
            state.next_inode += 1;
            state.inodes.insert(inode, Inode::default());
            state.rebind(Rebinding { gone: None, bound: Some((name.to_string(), inode)) });
            Ok((inode, state.life))
        };
        let half = |state: &mut State| {
            if state.perhaps() {
                let _ = make(state);
            }
        };
        let (inode, life) = self.operate(Operation::Create, half, make)?;
        Ok(SimFile { state: Arc::clone(&self.state), inode, life })
    }

    fn open(&self, name: &str) -> io::Result<SimFile> {
        let state = self.lock();
        if state.stopped {
            return Err(stopped());
        }
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(SimFile { state: Arc::clone(&self.state), inode, life: state.life })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let make = |state: &mut State| {
            let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
            state.rebind(Rebinding { gone: Some(from.to_string()), bound: Some((to.to_string(), inode)) });
            Ok(())
        };
        let half = |state: &mut State| {
            if state.perhaps() {
                let _ = make(state);
            }
        };
        self.operate(Operation::Rename, half, make)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let make = |state: &mut State| {
            let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
            state.free += state.inodes[&inode].cache.len() as u64;
            state.rebind(Rebinding { gone: Some(name.to_string()), bound: None });
            Ok(())
        };
        let half = |state: &mut State| {
            if state.perhaps() {
                let _ = make(state);
            }
        };
        self.operate(Operation::Remove, half, make)
    }

    fn sync_dir(&self) -> io::Result<()> {
        let make = |state: &mut State| {
            state.durable_names = state.names.clone();
            state.pending_names.clear();
            Ok(())
        };
        let half = |state: &mut State| {
            if state.perhaps() {
                let _ = make(state);
            }
        };
        self.operate(Operation::SyncDirectory, half, make)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.lock().free)
    }
}

impl DiskFile for SimFile {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(lock(&self.state).inode(self)?.cache.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        let cache = &state.inode(self)?.cache;
        let offset = usize::try_from(offset).expect("in memory");
        let from = cache.get(offset..offset + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(from);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // A write that is stopped has copied a part of its bytes into the cache.
        let half = |state: &mut State| {
            let sectors = state.random.random_range(0..=bytes.len().div_ceil(SECTOR_BYTES));
            let _ = state.write(self, offset, &bytes[..(sectors * SECTOR_BYTES).min(bytes.len())]);
        };
        lock(&self.state).operate(Operation::Write, half, |state| state.write(self, offset, bytes))
    }

    fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        let size = usize::try_from(size_bytes).expect("in memory");
        let make = |state: &mut State| {
            let inode = state.inode(self)?;
            let before = inode.cache.len();
            inode.change(Change::Truncate { size });
            state.free = (state.free + before as u64).saturating_sub(size as u64);
            Ok(())
        };
        let half = |state: &mut State| {
            if state.perhaps() {
                let _ = make(state);
            }
        };
        lock(&self.state).operate(Operation::Truncate, half, make)
    }

    fn sync_data(&self) -> io::Result<()> {
        let half = |state: &mut State| {
            if state.perhaps() {
                let _ = state.sync(self);
            }
        };
        lock(&self.state).operate(Operation::Sync, half, |state| state.sync(self))
    }
}
