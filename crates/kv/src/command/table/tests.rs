use super::*;
use crate::command::unsupported;

#[test]
fn every_name_is_served_or_refused_not_both() {
    let names: Vec<_> =
        unsupported::REDIS_7_COMMANDS.iter().chain(SPECS.iter().map(|spec| &spec.name)).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    // COMMAND COUNT of redis-server 7.0.15, ONCE, and DELEX.
    assert_eq!((names.len(), once.len()), (242, 242));
}

/// What COMMAND INFO of redis-server 7.0.15 prints.
#[test]
fn the_table_says_what_redis_says() {
    let (read, grows) = ("readonly fast", "write denyoom");
    let grows_fast = "write denyoom fast";
    let expected = [
        ("get", 2, read, [1, 1, 1]),
        ("set", -3, grows, [1, 1, 1]),
        ("append", 3, grows_fast, [1, 1, 1]),
        ("strlen", 2, read, [1, 1, 1]),
        ("del", -2, "write", [1, -1, 1]),
        ("exists", -2, read, [1, -1, 1]),
        ("incr", 2, grows_fast, [1, 1, 1]),
        ("decr", 2, grows_fast, [1, 1, 1]),
        ("incrby", 3, grows_fast, [1, 1, 1]),
        ("decrby", 3, grows_fast, [1, 1, 1]),
        ("mget", -2, read, [1, -1, 1]),
        ("mset", -3, grows, [1, -1, 2]),
        ("setnx", 3, grows_fast, [1, 1, 1]),
        ("getset", 3, grows_fast, [1, 1, 1]),
        ("type", 2, read, [1, 1, 1]),
        ("expire", -3, "write fast", [1, 1, 1]),
        ("pexpire", -3, "write fast", [1, 1, 1]),
        ("expireat", -3, "write fast", [1, 1, 1]),
        ("pexpireat", -3, "write fast", [1, 1, 1]),
        ("ttl", 2, read, [1, 1, 1]),
        ("pttl", 2, read, [1, 1, 1]),
        ("expiretime", 2, read, [1, 1, 1]),
        ("pexpiretime", 2, read, [1, 1, 1]),
        ("persist", 2, "write fast", [1, 1, 1]),
        ("setex", 4, grows, [1, 1, 1]),
        ("psetex", 4, grows, [1, 1, 1]),
        ("getex", -2, "write fast", [1, 1, 1]),
        ("hset", -4, grows_fast, [1, 1, 1]),
        ("hmset", -4, grows_fast, [1, 1, 1]),
        ("hsetnx", 4, grows_fast, [1, 1, 1]),
        ("hget", 3, read, [1, 1, 1]),
        ("hmget", -3, read, [1, 1, 1]),
        ("hdel", -3, "write fast", [1, 1, 1]),
        ("hlen", 2, read, [1, 1, 1]),
        ("hstrlen", 3, read, [1, 1, 1]),
        ("hexists", 3, read, [1, 1, 1]),
        ("hgetall", 2, "readonly", [1, 1, 1]),
        ("hkeys", 2, "readonly", [1, 1, 1]),
        ("hvals", 2, "readonly", [1, 1, 1]),
        ("hincrby", 4, grows_fast, [1, 1, 1]),
        ("hincrbyfloat", 4, grows_fast, [1, 1, 1]),
        ("hrandfield", -2, "readonly", [1, 1, 1]),
        ("hscan", -3, "readonly", [1, 1, 1]),
        ("getrange", 4, "readonly", [1, 1, 1]),
        ("substr", 4, "readonly", [1, 1, 1]),
        ("setrange", 4, grows, [1, 1, 1]),
        ("incrbyfloat", 3, grows_fast, [1, 1, 1]),
        ("msetnx", -3, grows, [1, -1, 2]),
        ("getdel", 2, "write fast", [1, 1, 1]),
        ("delex", -2, "write fast", [1, 1, 1]),
        ("unlink", -2, "write fast", [1, -1, 1]),
        ("touch", -2, read, [1, -1, 1]),
        ("rename", 3, "write", [1, 2, 1]),
        ("renamenx", 3, "write fast", [1, 2, 1]),
        ("copy", -3, grows, [1, 2, 1]),
        ("randomkey", 1, "readonly", [0, 0, 0]),
        ("keys", 2, "readonly", [0, 0, 0]),
        ("scan", -2, "readonly", [0, 0, 0]),
        ("object", -2, "", [0, 0, 0]),
        ("memory", -2, "", [0, 0, 0]),
        ("flushdb", -1, "write", [0, 0, 0]),
        ("dbsize", 1, read, [0, 0, 0]),
        ("flushall", -1, "write", [0, 0, 0]),
        ("once", -2, "write", [0, 0, 0]),
    ];
    assert_eq!(SPECS.len(), expected.len());
    for (name, arity, flags, [first, last, step]) in expected {
        let spec = lookup(name.to_uppercase().as_bytes()).unwrap();
        assert_eq!((spec.name, spec.arity, spec.flags.join(" ").as_str()), (name, arity, flags));
        assert_eq!([spec.first_key, spec.last_key, spec.step], [first, last, step], "{name}");
    }
}

#[test]
fn the_keys_are_where_the_table_says() {
    let (words, numbers) = (["a", "b", "c", "d", "1"], ["a", "1", "2", "d", "1"]);
    for (spec, long) in SPECS.iter().flat_map(|spec| [(spec, words), (spec, numbers)]) {
        let long = long.map(str::as_bytes);
        for count in 1..=5 {
            let args: Vec<_> = [spec.name.as_bytes()].into_iter().chain(long).take(count).collect();
            let Ok(command) = Command::parse(&args) else { continue };
            let last = if spec.last_key < 0 { count - 1 } else { spec.last_key.unsigned_abs() as usize };
            let places = (spec.first_key as usize..=last).step_by((spec.step as usize).max(1));
            let keys: Vec<_> = places.filter(|place| *place > 0).map(|place| args[place]).collect();
            assert_eq!(command.keys().collect::<Vec<_>>(), keys, "{args:?}");
        }
    }
}
