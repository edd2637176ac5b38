//! CONFIG: the settings that tools ask for, under Redis's names for them, with what is true here.

use super::{NodeInfo, glob};
use crate::resp::{MAX_BULK_BYTES, Value};

/// `CONFIG GET pattern ...`: every setting that one of the patterns fits, once.
pub(super) fn get(patterns: &[&[u8]], node: &NodeInfo) -> Value {
    let settings: [(&str, String); 14] = [
        // Every acknowledged write is synced, by a majority.
        ("appendfsync", "always".into()),
        ("appendonly", "yes".into()),
        ("bind", node.listen.ip().to_string()),
        ("cluster-enabled", "no".into()),
        ("databases", "1".into()),
        ("dir", node.data_dir.clone()),
        ("maxclients", node.max_clients.to_string()),
        ("maxmemory", "0".into()),
        ("maxmemory-policy", "noeviction".into()),
        ("port", node.listen.port().to_string()),
        ("proto-max-bulk-len", MAX_BULK_BYTES.to_string()),
        ("requirepass", String::new()),
        // The snapshots of the log are no RDB files and follow no such schedule.
        ("save", String::new()),
        ("timeout", "0".into()),
    ];
    let is_wanted = |name: &str| patterns.iter().any(|pattern| glob::matches(pattern, name.as_bytes()));
    let wanted = settings.into_iter().filter(|(name, _)| is_wanted(name));
    Value::Map(wanted.map(|(name, setting)| (Value::text(name), Value::bulk(setting))).collect())
}

/// `CONFIG SET`: a setting of one node changed behind the cluster's back would be gone after a restart.
pub(super) fn set() -> Value {
    Value::error("ERR CONFIG SET is not supported; settings are given when the server is started")
}

/// `FUNCTION FLUSH [ASYNC|SYNC]`: there are no functions, so after it there are none.
pub(super) fn function_flush(args: &[&[u8]]) -> Value {
    match &args[2..] {
        [] => Value::ok(),
        [mode] if mode.eq_ignore_ascii_case(b"ASYNC") || mode.eq_ignore_ascii_case(b"SYNC") => Value::ok(),
        _ => Value::error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
    }
}
