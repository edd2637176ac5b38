use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::codec::DecodeError;
use crate::reply::Reply;
use crate::session::once::Limits;

fn parse<'a>(args: &[&'a [u8]]) -> Result<Command<'a>, Reply> {
    Command::parse(args)
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

fn refusal(args: &[&[u8]]) -> String {
    match parse(args) {
        Err(Reply::Error(text)) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{args:?} gives {other:?}"),
    }
}

/// Each text is redis-server 7.0.15's answer to that very request, without the `-`.
#[test]
fn errors_are_in_the_words_of_redis() {
    const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
    const SYNTAX: &str = "ERR syntax error";
    let answers = [
        ("foo a b", "ERR unknown command 'foo', with args beginning with: 'a' 'b' "),
        ("FOO", "ERR unknown command 'FOO', with args beginning with: "),
        ("ONCX x", "ERR unknown command 'ONCX', with args beginning with: 'x' "),
        ("foo  a", "ERR unknown command 'foo', with args beginning with: '' 'a' "),
        ("fo'o", "ERR unknown command 'fo'o', with args beginning with: "),
        ("", "ERR unknown command '', with args beginning with: "),
        ("GeT", "ERR wrong number of arguments for 'get' command"),
        ("get a b", "ERR wrong number of arguments for 'get' command"),
        ("set", "ERR wrong number of arguments for 'set' command"),
        ("set a", "ERR wrong number of arguments for 'set' command"),
        ("append a", "ERR wrong number of arguments for 'append' command"),
        ("strlen", "ERR wrong number of arguments for 'strlen' command"),
        ("del", "ERR wrong number of arguments for 'del' command"),
        ("exists", "ERR wrong number of arguments for 'exists' command"),
        ("incr", "ERR wrong number of arguments for 'incr' command"),
        ("decr a b", "ERR wrong number of arguments for 'decr' command"),
        ("incrby a", "ERR wrong number of arguments for 'incrby' command"),
        ("decrby a", "ERR wrong number of arguments for 'decrby' command"),
        ("mget", "ERR wrong number of arguments for 'mget' command"),
        ("mset", "ERR wrong number of arguments for 'mset' command"),
        ("mset a", "ERR wrong number of arguments for 'mset' command"),
        ("mset a 1 b", "ERR wrong number of arguments for 'mset' command"),
        ("setnx a", "ERR wrong number of arguments for 'setnx' command"),
        ("getset a", "ERR wrong number of arguments for 'getset' command"),
        ("type", "ERR wrong number of arguments for 'type' command"),
        ("dbsize x", "ERR wrong number of arguments for 'dbsize' command"),
        ("flushall x", SYNTAX),
        ("flushall async sync", SYNTAX),
        ("SET a b foo", SYNTAX),
        ("set a b nx xx", SYNTAX),
        ("set a b xx nx", SYNTAX),
        ("set a b ex", SYNTAX),
        ("set a b ex 10 px 10", SYNTAX),
        ("set a b keepttl ex 10", SYNTAX),
        ("set a b ex 10 foo", SYNTAX),
        ("set a b foo ex", SYNTAX),
        ("set a b px -1 nx xx", SYNTAX),
        ("incrby a x", NOT_AN_INTEGER),
        ("incrby a  1", "ERR wrong number of arguments for 'incrby' command"),
        ("incrby a +1", NOT_AN_INTEGER),
        ("incrby a 01", NOT_AN_INTEGER),
        ("incrby a -0", NOT_AN_INTEGER),
        ("incrby a ", NOT_AN_INTEGER),
        ("incrby a 9223372036854775808", NOT_AN_INTEGER),
        ("incrby a -9223372036854775809", NOT_AN_INTEGER),
        ("decrby a x", NOT_AN_INTEGER),
        ("decrby a -9223372036854775808", "ERR decrement would overflow"),
    ];
    for (request, answer) in answers {
        assert_eq!(refusal(&words(request)), answer, "{request:?}");
    }
    assert_eq!(refusal(&[]), "ERR unknown command '', with args beginning with: ");
}

#[test]
fn once_is_a_command_of_the_store_in_a_session_or_about_sessions() {
    let session = |line| match parse(&words(line)) {
        Ok(Command::Session(command)) => command,
        other => panic!("{line}: {other:?}"),
    };
    let limits = Limits { most: 2, idle_ms: 500 };
    assert_eq!(session("once open"), SessionCommand::Open);
    assert_eq!(session("ONCE Close 7"), SessionCommand::Close { session: 7 });
    assert_eq!(session("ONCE LIMITS 2 500"), SessionCommand::SetLimits(limits));
    let set = parse(&words("set a b")).unwrap();
    let run = SessionCommand::Run { session: 3, number: 9, command: Box::new(set) };
    assert_eq!(session("ONCE 3 9 SET a b"), run);
    let largest = format!("ONCE {0} {0} GET a", i64::MAX);
    assert!(!parse(&words(&largest)).unwrap().is_write(), "a reading command is a read");
    assert!(parse(&words("ONCE 3 9 MSET a 1 b 2")).unwrap().is_write());
    let multiple = parse(&words("ONCE 3 9 MSET a 1 b 2"));
    assert_eq!(multiple.unwrap().keys().collect::<Vec<_>>(), [b"a", b"b"]);

    let usage = "ERR ONCE takes OPEN, or CLOSE <session>, or LIMITS <sessions> <idle-milliseconds>, or <session> <number> \
                 <command ...>";
    for line in ["ONCE x", "ONCE open 1", "ONCE close", "ONCE 1 2", "ONCE LIMITS 1", "ONCE close 1 2 3"] {
        assert_eq!(refusal(&words(line)), usage, "{line}");
    }
    for (line, what) in [
        ("ONCE 0 1 GET a", "session"),
        ("ONCE -1 1 GET a", "session"),
        ("ONCE x 1 GET a", "session"),
        ("ONCE 9223372036854775808 1 GET a", "session"),
        ("ONCE 1 0 GET a", "number"),
        ("ONCE 1 01 GET a", "number"),
        ("ONCE CLOSE 0", "session"),
        ("ONCE LIMITS 0 1", "number of sessions"),
        ("ONCE LIMITS 1 0", "number of milliseconds"),
    ] {
        assert_eq!(
            refusal(&words(line)),
            format!("ERR ONCE: the {what} is not a positive integer"),
            "{line}"
        );
    }
    for name in ["multi", "exec", "watch"] {
        let refused = format!("ERR command '{name}' is not supported by this version of Bowline");
        assert_eq!(refusal(&words(&format!("ONCE 1 1 {name} a"))), refused);
    }
    assert_eq!(refusal(&words("ONCE 1 1 get")), "ERR wrong number of arguments for 'get' command");
    for line in ["ONCE 1 1 ONCE 1 1 GET a", "ONCE 1 1 once open"] {
        assert_eq!(refusal(&words(line)), "ERR ONCE takes one command of the store, not another ONCE");
    }
}

/// As redis-server 7.0.15 does it: up to 128 bytes of the name and, all together, of the arguments, with
/// their quotes; each to its first zero byte; line ends as spaces; any other byte as it is.
#[test]
fn an_unknown_command_is_repeated_briefly_and_on_one_line() {
    let (a, b, x) = ("a".repeat(300), "b".repeat(100), vec![&b"x"[..]; 60]);
    let error = |name: &str, args: &str| {
        Reply::error(format!("ERR unknown command '{name}', with args beginning with: {args}"))
    };
    let cases: Vec<(Vec<&[u8]>, Reply)> = vec![
        (vec![b"foo\r\nbar", b"a\nb"], error("foo  bar", "'a b' ")),
        (vec![b"fo\0o", b"a\0b", b"c"], error("fo", "'a' 'c' ")),
        (vec![a.as_bytes(), b"a"], error(&a[..128], "'a' ")),
        (vec![b"foo", &a.as_bytes()[..200]], error("foo", &format!("'{}' ", &a[..128]))),
        (vec![b"foo", &a.as_bytes()[..126], b"b"], error("foo", &format!("'{}' ", &a[..126]))),
        (vec![b"foo", &a.as_bytes()[..124], b"b", b"c"], error("foo", &format!("'{}' 'b' ", &a[..124]))),
        (
            vec![b"foo", &a.as_bytes()[..100], b.as_bytes(), b"c"],
            error("foo", &format!("'{}' '{}' ", &a[..100], &b[..25])),
        ),
        ([&[&b"foo"[..]], &x[..]].concat(), error("foo", &"'x' ".repeat(32))),
    ];
    for (request, answer) in cases {
        assert_eq!(parse(&request), Err(answer));
    }
    let bytes = parse(&[b"f\xff", b"\xfe"]);
    let expected =
        Reply::Error((&b"ERR unknown command 'f\xff', with args beginning with: '\xfe' "[..]).into());
    assert_eq!(bytes, Err(expected));
}

#[test]
fn what_redis_has_and_bowline_does_not_is_refused_by_name() {
    for name in ["copy", "EVAL", "hSet", "setbit", "msetnx", "zunionstore", "acl"] {
        let lower = name.to_lowercase();
        let text = format!("ERR command '{lower}' is not supported by this version of Bowline");
        assert_eq!(refusal(&words(name)), text);
        assert_eq!(refusal(&words(&format!("{name} a b c"))), text);
    }
}

#[test]
fn every_name_is_served_or_refused_not_both() {
    let names: Vec<_> =
        unsupported::REDIS_7_COMMANDS.iter().chain(SPECS.iter().map(|spec| &spec.name)).collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    // COMMAND COUNT of redis-server 7.0.15, and ONCE.
    assert_eq!((names.len(), once.len()), (241, 241));
}

#[test]
fn commands_are_understood() {
    let (key, value) = (&b"k"[..], &b"v"[..]);
    let set = |condition, get| Command::Set { key, value, condition, get, expiry: SetExpiry::Never };
    let cases = [
        ("GET k", Command::Get { key }),
        ("gEt k", Command::Get { key }),
        ("set k v", set(Condition::Always, false)),
        ("set k v nx", set(Condition::IfAbsent, false)),
        ("set k v NX nx", set(Condition::IfAbsent, false)),
        ("set k v Xx", set(Condition::IfPresent, false)),
        ("set k v nx get", set(Condition::IfAbsent, true)),
        ("set k v get xx get", set(Condition::IfPresent, true)),
        ("getset k v", set(Condition::Always, true)),
        ("setnx k v", Command::SetNx { key, value }),
        ("append k v", Command::Append { key, value }),
        ("strlen k", Command::StrLen { key }),
        ("del k", Command::Del { keys: Keys::One(key) }),
        ("exists k v", Command::Exists { keys: Keys::Many(vec![key, value]) }),
        ("incr k", Command::IncrBy { key, delta: 1 }),
        ("decr k", Command::IncrBy { key, delta: -1 }),
        ("incrby k -9223372036854775808", Command::IncrBy { key, delta: i64::MIN }),
        ("decrby k 9223372036854775807", Command::IncrBy { key, delta: -i64::MAX }),
        ("mget k k", Command::MGet { keys: Keys::Many(vec![key, key]) }),
        ("mset k v", Command::MSet { pairs: vec![(key, value)] }),
        ("type k", Command::Type { key }),
        ("dbsize", Command::DbSize),
        ("flushall", Command::FlushAll),
        ("flushall Async", Command::FlushAll),
        ("flushall SYNC", Command::FlushAll),
    ];
    for (line, command) in cases {
        assert_eq!(parse(&words(line)), Ok(command.clone()), "{line}");
        let spec = lookup(words(line)[0]).unwrap();
        assert_eq!(spec.flags.contains(&"write"), command.is_write(), "{line}");
    }
}

#[test]
fn limits_hold_at_their_very_edge() {
    let key = vec![b'k'; MAX_KEY_BYTES + 1];
    let value = vec![b'v'; MAX_VALUE_BYTES + 1];
    let (key_fits, value_fits) = (&key[1..], &value[1..]);
    assert!(parse(&[b"SET", key_fits, value_fits]).is_ok());
    let key_error = "ERR key exceeds maximum allowed size (65536 bytes)";
    let value_error = "ERR string exceeds maximum allowed size (16777216 bytes)";
    for name in ["get", "strlen", "del", "exists", "incr", "decr", "mget", "type"] {
        assert!(parse(&[name.as_bytes(), key_fits]).is_ok(), "{name}");
        assert_eq!(refusal(&[name.as_bytes(), &key]), key_error, "{name}");
    }
    assert_eq!(refusal(&[b"incrby", &key, b"1"]), key_error);
    assert_eq!(refusal(&[b"decrby", &key, b"1"]), key_error);
    for name in ["set", "setnx", "append", "getset", "mset"] {
        assert_eq!(refusal(&[name.as_bytes(), &key, b"v"]), key_error, "{name}");
        assert_eq!(refusal(&[name.as_bytes(), b"k", &value]), value_error, "{name}");
    }
    let half = &value_fits[..MAX_VALUE_BYTES - 3];
    assert!(parse(&[b"MSET", b"a", half, b"b", half]).is_ok());
    let whole = refusal(&[b"MSET", b"ab", half, b"b", half]);
    assert_eq!(whole, "ERR command exceeds maximum allowed size (33554432 bytes)");
    let many = vec![&b"DEL"[..]; MAX_ARGUMENTS + 1];
    assert!(parse(&many[1..]).is_ok());
    assert_eq!(refusal(&many), "ERR command exceeds maximum of 1048576 arguments");
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
    let long = ["a", "b", "c", "d", "1"].map(str::as_bytes);
    for spec in SPECS {
        for count in 1..=5 {
            let args: Vec<_> = [spec.name.as_bytes()].into_iter().chain(long).take(count).collect();
            let Ok(command) = parse(&args) else { continue };
            let last = if spec.last_key < 0 { count - 1 } else { spec.last_key.unsigned_abs() as usize };
            let places = (spec.first_key as usize..=last).step_by((spec.step as usize).max(1));
            let keys: Vec<_> = places.filter(|place| *place > 0).map(|place| args[place]).collect();
            assert_eq!(command.keys().collect::<Vec<_>>(), keys, "{args:?}");
        }
    }
}

/// The bytes are in files. A change here breaks every log that was ever written.
#[test]
fn the_encoding_stays_as_it_is() {
    let cases: [(&str, &[u8]); 17] = [
        ("once open", b"\x40"),
        ("once close 300", b"\x41\xac\x02"),
        ("once 1 300 get k", b"\x42\x01\xac\x02\x01\x01k"),
        ("once limits 2 500", b"\x43\x02\xf4\x03"),
        ("get k", b"\x01\x01k"),
        ("set k v nx get", b"\x02\x05\x01k\x01v"),
        ("setnx k v", b"\x03\x01k\x01v"),
        ("append k vv", b"\x04\x01k\x02vv"),
        ("strlen k", b"\x05\x01k"),
        ("del k l", b"\x06\x02\x01k\x01l"),
        ("exists k", b"\x07\x01\x01k"),
        ("decrby k 2", b"\x08\x01k\xfe\xff\xff\xff\xff\xff\xff\xff"),
        ("mget k", b"\x09\x01\x01k"),
        ("mset k v", b"\x0a\x01\x01k\x01v"),
        ("type k", b"\x0b\x01k"),
        ("dbsize", b"\x0c"),
        ("flushall", b"\x0d"),
    ];
    for (line, bytes) in cases {
        let mut encoded = Vec::new();
        parse(&words(line)).unwrap().encode(&mut encoded);
        assert_eq!(encoded, bytes, "{line}");
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let decode = |bytes: &'static [u8]| Command::decode(bytes).unwrap_err();
    assert_eq!(decode(b""), DecodeError::Truncated);
    assert_eq!(decode(b"\x00"), DecodeError::UnknownOpcode(0));
    assert_eq!(decode(b"\x15"), DecodeError::UnknownOpcode(21));
    assert_eq!(decode(b"\x80"), DecodeError::UnknownOpcode(0x80));
    assert_eq!(decode(b"\x0cx"), DecodeError::TrailingBytes(1));
    assert_eq!(decode(b"\x01\x02k"), DecodeError::Truncated);
    assert_eq!(decode(b"\x02\x03\x01k\x01v"), DecodeError::UnknownFlags(3));
    assert_eq!(decode(b"\x02\x08\x01k\x01v"), DecodeError::UnknownFlags(8));
    assert_eq!(decode(b"\x06\x00"), DecodeError::EmptyList);
    assert_eq!(decode(b"\x0a\x00"), DecodeError::EmptyList);
    for nested in [b"\x42\x01\x01\x42\x01\x01\x0c", &b"\x42\x01\x01\x40"[..]] {
        assert!(matches!(Command::decode(nested), Err(DecodeError::UnknownOpcode(64 | 66))));
    }
    assert_eq!(decode(b"\x42\x00\x01\x0c"), DecodeError::MalformedNumber);
    assert_eq!(decode(b"\x43\x01\x00"), DecodeError::MalformedNumber);
    assert_eq!(decode(b"\x42\x01\x01"), DecodeError::Truncated);
    let deep = [0x42, 1, 1].repeat(100_000);
    assert_eq!(Command::decode(&deep), Err(DecodeError::UnknownOpcode(66)));
    // A list of 2^20 keys, of which there is not one.
    assert_eq!(decode(b"\x06\x80\x80\x40"), DecodeError::Truncated);
    assert!(matches!(decode(b"\x01\x81\x80\x04"), DecodeError::TooLarge { size: 65537, .. }));
    assert!(matches!(decode(b"\x04\x01k\x81\x80\x80\x08"), DecodeError::TooLarge { size: 16777217, .. }));
    assert!(matches!(decode(b"\x06\x81\x80\x40"), DecodeError::TooLarge { size: 1048577, .. }));
    let long = vec![b'x'; MAX_ENCODED_BYTES + 1];
    assert!(matches!(Command::decode(&long), Err(DecodeError::TooLarge { .. })));
}

/// Pieces that make both good and nearly good commands.
fn argument() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"k".to_vec()),
        vec(any::<u8>(), 0..200),
        prop_oneof!["NX", "XX", "GET", "nx", "-?[0-9]{1,20}", "EX", "PXAT", "KEEPTTL", "PERSIST", "GT", "LT"]
            .prop_map(String::into_bytes),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
    ]
}

fn request() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (0..SPECS.len(), vec(argument(), 0..7)).prop_map(|(spec, mut args)| {
        args.insert(0, SPECS[spec].name.as_bytes().to_vec());
        args
    })
}

proptest! {
    #![proptest_config(crate::fixed_cases())]

    #[test]
    fn what_is_encoded_is_decoded(request in request()) {
        let args: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
        if let Ok(command) = Command::parse(&args) {
            let mut bytes = Vec::new();
            command.encode(&mut bytes);
            prop_assert!(bytes.len() <= MAX_ENCODED_BYTES);
            prop_assert_eq!(Command::decode(&bytes), Ok(command.clone()));
            for end in 0..bytes.len() {
                prop_assert!(Command::decode(&bytes[..end]).is_err(), "cut at {}", end);
            }
            bytes.push(0);
            prop_assert_eq!(Command::decode(&bytes), Err(DecodeError::TrailingBytes(1)));
        }
    }

    /// Any bytes at all: refused, or a command with exactly these bytes.
    #[test]
    fn what_is_decoded_has_one_encoding(opcode in prop_oneof![0u8..22, 64u8..68], tail in vec(prop_oneof![0u8..5, any::<u8>()], 0..24)) {
        let bytes = [&[opcode], &tail[..]].concat();
        if let Ok(command) = Command::decode(&bytes) {
            let mut again = Vec::new();
            command.encode(&mut again);
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn no_request_panics(args in vec(argument(), 0..6)) {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        if let Err(reply) = Command::parse(&args) {
            let Reply::Error(text) = reply else { panic!("{reply:?}") };
            prop_assert!(!text.contains(&b'\n') && !text.contains(&b'\r'));
        }
    }
}
