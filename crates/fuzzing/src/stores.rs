//! Two stores that are told the same. Their hash tables have different seeds, which nobody may notice.

use std::cell::Cell;
use std::collections::BTreeSet;

use bowline_kv::command::{Keys, MAX_ENCODED_BYTES, MAX_VALUE_BYTES};
use bowline_kv::reply::MAX_REPLY_BYTES;
use bowline_kv::{Command, Reply, Store};
use bytes::Bytes;

/// Above this nothing more is carried out: the bound on one input is the fuzzer's own, not the server's.
const MAX_STORED_BYTES: usize = 64 << 20;

/// What a reply may have beside its values: an element for each argument of a command.
const REPLY_OVERHEAD_BYTES: usize = 64 << 20;

/// The time at the beginning, in milliseconds since 1970.
const START_MS: u64 = 1_795_300_543_430;

thread_local! {
    /// To make a store takes longer than an input does, so the next one gets them, empty.
    static SPARE: Cell<Option<Stores>> = const { Cell::new(None) };
}

pub(crate) struct Stores {
    stores: [Store; 2],
    index: u64,
    now_ms: u64,
    /// Every key that a command has named.
    named: BTreeSet<Vec<u8>>,
}

impl Stores {
    /// Two stores without keys.
    pub(crate) fn take() -> Self {
        SPARE.take().unwrap_or_else(|| Self {
            stores: [Store::new(1), Store::new(2)],
            index: 0,
            now_ms: START_MS,
            named: BTreeSet::new(),
        })
    }

    /// Removes every key that was named. Nothing may be left.
    pub(crate) fn give_back(mut self) {
        let named = std::mem::take(&mut self.named);
        if !named.is_empty() {
            let keys: Vec<&[u8]> = named.iter().map(Vec::as_slice).collect();
            self.execute(&Command::Del { keys: Keys::Many(keys) });
            self.named.clear();
        }
        for store in &mut self.stores {
            assert!(store.is_empty(), "{} keys that no command has named", store.len());
            assert_eq!(store.memory_bytes(), 0, "bytes counted for no key");
            while store.collect_garbage(usize::MAX) {}
        }
        SPARE.set(Some(self));
    }

    /// Whether another command may be carried out.
    pub(crate) fn have_room(&self) -> bool {
        self.stores[0].memory_bytes() < MAX_STORED_BYTES
    }

    /// Both answer as they should.
    pub(crate) fn execute(&mut self, command: &Command<'_>) -> Reply {
        check_encoding(command);
        self.named.extend(command.keys().map(<[u8]>::to_vec));
        self.index += 1;
        // Now and then long enough for short times to be over.
        self.now_ms += if self.index.is_multiple_of(8) { 1000 } else { 1 };
        let is_write = command.is_write();
        let [first, second] = self.stores.each_mut().map(|store| {
            if !is_write {
                return store.read(command, self.now_ms);
            }
            store.advance(self.now_ms, self.index);
            store.execute(command, self.index)
        });
        assert_eq!(first, second, "by two stores to {command:?}");
        let [first_bytes, second_bytes] = self.stores.each_ref().map(Store::memory_bytes);
        assert_eq!(first_bytes, second_bytes, "bytes counted by two stores after {command:?}");
        check_reply(&first);
        first
    }

    /// Fails if the stores do not hold the same.
    pub(crate) fn assert_equal(&self) {
        let [first, second] = self.stores.each_ref().map(Store::digest);
        assert_eq!(first, second, "digests");
    }
}

/// What is written into the log is what is read from it.
pub(crate) fn check_encoding(command: &Command<'_>) {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    assert!(bytes.len() <= MAX_ENCODED_BYTES, "{} bytes for {command:?}", bytes.len());
    assert_eq!(Command::decode(&bytes).as_ref(), Ok(command), "written and read again");
}

/// It travels to other nodes, and is no larger than they take.
fn check_reply(reply: &Reply) {
    let size = reply.memory_bytes();
    assert!(size <= MAX_REPLY_BYTES + REPLY_OVERHEAD_BYTES, "a reply of {size} bytes");
    let mut bytes = Vec::new();
    reply.encode(&mut bytes);
    let bytes = Bytes::from(bytes);
    assert_eq!(Reply::decode(&bytes).as_ref(), Ok(reply), "written and read again");
    if let Reply::Bulk(value) = reply {
        assert!(value.len() <= MAX_VALUE_BYTES, "a value of {} bytes", value.len());
    }
}
