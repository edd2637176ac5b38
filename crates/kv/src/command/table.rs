//! The commands that the store serves, by name, with the figures that Redis's COMMAND INFO prints for them:
//! clients place and batch commands by these. (Redis 7 documentation, "COMMAND".)

use super::{Command, hash, parse, parse_expiry, parse_keys, session};
use crate::reply::Reply;

/// Reads the arguments behind the name. Their number fits the arity.
pub(super) type ParseArguments = for<'a> fn(&[&'a [u8]]) -> Result<Command<'a>, Reply>;

/// One command name.
#[derive(Debug)]
pub struct CommandSpec {
    /// The name, in lower case.
    pub name: &'static str,
    /// The number of arguments, the name included; negative: at least so many.
    pub arity: i32,
    /// Redis's flags, in Redis's order.
    pub flags: &'static [&'static str],
    /// The position of the first key, the name being 0; 0 if there is no key.
    pub first_key: i32,
    /// The position of the last key, negative if counted from the end; 0 if there is no key.
    pub last_key: i32,
    /// The distance from one key to the next; 0 if there is no key.
    pub step: i32,
    pub(super) parse: ParseArguments,
}

impl CommandSpec {
    /// Whether a command may have `count` arguments, the name included.
    pub fn takes(&self, count: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { count >= least } else { count == least }
    }
}

/// The command called `name`, in whatever case.
pub fn lookup(name: &[u8]) -> Option<&'static CommandSpec> {
    SPECS.iter().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
}

const READ: &[&str] = &["readonly", "fast"];
const READ_SLOW: &[&str] = &["readonly"];
const WRITE: &[&str] = &["write"];
const WRITE_FAST: &[&str] = &["write", "fast"];
const WRITE_GROWS: &[&str] = &["write", "denyoom"];
const WRITE_GROWS_FAST: &[&str] = &["write", "denyoom", "fast"];

/// No key, one key, two keys, all arguments are keys, every other argument is a key: first, last, step.
const NONE: [i32; 3] = [0, 0, 0];
const ONE: [i32; 3] = [1, 1, 1];
const TWO: [i32; 3] = [1, 2, 1];
const ALL: [i32; 3] = [1, -1, 1];
const PAIRS: [i32; 3] = [1, -1, 2];

const fn spec(
    name: &'static str,
    arity: i32,
    flags: &'static [&'static str],
    [first_key, last_key, step]: [i32; 3],
    parse: ParseArguments,
) -> CommandSpec {
    CommandSpec { name, arity, flags, first_key, last_key, step, parse }
}

/// Every command, the most used first: [`lookup`] goes through them in this order. The server, which knows more
/// commands than these, has an index of all of them.
pub static SPECS: &[CommandSpec] = &[
    spec("get", 2, READ, ONE, parse::get),
    spec("set", -3, WRITE_GROWS, ONE, parse_expiry::set),
    spec("incr", 2, WRITE_GROWS_FAST, ONE, parse::incr),
    spec("mget", -2, READ, ALL, parse::mget),
    spec("mset", -3, WRITE_GROWS, PAIRS, parse::mset),
    spec("del", -2, WRITE, ALL, parse::del),
    spec("append", 3, WRITE_GROWS_FAST, ONE, parse::append),
    spec("exists", -2, READ, ALL, parse::exists),
    spec("incrby", 3, WRITE_GROWS_FAST, ONE, parse::incrby),
    spec("decr", 2, WRITE_GROWS_FAST, ONE, parse::decr),
    spec("decrby", 3, WRITE_GROWS_FAST, ONE, parse::decrby),
    spec("setnx", 3, WRITE_GROWS_FAST, ONE, parse::setnx),
    spec("getset", 3, WRITE_GROWS_FAST, ONE, parse::getset),
    spec("strlen", 2, READ, ONE, parse::strlen),
    spec("getdel", 2, WRITE_FAST, ONE, parse::getdel),
    spec("delex", -2, WRITE_FAST, ONE, parse::delex),
    spec("incrbyfloat", 3, WRITE_GROWS_FAST, ONE, parse::incrbyfloat),
    spec("getrange", 4, READ_SLOW, ONE, parse::getrange),
    spec("setrange", 4, WRITE_GROWS, ONE, parse::setrange),
    spec("substr", 4, READ_SLOW, ONE, parse::getrange),
    spec("msetnx", -3, WRITE_GROWS, PAIRS, parse::msetnx),
    spec("unlink", -2, WRITE_FAST, ALL, parse::del),
    spec("touch", -2, READ, ALL, parse::exists),
    spec("type", 2, READ, ONE, parse::kind),
    spec("expire", -3, WRITE_FAST, ONE, parse_expiry::expire),
    spec("pexpire", -3, WRITE_FAST, ONE, parse_expiry::pexpire),
    spec("ttl", 2, READ, ONE, parse_expiry::ttl),
    spec("pttl", 2, READ, ONE, parse_expiry::pttl),
    spec("setex", 4, WRITE_GROWS, ONE, parse_expiry::setex),
    spec("psetex", 4, WRITE_GROWS, ONE, parse_expiry::psetex),
    spec("getex", -2, WRITE_FAST, ONE, parse_expiry::getex),
    spec("persist", 2, WRITE_FAST, ONE, parse_expiry::persist),
    spec("expireat", -3, WRITE_FAST, ONE, parse_expiry::expireat),
    spec("pexpireat", -3, WRITE_FAST, ONE, parse_expiry::pexpireat),
    spec("expiretime", 2, READ, ONE, parse_expiry::expiretime),
    spec("pexpiretime", 2, READ, ONE, parse_expiry::pexpiretime),
    spec("hget", 3, READ, ONE, hash::hget),
    spec("hset", -4, WRITE_GROWS_FAST, ONE, hash::hset),
    spec("hgetall", 2, READ_SLOW, ONE, hash::hgetall),
    spec("hmget", -3, READ, ONE, hash::hmget),
    spec("hdel", -3, WRITE_FAST, ONE, hash::hdel),
    spec("hincrby", 4, WRITE_GROWS_FAST, ONE, hash::hincrby),
    spec("hexists", 3, READ, ONE, hash::hexists),
    spec("hlen", 2, READ, ONE, hash::hlen),
    spec("hkeys", 2, READ_SLOW, ONE, hash::hkeys),
    spec("hvals", 2, READ_SLOW, ONE, hash::hvals),
    spec("hmset", -4, WRITE_GROWS_FAST, ONE, hash::hmset),
    spec("hsetnx", 4, WRITE_GROWS_FAST, ONE, hash::hsetnx),
    spec("hscan", -3, READ_SLOW, ONE, hash::hscan),
    spec("hincrbyfloat", 4, WRITE_GROWS_FAST, ONE, hash::hincrbyfloat),
    spec("hrandfield", -2, READ_SLOW, ONE, hash::hrandfield),
    spec("hstrlen", 3, READ, ONE, hash::hstrlen),
    spec("scan", -2, READ_SLOW, NONE, parse_keys::scan),
    spec("keys", 2, READ_SLOW, NONE, parse_keys::keys),
    spec("randomkey", 1, READ_SLOW, NONE, parse_keys::randomkey),
    spec("rename", 3, WRITE, TWO, parse_keys::rename),
    spec("renamenx", 3, WRITE_FAST, TWO, parse_keys::renamenx),
    spec("copy", -3, WRITE_GROWS, TWO, parse_keys::copy),
    spec("object", -2, &[], NONE, parse_keys::object),
    spec("memory", -2, &[], NONE, parse_keys::memory),
    spec("dbsize", 1, READ, NONE, parse::dbsize),
    spec("flushdb", -1, WRITE, NONE, parse::flushall),
    spec("flushall", -1, WRITE, NONE, parse::flushall),
    spec("once", -2, WRITE, NONE, session::once),
];

#[cfg(test)]
mod tests;
