use super::*;
use crate::codec::DecodeError;
use crate::command::Keys;

fn parse(line: &str) -> Result<Command<'_>, Reply> {
    let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    Command::parse(&args)
}

#[test]
fn names_are_of_one_command_where_they_do_the_same() {
    assert_eq!(parse("unlink a b"), parse("del a b"));
    assert_eq!(parse("touch a b"), parse("exists a b"));
    assert_eq!(parse("substr a 0 1"), parse("getrange a 0 1"));
    assert_eq!(parse("flushdb sync"), parse("flushall"));
    assert_eq!(parse("delex a"), Ok(Command::Del { keys: Keys::One(b"a") }));
}

#[test]
fn a_cursor_is_read_as_redis_reads_it() {
    let read = |text: &[u8]| cursor(text).ok();
    for (text, number) in [
        (&b""[..], 0),
        (b"0", 0),
        (b"00017", 17),
        (b"+5", 5),
        (b"18446744073709551615", u64::MAX),
        (b"-1", u64::MAX),
        (b"-18446744073709551615", 1),
        (b"7\0x", 7),
        (b"\0", 0),
    ] {
        assert_eq!(read(text), Some(number), "{text:?}");
    }
    for text in [&b"-"[..], b"+", b" 1", b"1 ", b"\t1", b"x", b"1x", b"0x1", b"--1", b"18446744073709551616"]
    {
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[test]
fn later_options_count() {
    let scan = Command::Scan { cursor: 3, count: 9, pattern: Some(b"y"), type_name: Some(b"string") };
    assert_eq!(parse("scan 3 COUNT 1 match x type hash Match y Type string count 9"), Ok(scan));
    let copy = Command::Copy { key: b"a", to: b"b", replace: true };
    assert_eq!(parse("copy a b db 0 Replace DB 0"), Ok(copy));
}

/// The bytes are in files. A change here breaks every log that was ever written.
#[test]
fn the_encoding_stays_as_it_is() {
    let cases: [(&str, &[u8]); 22] = [
        ("getrange k 1 -2", b"\x30\x01k\x01\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff"),
        ("setrange k 300 v", b"\x31\x01k\xac\x02\x01v"),
        ("incrbyfloat k 1.5", b"\x32\x01k\x031.5"),
        ("msetnx k v l w", b"\x33\x02\x01k\x01v\x01l\x01w"),
        ("getdel k", b"\x34\x01k"),
        ("set k v ifeq w", b"\x35\x01\x01k\x01v\x01w"),
        ("set k v ifne w get keepttl", b"\x35\x0e\x01k\x01v\x01w"),
        ("set k v px 9 ifeq w", b"\x35\x11\x09\0\0\0\0\0\0\0\x01k\x01v\x01w"),
        ("delex k ifeq v", b"\x36\x01\x01k\x01v"),
        ("delex k ifne v", b"\x36\x02\x01k\x01v"),
        ("rename k l", b"\x37\x00\x01k\x01l"),
        ("renamenx k l", b"\x37\x01\x01k\x01l"),
        ("copy k l", b"\x38\x00\x01k\x01l"),
        ("copy k l replace", b"\x38\x01\x01k\x01l"),
        ("randomkey", b"\x39\0\0\0\0\0\0\0\0"),
        ("keys k*", b"\x3a\x02k*"),
        ("scan 300 count 7", b"\x3b\x00\xac\x02\x07"),
        ("scan 0 match k* type t", b"\x3b\x03\x00\x0a\x02k*\x01t"),
        ("object encoding k", b"\x3c\x00\x01k"),
        ("object refcount k", b"\x3c\x01\x01k"),
        ("object freq k", b"\x3c\x02\x01k"),
        ("memory usage k", b"\x3d\x01k"),
    ];
    for (line, bytes) in cases {
        let mut encoded = Vec::new();
        parse(line).unwrap().encode(&mut encoded);
        assert_eq!(encoded, bytes, "{line}");
        assert_eq!(Command::decode(bytes), Ok(parse(line).unwrap()));
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let decode = |bytes: &'static [u8]| Command::decode(bytes).unwrap_err();
    assert_eq!(decode(b"\x3e"), DecodeError::UnknownOpcode(62));
    assert_eq!(decode(b"\x33\x00"), DecodeError::EmptyList);
    for flags in [b"\x35\x00\x01k\x01v\x01w", b"\x35\x03\x01k\x01v\x01w"] {
        assert!(matches!(decode(flags), DecodeError::UnknownFlags(_)));
    }
    assert_eq!(decode(b"\x36\x03\x01k\x01v"), DecodeError::UnknownFlags(3));
    assert_eq!(decode(b"\x37\x02\x01k\x01l"), DecodeError::UnknownFlags(2));
    assert_eq!(decode(b"\x3b\x04\x00\x01"), DecodeError::UnknownFlags(4));
    assert_eq!(decode(b"\x3b\x00\x00\x00"), DecodeError::MalformedNumber);
    assert_eq!(decode(b"\x3c\x03\x01k"), DecodeError::UnknownFlags(3));
    assert!(matches!(decode(b"\x3a\x81\x08"), DecodeError::TooLarge { size: 1025, .. }));
    assert!(matches!(decode(b"\x32\x01k\x81\x28"), DecodeError::TooLarge { size: 5121, .. }));
}

/// Redis looks at the key first, so this one must get as far as that.
#[test]
fn a_number_that_is_too_long_for_redis_is_cut_and_stays_none() {
    let line = format!("incrbyfloat k {}", "1".repeat(6000));
    let Ok(Command::IncrByFloat { text, .. }) = parse(&line) else { panic!("no command") };
    assert_eq!(text.len(), 5120);
    assert_eq!(crate::long_double::LongDouble::parse(text), None);
}
