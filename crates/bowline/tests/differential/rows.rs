//! The commands that are compared: what may stand behind each name, and how replies are compared.
//!
//! A test fails if the server does not say that it has one of them.

/// What may stand in the place of an argument.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    Key,
    /// A key that shares its slot with no other one.
    LonelyKey,
    Field,
    Value,
    /// Mostly a number, often at a limit.
    Int,
    Float,
    /// An offset into a value.
    Offset,
    /// So small that no value gets long.
    Small,
    /// Seconds and milliseconds from now, or since 1970. Never so near that time would decide.
    Seconds,
    Milliseconds,
    AtSeconds,
    AtMilliseconds,
    Pattern,
    /// An option or a fixed word.
    Word(&'static str),
    /// These, or nothing.
    Maybe(&'static [Arg]),
    /// One of these.
    One(&'static [&'static [Arg]]),
    /// None to three of these, in any order.
    Options(&'static [&'static [Arg]]),
    /// These, once to four times.
    Many(&'static [Arg]),
}

/// How replies are compared that are not the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Exact,
    /// A time in seconds or milliseconds that depends on when it was asked.
    Seconds,
    Milliseconds,
    /// In any order.
    Unordered,
    /// Pairs in any order.
    UnorderedPairs,
    /// Of the same shape, chosen at random.
    Shape,
    /// Whatever is no error.
    Errors,
    /// A number of keys. Redis counts those whose time is over, until it comes upon them.
    AtMost,
}

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) args: &'static [Arg],
    /// How often it is drawn.
    pub(crate) weight: u32,
    pub(crate) rule: Rule,
}

use Arg::{
    AtMilliseconds, AtSeconds, Field, Float, Int, Key, LonelyKey, Many, Maybe, Milliseconds, Offset, One,
    Options, Pattern, Seconds, Small, Value, Word,
};

const fn row(name: &'static str, weight: u32, args: &'static [Arg]) -> Row {
    Row { name, args, weight, rule: Rule::Exact }
}

const fn ruled(name: &'static str, weight: u32, rule: Rule, args: &'static [Arg]) -> Row {
    Row { name, args, weight, rule }
}

const GETEX_OPTION: Arg = One(&[
    &[Word("PERSIST")],
    &[Word("EX"), Seconds],
    &[Word("PX"), Milliseconds],
    &[Word("EXAT"), AtSeconds],
    &[Word("PXAT"), AtMilliseconds],
]);

const CONDITION: Arg = Options(&[&[Word("NX")], &[Word("XX")], &[Word("GT")], &[Word("LT")]]);

const SET_OPTIONS: Arg = Options(&[
    &[Word("NX")],
    &[Word("XX")],
    &[Word("GET")],
    &[Word("KEEPTTL")],
    &[Word("EX"), Seconds],
    &[Word("PX"), Milliseconds],
    &[Word("EXAT"), AtSeconds],
    &[Word("PXAT"), AtMilliseconds],
]);

/// Mostly no cursor.
const CURSOR: Arg =
    One(&[&[Word("0")], &[Word("x")], &[Word("1x")], &[Word("99999999999999999999")], &[Value]]);

const FLUSH: Arg = Maybe(&[One(&[&[Word("SYNC")], &[Word("ASYNC")]])]);

/// All rows, by family.
#[rustfmt::skip]
pub(crate) static ROWS: &[Row] = &[
    // Strings
    row("get", 30, &[Key]),
    row("set", 40, &[Key, Value]),
    row("set", 40, &[Key, Value, SET_OPTIONS]),
    row("setnx", 8, &[Key, Value]),
    row("setex", 8, &[Key, Seconds, Value]),
    row("psetex", 8, &[Key, Milliseconds, Value]),
    row("getset", 8, &[Key, Value]),
    row("getdel", 8, &[Key]),
    row("getex", 12, &[Key, Maybe(&[GETEX_OPTION])]),
    row("mget", 8, &[Many(&[Key])]),
    row("mset", 8, &[Many(&[Key, Value])]),
    row("msetnx", 8, &[Many(&[Key, Value])]),
    row("append", 12, &[Key, Value]),
    row("strlen", 8, &[Key]),
    row("getrange", 12, &[Key, Offset, Offset]),
    row("substr", 4, &[Key, Offset, Offset]),
    row("setrange", 10, &[Key, Small, Value]),
    row("incr", 10, &[Key]),
    row("decr", 10, &[Key]),
    row("incrby", 10, &[Key, Int]),
    row("decrby", 10, &[Key, Int]),
    row("incrbyfloat", 12, &[Key, Float]),
    // Keys
    row("del", 12, &[Many(&[Key])]),
    row("unlink", 6, &[Many(&[Key])]),
    row("exists", 8, &[Many(&[Key])]),
    row("touch", 6, &[Many(&[Key])]),
    row("type", 8, &[Key]),
    ruled("scan", 3, Rule::Errors, &[CURSOR, Maybe(&[Word("COUNT"), Small]), Maybe(&[Word("MATCH"), Pattern])]),
    row("rename", 10, &[Key, Key]),
    row("renamenx", 10, &[Key, Key]),
    row("copy", 10, &[Key, Key, Maybe(&[Word("REPLACE")]), Maybe(&[Word("DB"), Word("0")])]),
    ruled("keys", 6, Rule::Unordered, &[Pattern]),
    ruled("randomkey", 3, Rule::Shape, &[]),
    ruled("dbsize", 4, Rule::AtMost, &[]),
    row("flushall", 1, &[FLUSH]),
    row("flushdb", 1, &[FLUSH]),
    // Keys with expiry
    row("expire", 14, &[Key, Seconds, CONDITION]),
    row("pexpire", 14, &[Key, Milliseconds, CONDITION]),
    row("expireat", 14, &[Key, AtSeconds, CONDITION]),
    row("pexpireat", 14, &[Key, AtMilliseconds, CONDITION]),
    row("persist", 8, &[Key]),
    ruled("ttl", 10, Rule::Seconds, &[Key]),
    ruled("pttl", 10, Rule::Milliseconds, &[Key]),
    ruled("expiretime", 10, Rule::Seconds, &[Key]),
    ruled("pexpiretime", 10, Rule::Milliseconds, &[Key]),
    // Hashes
    row("hset", 40, &[Key, Many(&[Field, Value])]),
    row("hmset", 6, &[Key, Many(&[Field, Value])]),
    row("hsetnx", 8, &[Key, Field, Value]),
    row("hget", 12, &[Key, Field]),
    row("hmget", 8, &[Key, Many(&[Field])]),
    ruled("hgetall", 10, Rule::UnorderedPairs, &[Key]),
    ruled("hkeys", 6, Rule::Unordered, &[Key]),
    ruled("hvals", 6, Rule::Unordered, &[Key]),
    row("hlen", 6, &[Key]),
    row("hstrlen", 6, &[Key, Field]),
    row("hexists", 6, &[Key, Field]),
    row("hdel", 10, &[Key, Many(&[Field])]),
    row("hincrby", 10, &[Key, Field, Int]),
    row("hincrbyfloat", 10, &[Key, Field, Float]),
    ruled("hscan", 3, Rule::Errors, &[Key, CURSOR, Maybe(&[Word("COUNT"), Small])]),
    ruled("hrandfield", 6, Rule::Shape, &[Key, Maybe(&[Small, Maybe(&[Word("WITHVALUES")])])]),
    // Connection
    row("ping", 3, &[Maybe(&[Value])]),
    row("echo", 3, &[Value]),
    row("select", 2, &[One(&[&[Word("0")], &[Word("0")], &[Word("16")], &[Word("-1")], &[Word("x")]])]),
    row("client", 2, &[Word("GETNAME")]),
    row("client", 2, &[Word("SETNAME"), Field]),
    row("reset", 1, &[]),
];

/// What makes and ends transactions. When each is drawn depends on whether one is open.
#[rustfmt::skip]
pub(crate) static TRANSACTIONS: &[Row] = &[
    row("multi", 0, &[]),
    row("exec", 0, &[]),
    row("discard", 0, &[]),
    row("watch", 0, &[Many(&[LonelyKey])]),
    row("unwatch", 0, &[]),
];

/// The full iterations: name, whether a key stands in front of the cursor, options.
pub(crate) static ITERATIONS: &[(&str, bool, &[Arg])] = &[
    (
        "scan",
        false,
        &[Maybe(&[Word("MATCH"), Pattern]), Maybe(&[Word("COUNT"), Small]), Maybe(&[Word("TYPE"), KIND])],
    ),
    ("hscan", true, &[Maybe(&[Word("MATCH"), Pattern]), Maybe(&[Word("COUNT"), Small])]),
];

const KIND: Arg = One(&[&[Word("string")], &[Word("hash")], &[Word("STRING")], &[Word("list")]]);
