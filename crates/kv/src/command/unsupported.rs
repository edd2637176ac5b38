//! The refusals: what Redis has and Bowline does not serve, and what Redis does not have either.

use crate::reply::Reply;

/// How many bytes of an unknown name, and of the arguments behind it together, are repeated in the error.
pub(super) const ECHO_BYTES: usize = 128;

/// The answer to a command that is not served.
pub(super) fn refusal(name: &[u8], args: &[&[u8]]) -> Reply {
    match REDIS_7_COMMANDS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
        Some(known) => {
            Reply::error(format!("ERR command '{known}' is not supported by this version of Bowline"))
        }
        None => unknown(name, args),
    }
}

/// Redis's error for a name that it does not know. It repeats the name and the beginning of the arguments.
fn unknown(name: &[u8], args: &[&[u8]]) -> Reply {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend(echoed(name, ECHO_BYTES));
    text.extend_from_slice(b"', with args beginning with: ");
    let start = text.len();
    for arg in args {
        let length = text.len() - start;
        if length >= ECHO_BYTES {
            break;
        }
        text.push(b'\'');
        text.extend(echoed(arg, ECHO_BYTES - length));
        text.extend_from_slice(b"' ");
    }
    Reply::Error(text.into())
}

/// What an error repeats of what the client sent: `limit` bytes at most, up to the first zero byte, as in Redis, and
/// no line end, which would end the error.
pub(super) fn echoed(bytes: &[u8], limit: usize) -> impl Iterator<Item = u8> {
    let shown = bytes.iter().take(limit).take_while(|&&byte| byte != 0);
    shown.map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte })
}

/// The names of Redis 7.0 that the store's table does not have. The server answers some of them itself,
/// those about the connection and the node, before it asks the store.
#[rustfmt::skip]
pub const REDIS_7_COMMANDS: &[&str] = &[
    "acl", "asking", "auth", "bgrewriteaof", "bgsave", "bitcount", "bitfield", "bitfield_ro", "bitop",
    "bitpos", "blmove", "blmpop", "blpop", "brpop", "brpoplpush", "bzmpop", "bzpopmax", "bzpopmin",
    "client", "cluster", "command", "config", "debug", "discard", "dump", "echo", "eval", "eval_ro",
    "evalsha", "evalsha_ro", "exec", "failover", "fcall", "fcall_ro",
    "function", "geoadd", "geodist", "geohash", "geopos", "georadius", "georadius_ro",
    "georadiusbymember", "georadiusbymember_ro", "geosearch", "geosearchstore", "getbit",
    "hello",
    "info",
    "lastsave", "latency", "lcs", "lindex", "linsert", "llen", "lmove", "lmpop", "lolwut", "lpop",
    "lpos", "lpush", "lpushx", "lrange", "lrem", "lset", "ltrim", "migrate", "module", "monitor",
    "move", "multi", "pfadd",
    "pfcount", "pfdebug", "pfmerge", "pfselftest", "ping", "psubscribe", "psync",
    "publish", "pubsub", "punsubscribe", "quit", "readonly", "readwrite",
    "replconf", "replicaof", "reset", "restore", "restore-asking", "role", "rpop", "rpoplpush", "rpush",
    "rpushx", "sadd", "save", "scard", "script", "sdiff", "sdiffstore", "select", "setbit",
    "shutdown", "sinter", "sintercard", "sinterstore", "sismember", "slaveof", "slowlog",
    "smembers", "smismember", "smove", "sort", "sort_ro", "spop", "spublish", "srandmember", "srem",
    "sscan", "ssubscribe", "subscribe", "sunion", "sunionstore", "sunsubscribe", "swapdb", "sync",
    "time", "unsubscribe", "unwatch", "wait", "watch", "xack", "xadd",
    "xautoclaim", "xclaim", "xdel", "xgroup", "xinfo", "xlen", "xpending", "xrange", "xread", "xreadgroup",
    "xrevrange", "xsetid", "xtrim", "zadd", "zcard", "zcount", "zdiff", "zdiffstore", "zincrby", "zinter",
    "zintercard", "zinterstore", "zlexcount", "zmpop", "zmscore", "zpopmax", "zpopmin", "zrandmember",
    "zrange", "zrangebylex", "zrangebyscore", "zrangestore", "zrank", "zrem", "zremrangebylex",
    "zremrangebyrank", "zremrangebyscore", "zrevrange", "zrevrangebylex", "zrevrangebyscore", "zrevrank",
    "zscan", "zscore", "zunion", "zunionstore",
];
