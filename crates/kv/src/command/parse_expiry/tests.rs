use super::*;

fn parse(line: &str) -> Result<Command<'_>, Reply> {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    Command::parse(&args)
}

/// Each text is redis-server 7.0.15's answer to that very request, without the `-`.
#[test]
fn errors_are_in_the_words_of_redis() {
    const SYNTAX: &str = "ERR syntax error";
    const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
    const NX_ALONE: &str = "ERR NX and XX, GT or LT options at the same time are not compatible";
    const NOT_BOTH: &str = "ERR GT and LT options at the same time are not compatible";
    let answers = [
        ("set a b ex", SYNTAX),
        ("set a b ex x", NOT_AN_INTEGER),
        ("set a b ex 0", "ERR invalid expire time in 'set' command"),
        ("set a b ex -1", "ERR invalid expire time in 'set' command"),
        ("set a b px 0", "ERR invalid expire time in 'set' command"),
        ("set a b exat 0", "ERR invalid expire time in 'set' command"),
        ("set a b pxat -5", "ERR invalid expire time in 'set' command"),
        ("set a b ex 9223372036854775807", "ERR invalid expire time in 'set' command"),
        ("set a b ex 9223372036854775", "ERR invalid expire time in 'set' command"),
        ("set a b px 9223372036854775807", "ERR invalid expire time in 'set' command"),
        ("set a b exat 9223372036854775807", "ERR invalid expire time in 'set' command"),
        ("set a b exat 9223372036854776", "ERR invalid expire time in 'set' command"),
        ("set a b ex 1.5", NOT_AN_INTEGER),
        ("set a b ex 10 px 10", SYNTAX),
        ("set a b px 10 pxat 10", SYNTAX),
        ("set a b keepttl ex 10", SYNTAX),
        ("set a b ex 10 keepttl", SYNTAX),
        ("set a b ex 10 persist", SYNTAX),
        ("set a b persist", SYNTAX),
        ("set a b ex 0 foo", SYNTAX),
        ("set a b ex x nx xx", SYNTAX),
        ("set a", "ERR wrong number of arguments for 'set' command"),
        ("setex a 10", "ERR wrong number of arguments for 'setex' command"),
        ("setex a 0 b", "ERR invalid expire time in 'setex' command"),
        ("setex a -1 b", "ERR invalid expire time in 'setex' command"),
        ("setex a x b", NOT_AN_INTEGER),
        ("setex a 9223372036854775807 b", "ERR invalid expire time in 'setex' command"),
        ("setex a 10 b c", "ERR wrong number of arguments for 'setex' command"),
        ("psetex a 0 b", "ERR invalid expire time in 'psetex' command"),
        ("psetex a 9223372036854775807 b", "ERR invalid expire time in 'psetex' command"),
        ("psetex a x b", NOT_AN_INTEGER),
        ("getex", "ERR wrong number of arguments for 'getex' command"),
        ("getex a ex", SYNTAX),
        ("getex a ex 10 px 10", SYNTAX),
        ("getex a persist ex 10", SYNTAX),
        ("getex a ex 10 persist", SYNTAX),
        ("getex a keepttl", SYNTAX),
        ("getex a nx", SYNTAX),
        ("getex a get", SYNTAX),
        ("getex a foo", SYNTAX),
        ("expire a", "ERR wrong number of arguments for 'expire' command"),
        ("expire a x", NOT_AN_INTEGER),
        ("expire a 10 foo", "ERR Unsupported option foo"),
        ("expire a x foo", "ERR Unsupported option foo"),
        ("expire a 10 nx xx", NX_ALONE),
        ("expire a 10 nx gt", NX_ALONE),
        ("expire a 10 nx lt", NX_ALONE),
        ("expire a 10 gt lt", NOT_BOTH),
        ("expire a 10 xx gt lt", NOT_BOTH),
        ("expire a 9223372036854775807", "ERR invalid expire time in 'expire' command"),
        ("expire a -9223372036854775808", "ERR invalid expire time in 'expire' command"),
        ("expire a 9223372036854776", "ERR invalid expire time in 'expire' command"),
        ("pexpire a 9223372036854775807", "ERR invalid expire time in 'pexpire' command"),
        ("expireat a 9223372036854775807", "ERR invalid expire time in 'expireat' command"),
        ("expireat a 9223372036854776", "ERR invalid expire time in 'expireat' command"),
        ("pexpireat a x", NOT_AN_INTEGER),
        ("ttl", "ERR wrong number of arguments for 'ttl' command"),
        ("ttl a b", "ERR wrong number of arguments for 'ttl' command"),
        ("pttl", "ERR wrong number of arguments for 'pttl' command"),
        ("expiretime", "ERR wrong number of arguments for 'expiretime' command"),
        ("pexpiretime a b", "ERR wrong number of arguments for 'pexpiretime' command"),
        ("persist", "ERR wrong number of arguments for 'persist' command"),
        ("persist a b", "ERR wrong number of arguments for 'persist' command"),
        ("getex k ex 0", "ERR invalid expire time in 'getex' command"),
        ("getex k ex x", NOT_AN_INTEGER),
        ("getex k px -1", "ERR invalid expire time in 'getex' command"),
        ("getex k ex 9223372036854775807", "ERR invalid expire time in 'getex' command"),
        ("getex k px 9223372036854775807", "ERR invalid expire time in 'getex' command"),
    ];
    for (request, answer) in answers {
        assert_eq!(parse(request), Err(Reply::error(answer.to_owned())), "{request}");
    }
}

#[test]
fn an_unknown_option_comes_back_on_one_line_and_not_whole() {
    let long = [b'x'; 300];
    let refusal = |option: &[u8]| Command::parse(&[b"expire", b"k", b"1", option]).unwrap_err();
    let shown = format!("ERR Unsupported option {}", "x".repeat(127));
    assert_eq!(refusal(&long), Reply::error(shown));
    assert_eq!(refusal(b"a\r\nb"), Reply::error_text("ERR Unsupported option a  b"));
}

#[test]
fn commands_are_understood() {
    use ExpireCondition::{Always, IfAny, IfEarlier, IfEarlierThanAny, IfLater, IfNone};
    let (key, value) = (&b"k"[..], &b"v"[..]);
    let set = |condition, get, expiry| Command::Set { key, value, condition, get, expiry };
    let plain = |expiry| set(Condition::Always, false, expiry);
    let expire = |moment, condition| Command::Expire { key, moment, condition };
    let ttl = |is_absolute, in_seconds| Command::Ttl { key, is_absolute, in_seconds };
    let after = |ms| SetExpiry::To(Moment::After(ms));
    let cases = [
        ("set k v", plain(SetExpiry::Never)),
        ("set k v keepttl", plain(SetExpiry::Keep)),
        ("set k v Ex 10", plain(after(10_000))),
        ("set k v px 10", plain(after(10))),
        ("set k v px 9223367638808264703", plain(after(MAX_AFTER_MS))),
        ("set k v exat 10", plain(SetExpiry::To(Moment::At(10_000)))),
        ("set k v pxat 10", plain(SetExpiry::To(Moment::At(10)))),
        ("set k v ex 1 ex 2", plain(after(2000))),
        ("set k v nx ex 10 get", set(Condition::IfAbsent, true, after(10_000))),
        ("set k v keepttl xx", set(Condition::IfPresent, false, SetExpiry::Keep)),
        ("setex k 10 v", plain(after(10_000))),
        ("psetex k 10 v", plain(after(10))),
        ("getex k", Command::Get { key }),
        ("getex k persist", Command::GetEx { key, expiry: None }),
        ("getex k exat 7", Command::GetEx { key, expiry: Some(Moment::At(7000)) }),
        ("expire k 10", expire(Moment::After(10_000), Always)),
        ("expire k -10 nx nx", expire(Moment::After(-10_000), IfNone)),
        ("pexpire k 10 xx", expire(Moment::After(10), IfAny)),
        ("expireat k 10 gt", expire(Moment::At(10_000), IfLater)),
        ("expireat k 10 xx gt", expire(Moment::At(10_000), IfLater)),
        ("pexpireat k -10 LT", expire(Moment::At(-10), IfEarlier)),
        ("pexpireat k 10 xx lt", expire(Moment::At(10), IfEarlierThanAny)),
        ("persist k", Command::Persist { key }),
        ("ttl k", ttl(false, true)),
        ("pttl k", ttl(false, false)),
        ("expiretime k", ttl(true, true)),
        ("pexpiretime k", ttl(true, false)),
    ];
    for (line, command) in cases {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
    assert!(parse("set k v px 9223367638808264704").is_err());
}

/// The bytes are in files. A change here breaks every log that was ever written.
#[test]
fn the_encoding_stays_as_it_is() {
    let cases: [(&str, &[u8]); 13] = [
        ("set k v keepttl", b"\x0e\x08\x01k\x01v"),
        ("set k v px 2 xx get", b"\x0e\x16\x02\0\0\0\0\0\0\0\x01k\x01v"),
        ("set k v pxat 2", b"\x0e\x20\x02\0\0\0\0\0\0\0\x01k\x01v"),
        ("getex k persist", b"\x0f\0\x01k"),
        ("getex k px 2", b"\x0f\x10\x02\0\0\0\0\0\0\0\x01k"),
        ("pexpire k -2", b"\x10\x10\xfe\xff\xff\xff\xff\xff\xff\xff\x01k"),
        ("pexpireat k 2 nx", b"\x10\x21\x02\0\0\0\0\0\0\0\x01k"),
        ("pexpireat k 2 gt", b"\x10\x23\x02\0\0\0\0\0\0\0\x01k"),
        ("pexpireat k 2 lt xx", b"\x10\x25\x02\0\0\0\0\0\0\0\x01k"),
        ("persist k", b"\x11\x01k"),
        ("pttl k", b"\x12\0\x01k"),
        ("pexpiretime k", b"\x12\x01\x01k"),
        ("expiretime k", b"\x12\x03\x01k"),
    ];
    for (line, bytes) in cases {
        let mut encoded = Vec::new();
        parse(line).unwrap().encode(&mut encoded);
        assert_eq!(encoded, bytes, "{line}");
        assert_eq!(Command::decode(bytes), Ok(parse(line).unwrap()), "{line}");
    }
}

#[test]
fn hostile_bytes_are_refused() {
    use crate::codec::DecodeError;
    let decode = |bytes: &'static [u8]| Command::decode(bytes).unwrap_err();
    assert_eq!(decode(b"\x0e\0\x01k\x01v"), DecodeError::UnknownFlags(0), "what opcode 2 says");
    assert_eq!(decode(b"\x0e\x0b\x01k\x01v"), DecodeError::UnknownFlags(3));
    assert_eq!(decode(b"\x0e\x18\x02\0\0\0\0\0\0\0\x01k\x01v"), DecodeError::UnknownFlags(8));
    assert_eq!(decode(b"\x0e\x30\x02\0\0\0\0\0\0\0\x01k\x01v"), DecodeError::UnknownFlags(0x30));
    assert_eq!(decode(b"\x0f\x01\x01k"), DecodeError::UnknownFlags(1));
    assert_eq!(decode(b"\x10\x01\x01k"), DecodeError::UnknownFlags(1), "no time");
    assert_eq!(decode(b"\x10\x16\x02\0\0\0\0\0\0\0\x01k"), DecodeError::UnknownFlags(6));
    assert_eq!(decode(b"\x10\x10\xff\xff\xff\xff\xff\xff\xff\x7f\x01k"), DecodeError::MalformedNumber);
    assert_eq!(decode(b"\x12\x04\x01k"), DecodeError::UnknownFlags(4));
}
