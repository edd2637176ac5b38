use super::super::*;
use crate::codec::DecodeError;
use crate::slot::Slots;

fn parse(line: &str) -> Command<'_> {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    Command::parse(&args).unwrap()
}

fn exec<'a>(conditions: &[Unchanged<'a>], lines: &[&'a str]) -> Command<'a> {
    Command::Exec {
        conditions: conditions.to_vec(),
        commands: lines.iter().map(|line| parse(line)).collect(),
    }
}

fn encoded(command: &Command<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    bytes
}

const WATCHED: [Unchanged<'static>; 2] =
    [Unchanged { key: b"w", existed: true, since: 5 }, Unchanged { key: b"x", existed: false, since: 300 }];

/// The bytes are in files. A change here breaks every log that was ever written.
#[test]
fn the_encoding_stays_as_it_is() {
    let in_session = |command| {
        Command::Session(SessionCommand::Run { session: 7, number: 300, command: Box::new(command) })
    };
    let cases: [(Command<'_>, &[u8]); 4] = [
        (Command::Watch { keys: Keys::Many(vec![b"a", b"b"]) }, b"\x13\x02\x01a\x01b"),
        (
            exec(&WATCHED, &["get k", "dbsize"]),
            b"\x14\x02\x01w\x01\x05\x01x\x00\xac\x02\x02\x03\x01\x01k\x01\x0c",
        ),
        (exec(&[], &[]), b"\x14\0\0"),
        (
            in_session(exec(&WATCHED[..1], &["incr k"])),
            b"\x42\x07\xac\x02\x14\x01\x01w\x01\x05\x01\x0b\x08\x01k\x01\0\0\0\0\0\0\0",
        ),
    ];
    for (command, bytes) in cases {
        assert_eq!(encoded(&command), bytes);
        assert_eq!(Command::decode(bytes), Ok(command));
        for end in 0..bytes.len() {
            assert!(Command::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let decode = |bytes: &'static [u8]| Command::decode(bytes).unwrap_err();
    assert_eq!(decode(b"\x14\x01\x01w\x02\x05\0"), DecodeError::UnknownFlags(2));
    assert_eq!(decode(b"\x14\0\x01\x03\x14\0\0"), DecodeError::UnknownOpcode(20), "a transaction in one");
    assert_eq!(decode(b"\x14\0\x01\x04\x13\x01\x01a"), DecodeError::UnknownOpcode(19), "WATCH in one");
    assert_eq!(decode(b"\x14\0\x01\x01\x40"), DecodeError::UnknownOpcode(64), "a session's command in one");
    assert_eq!(decode(b"\x14\0\x01\x05\x42\x01\x01\x01k"), DecodeError::UnknownOpcode(66));
    let nested = decode(b"\x42\x01\x01\x14\0\x01\x03\x14\0\0");
    assert_eq!(nested, DecodeError::UnknownOpcode(20), "a transaction in one in a session");
    assert_eq!(decode(b"\x42\x01\x01\x42\x01\x01\x0c"), DecodeError::UnknownOpcode(66), "a session in one");
    assert_eq!(decode(b"\x42\x01\x01\x13\x01\x01a"), DecodeError::UnknownOpcode(19), "WATCH in a session");
    assert_eq!(decode(b"\x14\0\x01\x02\x0cx"), DecodeError::TrailingBytes(1));
    assert_eq!(decode(b"\x14\0\x80\x80\x04"), DecodeError::Truncated);
    assert!(matches!(decode(b"\x14\0\x81\x80\x04"), DecodeError::TooLarge { .. }));
    assert!(matches!(decode(b"\x14\x81\x80\x04"), DecodeError::TooLarge { .. }));
}

/// What the connection takes from a client must get through the log.
#[test]
fn the_largest_transaction_is_decoded_again() {
    let key_bytes = MAX_COMMAND_BYTES / MAX_CONDITIONS - 1;
    let keys: Vec<_> = (0..MAX_CONDITIONS).map(|number| format!("{number:0key_bytes$}")).collect();
    let condition = |key| Unchanged { key, existed: true, since: u64::MAX };
    let conditions = keys.iter().map(|key| condition(key.as_bytes())).collect();
    let exec = Command::Exec { conditions, commands: vec![Command::DbSize; MAX_TRANSACTION_COMMANDS] };
    let in_session = Command::Session(SessionCommand::Run {
        session: i64::MAX.cast_unsigned(),
        number: i64::MAX.cast_unsigned(),
        command: Box::new(exec.clone()),
    });
    for command in [exec, in_session] {
        let bytes = encoded(&command);
        assert!(bytes.len() <= MAX_ENCODED_BYTES, "{}", bytes.len());
        assert_eq!(Command::decode(&bytes), Ok(command));
    }
}

#[test]
fn a_transaction_is_what_its_commands_are() {
    let reads = exec(&WATCHED, &["get k", "mget l m"]);
    assert!(!reads.is_write() && !reads.is_about_all() && exec(&[], &["get k", "incr k"]).is_write());
    assert_eq!(reads.keys().collect::<Vec<_>>(), [b"w", b"x", b"k", b"l", b"m"]);
    assert_eq!(Slots::of(&exec(&[], &["get {a}1", "set {a}2 v"])), Slots::One(15495));
    assert_eq!(Slots::of(&exec(&[], &["set foo 1", "get bar"])), Slots::Many([5061, 12182].into()));
    assert_eq!(Slots::of(&exec(&[], &["set foo 1", "flushall"])), Slots::All);
    // In a session it is the same.
    let run =
        |command| Command::Session(SessionCommand::Run { session: 7, number: 1, command: Box::new(command) });
    assert!(!run(reads.clone()).is_write() && run(exec(&[], &["incr k"])).is_write());
    assert_eq!(run(reads).keys().collect::<Vec<_>>(), [b"w", b"x", b"k", b"l", b"m"]);
    assert_eq!(Slots::of(&run(exec(&[], &["set foo 1", "get bar"]))), Slots::Many([5061, 12182].into()));
    assert_eq!(Slots::of(&run(exec(&[], &["set foo 1", "flushall"]))), Slots::All);
}
