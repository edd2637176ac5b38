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

    // EXEC is the connection's to understand.
    let exec = |line| once_exec(&words(line));
    assert_eq!(exec("once 3 9 Exec"), Some(Ok((3, 9))));
    let wrong = "ERR ONCE: the number is not a positive integer";
    assert_eq!(exec("ONCE 3 x EXEC"), Some(Err(Reply::error_text(wrong))));
    for line in ["ONCE 3 9 EXEC x", "ONCE 3 9", "ONCE 3 9 GET", "GET 3 9 EXEC", "EXEC"] {
        assert_eq!(exec(line), None, "{line}");
    }
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
    for name in ["sort", "EVAL", "lPush", "setbit", "dump", "zunionstore", "acl"] {
        let lower = name.to_lowercase();
        let text = format!("ERR command '{lower}' is not supported by this version of Bowline");
        assert_eq!(refusal(&words(name)), text);
        assert_eq!(refusal(&words(&format!("{name} a b c"))), text);
    }
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
        ("flushdb Sync", Command::FlushAll),
        ("set k v ifeq w", set(Condition::If(Comparison::Equal(b"w")), false)),
        ("set k v get IFNE w", set(Condition::If(Comparison::NotEqual(b"w")), true)),
        ("getrange k 0 -1", Command::GetRange { key, start: 0, end: -1 }),
        ("setrange k 7 v", Command::SetRange { key, offset: 7, value }),
        ("incrbyfloat k v", Command::IncrByFloat { key, text: b"v" }),
        ("msetnx k v", Command::MSetNx { pairs: vec![(key, value)] }),
        ("getdel k", Command::GetDel { key }),
        ("delex k IfNe v", Command::DelIf { key, comparison: Comparison::NotEqual(value) }),
        ("rename k v", Command::Rename { key, to: value, only_new: false }),
        ("renamenx k v", Command::Rename { key, to: value, only_new: true }),
        ("copy k v", Command::Copy { key, to: value, replace: false }),
        ("randomkey", Command::RandomKey { draw: 0 }),
        ("keys v", Command::Keys { pattern: value }),
        ("scan 7", Command::Scan { cursor: 7, count: 10, pattern: None, type_name: None }),
        ("object Encoding k", Command::Object { key, aspect: Aspect::Encoding }),
        ("object refcount k", Command::Object { key, aspect: Aspect::RefCount }),
        ("memory usage k SAMPLES 0", Command::MemoryUsage { key }),
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
    for name in
        ["get", "strlen", "del", "exists", "incr", "decr", "mget", "type", "getdel", "delex", "unlink"]
    {
        assert!(parse(&[name.as_bytes(), key_fits]).is_ok(), "{name}");
        assert_eq!(refusal(&[name.as_bytes(), &key]), key_error, "{name}");
    }
    assert_eq!(refusal(&[b"incrby", &key, b"1"]), key_error);
    assert_eq!(refusal(&[b"decrby", &key, b"1"]), key_error);
    for line in ["getrange K 0 1", "setrange K 0 v", "incrbyfloat K 1", "delex K ifeq v", "memory usage K"] {
        let args: Vec<_> =
            words(line).into_iter().map(|word| if word == b"K" { key.as_slice() } else { word }).collect();
        assert_eq!(refusal(&args), key_error, "{line}");
    }
    for name in ["rename", "renamenx", "copy"] {
        assert_eq!(refusal(&[name.as_bytes(), &key, b"k"]), key_error, "{name}");
        assert_eq!(refusal(&[name.as_bytes(), b"k", &key]), key_error, "{name}");
    }
    for line in ["setrange k 0 V", "delex k ifeq V", "set k v ifne V"] {
        let args: Vec<_> =
            words(line).into_iter().map(|word| if word == b"V" { value.as_slice() } else { word }).collect();
        assert_eq!(refusal(&args), value_error, "{line}");
    }
    for name in ["set", "setnx", "append", "getset", "mset", "msetnx"] {
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
        prop_oneof![
            "NX",
            "XX",
            "GET",
            "nx",
            "-?[0-9]{1,20}",
            "EX",
            "PXAT",
            "KEEPTTL",
            "PERSIST",
            "GT",
            "LT",
            "IFEQ",
            "IFNE",
            "REPLACE",
            "DB",
            "0",
            "MATCH",
            "COUNT",
            "TYPE",
            "usage",
            "encoding"
        ]
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
    fn what_is_decoded_has_one_encoding(opcode in prop_oneof![0u8..22, 32u8..68], tail in vec(prop_oneof![0u8..5, any::<u8>()], 0..24)) {
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
