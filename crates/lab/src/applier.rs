//! The tester's state machine: it remembers what each server applied, and compares.

use bowline_raft::Index;
use bowline_raft::peer::ApplyMsg;
use bowline_sim::channel::Receiver;
use bytes::Bytes;

use crate::config::Lab;

/// How often the service takes a snapshot, in entries.
const SNAPSHOT_INTERVAL: Index = 10;

/// What each server has applied, by index. A restart does not clear it: what is applied again is compared with
/// what was applied before.
#[derive(Debug)]
pub(crate) struct Records {
    servers: Vec<Record>,
    /// What is committed, by whoever applied it first.
    agreed: Vec<Bytes>,
}

/// Of one server.
#[derive(Clone, Debug, Default)]
struct Record {
    commands: Vec<Bytes>,
    /// The last index that its present life has applied.
    last_applied: Index,
}

impl Records {
    pub(crate) fn new(n: usize) -> Self {
        Self { servers: vec![Record::default(); n], agreed: Vec::new() }
    }

    /// The largest index that anybody applied.
    pub(crate) fn max_index(&self) -> Index {
        self.agreed.len() as Index
    }

    /// How many servers have applied this index, and what stands there.
    pub(crate) fn committed(&self, index: Index) -> (usize, Option<Bytes>) {
        let Some(at) = place(index) else { return (0, None) };
        let count = self.servers.iter().filter(|record| record.commands.len() > at).count();
        (count, self.agreed.get(at).cloned())
    }

    /// Server `i` starts: the service reads its snapshot, if there is one.
    pub(crate) fn start(&mut self, i: usize, snapshot: &Bytes) -> Result<(), String> {
        self.servers[i].last_applied = 0;
        if snapshot.is_empty() { Ok(()) } else { self.ingest(i, None, snapshot) }
    }

    /// Server `i` is given a snapshot, which is said to go up to `index`: from now on that is what it has
    /// applied.
    fn ingest(&mut self, i: usize, index: Option<Index>, snapshot: &Bytes) -> Result<(), String> {
        let (last, commands) =
            decode(snapshot).ok_or_else(|| format!("server {i} was given a snapshot that is none"))?;
        if index.is_some_and(|index| index != last) {
            return Err(format!("server {i} was given a snapshot up to {last} as one up to {index:?}"));
        }
        for (index, command) in (1..).zip(&commands) {
            self.agree(i, index, command)?;
        }
        self.servers[i] = Record { commands, last_applied: last };
        Ok(())
    }

    /// Server `i` applies a command: the one behind the last, if nothing is left out by snapshots.
    fn apply(&mut self, i: usize, index: Index, command: Bytes, in_order: bool) -> Result<(), String> {
        let Some(at) = place(index) else { return Err(format!("server {i} applied index 0")) };
        self.agree(i, index, &command)?;
        let record = &mut self.servers[i];
        let last = if in_order { record.last_applied } else { record.commands.len() as Index };
        if index > last + 1 || (in_order && index <= last) {
            return Err(format!("server {i} applied out of order: index {index} after {last}"));
        }
        record.last_applied = index;
        if at == record.commands.len() {
            record.commands.push(command);
        }
        Ok(())
    }

    /// What server `i` has at `index` is what all others have there, if any has.
    fn agree(&mut self, i: usize, index: Index, command: &Bytes) -> Result<(), String> {
        let at = place(index).expect("an index");
        match self.agreed.get(at) {
            None => self.agreed.push(command.clone()),
            Some(agreed) if agreed == command => {}
            Some(agreed) => {
                return Err(format!(
                    "different values committed at index {index}: {} by server {i}, {} by another one",
                    text(command),
                    text(agreed)
                ));
            }
        }
        Ok(())
    }

    /// The snapshot that server `i` makes at `index`, if it is time for one.
    fn snapshot(&self, i: usize, index: Index) -> Option<Bytes> {
        let is_time = (index + 1).is_multiple_of(SNAPSHOT_INTERVAL);
        is_time.then(|| encode(index, &self.servers[i].commands[..=place(index).expect("applied")]))
    }
}

/// Reads what one life of a server hands over, as long as it lives.
pub(crate) async fn apply(lab: Lab, i: usize, life: u64, mut applied: Receiver<ApplyMsg>) {
    while let Some(message) = applied.recv().await {
        if !lab.is_life(i, life) {
            break;
        }
        let snapshots = lab.takes_snapshots();
        let mut records = lab.records().borrow_mut();
        let result = match message {
            ApplyMsg::Command { index, command } => {
                records.apply(i, index, command, snapshots).map(|()| Some(index))
            }
            ApplyMsg::Snapshot { index, snapshot, .. } => {
                records.ingest(i, Some(index), &snapshot).map(|()| None)
            }
        };
        match result {
            Err(what) => lab.fail_now(what),
            Ok(Some(index)) if snapshots => {
                let snapshot = records.snapshot(i, index);
                drop(records);
                if let Some(snapshot) = snapshot {
                    lab.snapshot(i, index, snapshot);
                }
            }
            Ok(_) => {}
        }
    }
}

/// The snapshot of a service whose state is the list of its commands: the last index, and all of them, each with
/// its length.
fn encode(last: Index, commands: &[Bytes]) -> Bytes {
    let mut bytes = last.to_le_bytes().to_vec();
    for command in commands {
        bytes.extend((command.len() as u64).to_le_bytes());
        bytes.extend(command);
    }
    bytes.into()
}

/// None if it is no snapshot.
fn decode(mut bytes: &[u8]) -> Option<(Index, Vec<Bytes>)> {
    let number =
        |bytes: &mut &[u8]| bytes.split_off(..8).map(|n| u64::from_le_bytes(n.try_into().expect("8 bytes")));
    let last = number(&mut bytes)?;
    let mut commands = Vec::new();
    while !bytes.is_empty() {
        let length = usize::try_from(number(&mut bytes)?).ok()?;
        commands.push(Bytes::copy_from_slice(bytes.split_off(..length)?));
    }
    (commands.len() as Index == last).then_some((last, commands))
}

/// A command as a person reads it.
pub(crate) fn text(command: &Bytes) -> String {
    match command.get(..40) {
        Some(beginning) => format!("{}...", String::from_utf8_lossy(beginning)),
        None => String::from_utf8_lossy(command).into_owned(),
    }
}

fn place(index: Index) -> Option<usize> {
    usize::try_from(index).ok()?.checked_sub(1)
}
