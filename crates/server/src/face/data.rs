//! What `COMMAND` says of the store's commands beyond what the store says itself.

use bowline_kv::command::{CommandSpec, SPECS};

use super::table::Facts;

const READ: &[&str] = &["@read", "@string", "@fast"];
const WRITE: &[&str] = &["@write", "@string", "@fast"];
const WRITE_SLOW: &[&str] = &["@write", "@string", "@slow"];
const FIND: &[&str] = &["@keyspace", "@read", "@fast"];
const REMOVE: &[&str] = &["@keyspace", "@write", "@slow"];
const REMOVE_ALL: &[&str] = &["@keyspace", "@write", "@slow", "@dangerous"];

const LOOK: &[&str] = &["RO"];
const VALUE: &[&str] = &["RO", "access"];
const EXPIRY: &[&str] = &["@keyspace", "@write", "@fast"];

const CHANGE: &[&str] = &["RW", "access", "update"];
const CHANGE_SOMETIMES: &[&str] = &["RW", "access", "update", "variable_flags"];
const CHANGE_TIME: &[&str] = &["RW", "update"];
const LENGTHEN: &[&str] = &["RW", "insert"];
const NEW: &[&str] = &["OW", "insert"];
const OVERWRITE: &[&str] = &["OW", "update"];
const DELETE: &[&str] = &["RM", "delete"];

/// Name, categories, key flags, group, since, summary.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static str,
    &'static str,
    &'static str,
);

#[rustfmt::skip]
static ROWS: &[Row] = &[
    ("get", READ, VALUE, "string", "1.0.0", "The value of a key"),
    ("set", WRITE_SLOW, CHANGE_SOMETIMES, "string", "1.0.0", "Gives a key a value"),
    ("incr", WRITE, CHANGE, "string", "1.0.0", "Adds one to a number"),
    ("mget", READ, VALUE, "string", "1.0.0", "The values of several keys"),
    ("mset", WRITE_SLOW, OVERWRITE, "string", "1.0.1", "Gives several keys their values, all at once"),
    ("del", REMOVE, DELETE, "generic", "1.0.0", "Removes keys"),
    ("append", WRITE, LENGTHEN, "string", "2.0.0", "Puts bytes behind a value"),
    ("exists", FIND, LOOK, "generic", "1.0.0", "How many of the keys there are"),
    ("incrby", WRITE, CHANGE, "string", "1.0.0", "Adds to a number"),
    ("decr", WRITE, CHANGE, "string", "1.0.0", "Takes one from a number"),
    ("decrby", WRITE, CHANGE, "string", "1.0.0", "Takes from a number"),
    ("setnx", WRITE, NEW, "string", "1.0.0", "Gives a key a value if it has none"),
    ("getset", WRITE, CHANGE, "string", "1.0.0", "Gives a key a value and answers with the old one"),
    ("strlen", READ, LOOK, "string", "2.2.0", "The length of a value in bytes"),
    ("type", FIND, LOOK, "generic", "1.0.0", "The type of a value"),
    ("expire", EXPIRY, CHANGE_TIME, "generic", "1.0.0", "Lets a key expire in so many seconds"),
    ("pexpire", EXPIRY, CHANGE_TIME, "generic", "2.6.0", "Lets a key expire in so many milliseconds"),
    ("ttl", FIND, VALUE, "generic", "1.0.0", "In how many seconds a key expires"),
    ("pttl", FIND, VALUE, "generic", "2.6.0", "In how many milliseconds a key expires"),
    ("setex", WRITE_SLOW, OVERWRITE, "string", "2.0.0", "Gives a key a value that expires in so many seconds"),
    ("psetex", WRITE_SLOW, OVERWRITE, "string", "2.6.0", "Gives a key a value that expires in so many milliseconds"),
    ("getex", WRITE, CHANGE, "string", "6.2.0", "The value of a key, which gets another expiry"),
    ("persist", EXPIRY, CHANGE_TIME, "generic", "2.2.0", "Takes a key's expiry away"),
    ("expireat", EXPIRY, CHANGE_TIME, "generic", "1.2.0", "Lets a key expire at a time in seconds since 1970"),
    ("pexpireat", EXPIRY, CHANGE_TIME, "generic", "2.6.0", "Lets a key expire at a time in milliseconds since 1970"),
    ("expiretime", FIND, VALUE, "generic", "7.0.0", "When a key expires, in seconds since 1970"),
    ("pexpiretime", FIND, VALUE, "generic", "7.0.0", "When a key expires, in milliseconds since 1970"),
    ("dbsize", FIND, &[], "server", "1.0.0", "How many keys there are"),
    ("flushall", REMOVE_ALL, &[], "server", "1.0.0", "Removes every key"),
    ("once", WRITE_SLOW, &[], "connection", "7.4.0", "Runs a command once, however often it is sent"),
];

/// The store's commands.
pub(super) fn all() -> impl Iterator<Item = Facts> {
    SPECS.iter().map(facts)
}

fn facts(spec: &CommandSpec) -> Facts {
    let row = ROWS.iter().find(|row| row.0 == spec.name);
    let (name, categories, key_flags, group, since, summary) =
        *row.unwrap_or_else(|| panic!("COMMAND cannot describe the store's command {}", spec.name));
    let keys = [spec.first_key, spec.last_key, spec.step];
    Facts { name, arity: spec.arity, flags: spec.flags, keys, key_flags, categories, group, since, summary }
}
