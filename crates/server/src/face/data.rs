//! What `COMMAND` says of the store's commands beyond what the store says itself.

use bowline_kv::command::{CommandSpec, SPECS};

use super::table::Facts;

const READ: &[&str] = &["@read", "@string", "@fast"];
const WRITE: &[&str] = &["@write", "@string", "@fast"];
const WRITE_SLOW: &[&str] = &["@write", "@string", "@slow"];
const READ_HASH: &[&str] = &["@read", "@hash", "@fast"];
const READ_HASH_SLOW: &[&str] = &["@read", "@hash", "@slow"];
const WRITE_HASH: &[&str] = &["@write", "@hash", "@fast"];
const READ_SLOW: &[&str] = &["@read", "@string", "@slow"];
const FIND: &[&str] = &["@keyspace", "@read", "@fast"];
const REMOVE: &[&str] = &["@keyspace", "@write", "@slow"];
const REMOVE_FAST: &[&str] = &["@keyspace", "@write", "@fast"];
const FIND_SLOW: &[&str] = &["@keyspace", "@read", "@slow"];
const FIND_ALL: &[&str] = &["@keyspace", "@read", "@slow", "@dangerous"];
const REMOVE_ALL: &[&str] = &["@keyspace", "@write", "@slow", "@dangerous"];

const LOOK: &[&str] = &["RO"];
const VALUE: &[&str] = &["RO", "access"];
const EXPIRY: &[&str] = &["@keyspace", "@write", "@fast"];

const CHANGE: &[&str] = &["RW", "access", "update"];
const CHANGE_SOMETIMES: &[&str] = &["RW", "access", "update", "variable_flags"];
const UPDATE: &[&str] = &["RW", "update"];
const LENGTHEN: &[&str] = &["RW", "insert"];
const SHORTEN: &[&str] = &["RW", "delete"];
const NEW: &[&str] = &["OW", "insert"];
const OVERWRITE: &[&str] = &["OW", "update"];
const DELETE: &[&str] = &["RM", "delete"];
const DELETE_SOMETIMES: &[&str] = &["RW", "delete", "variable_flags"];
const MOVE: &[&str] = &["RW", "access", "delete"];

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
    ("getdel", WRITE, MOVE, "string", "6.2.0", "The value of a key, which is removed"),
    ("delex", WRITE, DELETE_SOMETIMES, "string", "8.4.0", "Removes a key if it has, or has not, a certain value"),
    ("incrbyfloat", WRITE, CHANGE, "string", "2.6.0", "Adds to a number with a fraction"),
    ("getrange", READ_SLOW, VALUE, "string", "2.4.0", "A part of a value"),
    ("setrange", WRITE_SLOW, UPDATE, "string", "2.2.0", "Puts bytes over those of a value"),
    ("substr", READ_SLOW, VALUE, "string", "1.0.0", "A part of a value"),
    ("msetnx", WRITE_SLOW, NEW, "string", "1.0.1", "Gives several keys their values if none of them has one"),
    ("unlink", REMOVE_FAST, DELETE, "generic", "4.0.0", "Removes keys"),
    ("touch", FIND, LOOK, "generic", "3.2.1", "How many of the keys there are"),
    ("type", FIND, LOOK, "generic", "1.0.0", "The type of a value"),
    ("expire", EXPIRY, UPDATE, "generic", "1.0.0", "Lets a key expire in so many seconds"),
    ("pexpire", EXPIRY, UPDATE, "generic", "2.6.0", "Lets a key expire in so many milliseconds"),
    ("ttl", FIND, VALUE, "generic", "1.0.0", "In how many seconds a key expires"),
    ("pttl", FIND, VALUE, "generic", "2.6.0", "In how many milliseconds a key expires"),
    ("setex", WRITE_SLOW, OVERWRITE, "string", "2.0.0", "Gives a key a value that expires in so many seconds"),
    ("psetex", WRITE_SLOW, OVERWRITE, "string", "2.6.0", "Gives a key a value that expires in so many milliseconds"),
    ("getex", WRITE, CHANGE, "string", "6.2.0", "The value of a key, which gets another expiry"),
    ("persist", EXPIRY, UPDATE, "generic", "2.2.0", "Takes a key's expiry away"),
    ("expireat", EXPIRY, UPDATE, "generic", "1.2.0", "Lets a key expire at a time in seconds since 1970"),
    ("pexpireat", EXPIRY, UPDATE, "generic", "2.6.0", "Lets a key expire at a time in milliseconds since 1970"),
    ("expiretime", FIND, VALUE, "generic", "7.0.0", "When a key expires, in seconds since 1970"),
    ("pexpiretime", FIND, VALUE, "generic", "7.0.0", "When a key expires, in milliseconds since 1970"),
    ("hget", READ_HASH, VALUE, "hash", "2.0.0", "The value of a field of a hash"),
    ("hset", WRITE_HASH, UPDATE, "hash", "2.0.0", "Gives fields of a hash their values"),
    ("hgetall", READ_HASH_SLOW, VALUE, "hash", "2.0.0", "All fields of a hash with their values"),
    ("hmget", READ_HASH, VALUE, "hash", "2.0.0", "The values of several fields of a hash"),
    ("hdel", WRITE_HASH, SHORTEN, "hash", "2.0.0", "Removes fields of a hash"),
    ("hincrby", WRITE_HASH, CHANGE, "hash", "2.0.0", "Adds to a number in a field of a hash"),
    ("hexists", READ_HASH, LOOK, "hash", "2.0.0", "Whether a hash has a field"),
    ("hlen", READ_HASH, LOOK, "hash", "2.0.0", "How many fields a hash has"),
    ("hkeys", READ_HASH_SLOW, VALUE, "hash", "2.0.0", "All fields of a hash"),
    ("hvals", READ_HASH_SLOW, VALUE, "hash", "2.0.0", "All values of a hash"),
    ("hmset", WRITE_HASH, UPDATE, "hash", "2.0.0", "Gives fields of a hash their values"),
    ("hsetnx", WRITE_HASH, LENGTHEN, "hash", "2.0.0", "Gives a field of a hash a value if it has none"),
    ("hscan", READ_HASH_SLOW, VALUE, "hash", "2.8.0", "Some fields of a hash with their values, and where to go on"),
    ("hincrbyfloat", WRITE_HASH, CHANGE, "hash", "2.6.0", "Adds to a number with a fraction in a field of a hash"),
    ("hrandfield", READ_HASH_SLOW, VALUE, "hash", "6.2.0", "One or some fields of a hash, by chance"),
    ("hstrlen", READ_HASH, LOOK, "hash", "3.2.0", "The length of a field's value in bytes"),
    ("scan", FIND_SLOW, &[], "generic", "2.8.0", "Some of the keys, and where to go on"),
    ("keys", FIND_ALL, &[], "generic", "1.0.0", "The keys of a form"),
    ("randomkey", FIND_SLOW, &[], "generic", "1.0.0", "One of the keys, any"),
    ("rename", REMOVE, MOVE, "generic", "1.0.0", "Gives a key another name"),
    ("renamenx", REMOVE_FAST, MOVE, "generic", "1.0.0", "Gives a key another name that no key has"),
    ("copy", REMOVE, VALUE, "generic", "6.2.0", "Gives what a key holds to another key as well"),
    ("dbsize", FIND, &[], "server", "1.0.0", "How many keys there are"),
    ("flushdb", REMOVE_ALL, &[], "server", "1.0.0", "Removes every key"),
    ("flushall", REMOVE_ALL, &[], "server", "1.0.0", "Removes every key"),
    ("once", WRITE_SLOW, &[], "connection", "7.0.0", "Runs a command once, however often it is sent"),
];

/// What is done to the second key, of the commands that do something else to it than to the first.
pub(super) fn second_key_flags(name: &str) -> Option<&'static [&'static str]> {
    match name {
        "rename" | "copy" => Some(OVERWRITE),
        "renamenx" => Some(NEW),
        _ => None,
    }
}

/// What the table of the server describes, with its subcommands.
const CONTAINERS: [&str; 2] = ["object", "memory"];

/// The store's commands, as the store knows them and as COMMAND describes them.
pub(super) fn all() -> impl Iterator<Item = (&'static CommandSpec, Facts)> {
    SPECS.iter().filter(|spec| !CONTAINERS.contains(&spec.name)).map(|spec| (spec, facts(spec)))
}

fn facts(spec: &CommandSpec) -> Facts {
    let row = ROWS.iter().find(|row| row.0 == spec.name);
    let (name, categories, key_flags, group, since, summary) =
        *row.unwrap_or_else(|| panic!("COMMAND cannot describe the store's command {}", spec.name));
    let keys = [spec.first_key, spec.last_key, spec.step];
    Facts { name, arity: spec.arity, flags: spec.flags, keys, key_flags, categories, group, since, summary }
}
