use super::*;
use crate::command::{MAX_KEY_BYTES, MAX_VALUE_BYTES, SPECS};

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

fn refusal(args: &[&[u8]]) -> String {
    match Command::parse(args) {
        Err(Reply::Error(text)) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{args:?} gives {other:?}"),
    }
}

fn parsed<'a>(line: &'a str) -> HashCommand<'a> {
    match Command::parse(&words(line)) {
        Ok(Command::Hash { key: b"k", command }) => command,
        other => panic!("{line} gives {other:?}"),
    }
}

/// Each text is redis-server 7.0.15's answer to that very request, without the `-`.
#[test]
fn errors_are_in_the_words_of_redis() {
    let arity = |name: &str| format!("ERR wrong number of arguments for '{name}' command");
    for line in [
        "hset k f",
        "hset k f v g",
        "hmset k f",
        "hmset k f v g",
        "hsetnx k f",
        "hsetnx k f v w",
        "hget k",
        "hget k f g",
        "hmget k",
        "hdel k",
        "hlen",
        "hlen k f",
        "hstrlen k",
        "hexists k f g",
        "hgetall",
        "hgetall k f",
        "hkeys",
        "hvals k f",
        "hincrby k f",
        "hincrbyfloat k f",
        "hrandfield",
        "hscan k",
        "hincrby k f 1 2",
    ] {
        let name = line.split(' ').next().unwrap();
        assert_eq!(refusal(&words(line)), arity(name), "{line}");
    }
    for line in [
        "hrandfield k x",
        "hrandfield k 1.0 foo",
        "hscan k 0 count x foo",
        "hincrby k f x",
        "hincrby k f 1.5",
        "hincrby k f 9223372036854775808",
        "hincrby k f +1",
    ] {
        assert_eq!(refusal(&words(line)), "ERR value is not an integer or out of range", "{line}");
    }
    let out_of_range = "ERR value is out of range";
    for (line, error) in [
        ("hincrbyfloat k f x", "ERR value is not a valid float"),
        ("hincrbyfloat k f nan", "ERR value is not a valid float"),
        ("hincrbyfloat k f 1e9999", "ERR value is not a valid float"),
        ("hincrbyfloat k f -inf", "ERR value is NaN or Infinity"),
        ("hrandfield k 1 x", "ERR syntax error"),
        ("hrandfield k 1 withvalues x", "ERR syntax error"),
        ("hrandfield k -4611686018427387904 withvalues", out_of_range),
        ("hrandfield k 4611686018427387904 withvalues", out_of_range),
        (
            "hrandfield k -9223372036854775808",
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ),
        ("hscan k x", "ERR invalid cursor"),
        ("hscan k 0 foo", "ERR syntax error"),
        ("hscan k 0 type hash", "ERR syntax error"),
        ("hscan k 0 match", "ERR syntax error"),
        ("hscan k 0 count 0", "ERR syntax error"),
    ] {
        assert_eq!(refusal(&words(line)), error, "{line}");
    }
}

#[test]
fn commands_are_understood() {
    let (field, value) = (&b"f"[..], &b"v"[..]);
    let random =
        |count, with_values| HashCommand::Random { draw: 0, sample: Some(Sample { count, with_values }) };
    let cases = [
        ("hset k f v", HashCommand::Set { pairs: vec![(field, value)], counts: true }),
        ("HMSET k f v f f", HashCommand::Set { pairs: vec![(field, value), (field, field)], counts: false }),
        ("hsetnx k f v", HashCommand::SetNx { field, value }),
        ("hget k f", HashCommand::Get { field }),
        ("hmget k f", HashCommand::GetMany { fields: Keys::One(field) }),
        ("hmget k f v", HashCommand::GetMany { fields: Keys::Many(vec![field, value]) }),
        ("hdel k f", HashCommand::Del { fields: Keys::One(field) }),
        ("hlen k", HashCommand::Len),
        ("hstrlen k f", HashCommand::StrLen { field }),
        ("hexists k f", HashCommand::Exists { field }),
        ("hgetall k", HashCommand::GetAll),
        ("hkeys k", HashCommand::Fields),
        ("hvals k", HashCommand::Values),
        ("hincrby k f -9223372036854775808", HashCommand::IncrBy { field, delta: i64::MIN }),
        ("hincrbyfloat k f 1.5e1", HashCommand::IncrByFloat { field, text: b"1.5e1" }),
        ("hrandfield k", HashCommand::Random { draw: 0, sample: None }),
        ("hrandfield k -3", random(-3, false)),
        ("hrandfield k 7 WITHvalues", random(7, true)),
        ("hscan k 0", HashCommand::Scan { cursor: 0, count: 10, pattern: b"*" }),
        (
            "hscan k 18446744073709551615 COUNT 3 match f",
            HashCommand::Scan { cursor: u64::MAX, count: 3, pattern: field },
        ),
    ];
    for (line, command) in cases {
        assert_eq!(parsed(line), command, "{line}");
        let name = line.split(' ').next().unwrap().to_lowercase();
        let spec = SPECS.iter().find(|spec| spec.name == name).unwrap();
        assert_eq!(spec.flags.contains(&"write"), command.is_write(), "{line}");
    }
}

/// The bytes are in files. A change here breaks every log that was ever written.
#[test]
fn the_encoding_stays_as_it_is() {
    let cases: [(&str, &[u8]); 17] = [
        ("hset k f v g w", b"\x20\x01k\x02\x01f\x01v\x01g\x01w"),
        ("hmset k f v", b"\x21\x01k\x01\x01f\x01v"),
        ("hsetnx k f v", b"\x22\x01k\x01f\x01v"),
        ("hget k f", b"\x23\x01k\x01f"),
        ("hmget k f g", b"\x24\x01k\x02\x01f\x01g"),
        ("hdel k f", b"\x25\x01k\x01\x01f"),
        ("hlen k", b"\x26\x01k"),
        ("hstrlen k f", b"\x27\x01k\x01f"),
        ("hexists k f", b"\x28\x01k\x01f"),
        ("hgetall k", b"\x29\x01k"),
        ("hkeys k", b"\x2a\x01k"),
        ("hvals k", b"\x2b\x01k"),
        ("hincrbyfloat k f 1.5", b"\x2d\x01k\x01f\x031.5"),
        ("hrandfield k", b"\x2e\x01k\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
        (
            "hrandfield k -2 withvalues",
            b"\x2e\x01k\x00\x00\x00\x00\x00\x00\x00\x00\x03\xfe\xff\xff\xff\xff\xff\xff\xff",
        ),
        ("hscan k 300 match f count 5", b"\x2f\x01k\xac\x02\x05\x01f"),
        ("hincrby k f -2", b"\x2c\x01k\x01f\xfe\xff\xff\xff\xff\xff\xff\xff"),
    ];
    for (line, bytes) in cases {
        let command = Command::parse(&words(line)).unwrap();
        let mut encoded = Vec::new();
        command.encode(&mut encoded);
        assert_eq!(encoded, bytes, "{line}");
        assert_eq!(Command::decode(bytes), Ok(command));
    }
}

#[test]
fn limits_hold_at_their_very_edge() {
    let (long, value) = (vec![b'k'; MAX_KEY_BYTES + 1], vec![b'v'; MAX_VALUE_BYTES + 1]);
    let (key, field) = (&long[1..], &long[1..=MAX_FIELD_BYTES]);
    assert!(Command::parse(&[b"HSET", key, field, &value[1..]]).is_ok());
    for name in [&b"HGET"[..], b"HMGET", b"HDEL", b"HSTRLEN", b"HEXISTS"] {
        assert!(Command::parse(&[name, key, field]).is_ok());
        assert_eq!(refusal(&[name, &long, field]), "ERR key exceeds maximum allowed size (65536 bytes)");
        assert_eq!(refusal(&[name, key, &long]), "ERR field exceeds maximum allowed size (65536 bytes)");
    }
    for name in [&b"HSET"[..], b"HMSET", b"HSETNX"] {
        assert_eq!(
            refusal(&[name, key, &long, b"v"]),
            "ERR field exceeds maximum allowed size (65536 bytes)"
        );
        assert_eq!(
            refusal(&[name, key, b"f", &value]),
            "ERR string exceeds maximum allowed size (16777216 bytes)"
        );
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let decode = |bytes: &'static [u8]| Command::decode(bytes).unwrap_err();
    assert_eq!(decode(b"\x20\x01k\x00"), DecodeError::EmptyList);
    assert_eq!(decode(b"\x24\x01k\x00"), DecodeError::EmptyList);
    assert_eq!(decode(b"\x23\x01k"), DecodeError::Truncated);
    assert_eq!(decode(b"\x2f\x01k\x00\x00\x00"), DecodeError::MalformedNumber);
    assert_eq!(decode(b"\x2e\x01k\x00\x00\x00\x00\x00\x00\x00\x00\x02"), DecodeError::UnknownFlags(2));
    assert_eq!(decode(b"\x29\x01kx"), DecodeError::TrailingBytes(1));
    assert!(matches!(
        decode(b"\x23\x01k\x81\x80\x04"),
        DecodeError::TooLarge { what: "field", size: 65537, .. }
    ));
    assert!(matches!(decode(b"\x22\x01k\x01f\x81\x80\x80\x08"), DecodeError::TooLarge { what: "value", .. }));
}
