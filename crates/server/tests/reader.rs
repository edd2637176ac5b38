//! The reader against bytes: what it makes of them, whole and cut at every place, and what it refuses.

use bowline_server::resp::{
    MAX_ARGUMENTS, MAX_BULK_BYTES, MAX_COMMAND_BYTES, MAX_INLINE_BYTES, Protocol, ProtocolError, Reader,
    Value,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

type Commands = Vec<Vec<Vec<u8>>>;

/// Takes what is there, and returns the error if there is one.
fn drain(reader: &mut Reader, commands: &mut Commands) -> Result<(), ProtocolError> {
    while let Some(frame) = reader.next_frame()? {
        commands.push(frame.args().iter().map(|arg| arg.to_vec()).collect());
    }
    Ok(())
}

/// Reads pieces as they would come from a socket, one after another.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Commands, Result<(), ProtocolError>, usize) {
    let (mut reader, mut commands) = (Reader::new(), Commands::new());
    for piece in pieces {
        reader.buffer().extend_from_slice(piece);
        if let Err(error) = drain(&mut reader, &mut commands) {
            assert_eq!(reader.next_frame().unwrap_err(), error, "an error is the end");
            return (commands, Err(error), 0);
        }
    }
    (commands, Ok(()), reader.pending_bytes())
}

fn command(args: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Value::Array(args.iter().map(|arg| Value::bulk(*arg)).collect()).write(Protocol::Resp2, &mut bytes);
    bytes
}

/// The commands in `bytes`, each as its arguments, however they are cut in two and byte by byte.
fn commands(bytes: &[u8]) -> Commands {
    let whole = read([bytes]);
    assert_eq!(whole.1, Ok(()), "{}", bytes.escape_ascii());
    for at in 0..=bytes.len() {
        assert_eq!(read([&bytes[..at], &bytes[at..]]), whole, "cut at {at}: {}", bytes.escape_ascii());
    }
    assert_eq!(read(bytes.chunks(1)), whole, "byte by byte: {}", bytes.escape_ascii());
    whole.0
}

/// What the client is told about `bytes`, which are cut in two and byte by byte as well.
fn refusal(bytes: &[u8]) -> String {
    let whole = read([bytes]);
    let error = whole.1.expect_err(&format!("accepted: {}", bytes.escape_ascii()));
    for at in (0..=bytes.len()).step_by(1 + bytes.len() / 300) {
        assert_eq!(read([&bytes[..at], &bytes[at..]]), whole, "cut at {at}: {}", bytes.escape_ascii());
    }
    assert_eq!(read(bytes.chunks(1)), whole, "byte by byte: {}", bytes.escape_ascii());
    let mut reply = Vec::new();
    Value::from(error).write(Protocol::Resp2, &mut reply);
    String::from_utf8(reply).unwrap()
}

#[test]
fn commands_come_out_as_they_were_sent() {
    assert_eq!(commands(b"*1\r\n$4\r\nPING\r\n"), [[b"PING"]]);
    let pipeline = [command(&[b"SET", b"k\r\n", b"\0\xff"]), command(&[b"GET", b""]), command(&[b"PING"])];
    assert_eq!(
        commands(&pipeline.concat()),
        vec![
            vec![b"SET".to_vec(), b"k\r\n".to_vec(), b"\0\xff".to_vec()],
            vec![b"GET".to_vec(), vec![]],
            vec![b"PING".to_vec()],
        ]
    );
    let many: Vec<&[u8]> = vec![b"x"; 100];
    assert_eq!(commands(&command(&many)), [many]);
}

#[test]
fn empty_commands_are_passed_over() {
    for nothing in ["*0\r\n", "*-1\r\n", "*-5\r\n", "\r\n", "\n", "  \t \r\n"] {
        let bytes = [nothing.repeat(3).as_bytes(), b"PING\r\n", nothing.as_bytes()].concat();
        assert_eq!(commands(&bytes), [[b"PING"]], "{nothing:?}");
    }
}

#[test]
fn inline_commands_are_quoted_as_in_redis() {
    // Each line with what redis-server 7.0.15 echoes for it.
    let cases: [(&[u8], &[u8]); 11] = [
        (b"ECHO plain\r\n", b"plain"),
        (b"ECHO plain\n", b"plain"),
        (b"  \tECHO\t plain \r\r\n", b"plain"),
        (b"\"ECHO\" \"a b\"\r\n", b"a b"),
        (b"ECHO a\"b c\"\r\n", b"ab c"),
        (b"ECHO \"\"\r\n", b""),
        (b"ECHO ''\r\n", b""),
        (br#"ECHO "\x41\n\t\a\b\r\q\xZZ""#, b"A\n\t\x07\x08\rqxZZ"),
        (br#"ECHO "\xff\x0""#, b"\xffx0"),
        (br"ECHO 'a\'b\n'", br"a'b\n"),
        (b"ECHO a\x0bb\r\n", b"a\x0bb"),
    ];
    for (line, echoed) in cases {
        let line = [line, b"\n"].concat();
        assert_eq!(commands(&line), [[b"ECHO", echoed]], "{}", line.escape_ascii());
    }
    let mixed = [b"SET a 1\r\n".to_vec(), command(&[b"GET", b"a"]), b"GET b\n".to_vec()].concat();
    let expected: [&[&[u8]]; 3] = [&[b"SET", b"a", b"1"], &[b"GET", b"a"], &[b"GET", b"b"]];
    assert_eq!(commands(&mixed), expected);
}

#[test]
fn what_is_no_command_is_refused_in_the_words_of_redis() {
    let cases: [(&[&str], &str); 8] = [
        (
            &[
                "*abc\r\n",
                "*\r\n",
                "* 1\r\n",
                "*+1\r\n",
                "*01\r\n",
                "*-0\r\n",
                "*2147483648\r\n",
                "*1048577\r\n",
                "*9223372036854775807\r\n",
                "*9223372036854775808\r\n",
                "*1\n$4\r\nPING\r\n",
                "*-9223372036854775809\r\n",
                "*111111111111111111111111\r\n",
                "*1\rX$4\r\nPING\r\n",
            ],
            "-ERR Protocol error: invalid multibulk length\r\n",
        ),
        (
            &[
                "*1\r\n$-1\r\n",
                "*2\r\n$4\r\nPING\r\n$-1\r\n",
                "*1\r\n$abc\r\n",
                "*1\r\n$\r\n",
                "*1\r\n$04\r\n",
                "*1\r\n$-0\r\n",
                "*1\r\n$9223372036854775808\r\n",
                "*1\r\n$9223372036854775807\r\n",
                "*1\r\n$536870913\r\n",
                "*1\r\n$4\nPING\r\n",
                "*1\r\n$4\rXPING\r\n",
                "*1\r\n$18446744073709551617\r\n",
                "*1\r\n$111111111111111111111111\r\n",
            ],
            "-ERR Protocol error: invalid bulk length\r\n",
        ),
        (&["*1\r\n*1\r\n$4\r\nPING\r\n"], "-ERR Protocol error: expected '$', got '*'\r\n"),
        (&["*1\r\n:5\r\n"], "-ERR Protocol error: expected '$', got ':'\r\n"),
        (&["*1\r\n\r\n", "*1\r\n\n\r\n"], "-ERR Protocol error: expected '$', got ' '\r\n"),
        (&["*1\r\n'\r\n"], "-ERR Protocol error: expected '$', got '''\r\n"),
        (
            &[
                "ECHO \"a\r\n",
                "ECHO 'a\r\n",
                "ECHO \"a\"b\r\n",
                "ECHO 'a'b\r\n",
                "ECHO ab\"\r\n",
                "ECHO a'b c'd\r\n",
                "ECHO \"a\\\"\r\n",
                "ECHO \"\\\r\n",
            ],
            "-ERR Protocol error: unbalanced quotes in request\r\n",
        ),
        // Redis skips the two bytes unseen.
        (
            &["*1\r\n$4\r\nPINGxx", "*1\r\n$3\r\nPING\r\n"],
            "-ERR Protocol error: expected CRLF at the end of a bulk string\r\n",
        ),
    ];
    for (inputs, expected) in cases {
        for input in inputs {
            assert_eq!(refusal(input.as_bytes()), expected, "{input:?}");
        }
    }
    assert_eq!(refusal(b"*1\r\n\x01\r\n"), "-ERR Protocol error: expected '$', got '\\x01'\r\n");
}

#[test]
fn a_bulk_that_only_redis_would_take_is_refused_with_the_limit() {
    assert_eq!(
        refusal(b"*2\r\n$3\r\nGET\r\n$16777217\r\n"),
        "-ERR Protocol error: bulk length 16777217 is above the limit of 16777216 bytes\r\n"
    );
    assert_eq!(
        refusal(b"*1\r\n$536870912\r\n"),
        "-ERR Protocol error: bulk length 536870912 is above the limit of 16777216 bytes\r\n"
    );
}

#[test]
fn the_longest_value_is_taken() {
    let value = vec![b'v'; MAX_BULK_BYTES];
    let bytes = command(&[b"SET", b"k", &value]);
    let (commands, result, pending) = read(bytes.chunks(16 * 1024));
    assert_eq!((commands[0][2] == value, result, pending), (true, Ok(()), 0));
}

#[test]
fn a_command_above_the_limit_is_refused_when_its_length_is_known() {
    let value = vec![b'v'; MAX_BULK_BYTES];
    let mut bytes = command(&[b"MSET", b"a", &value, b"b", &value, b"c", &vec![b'v'; 2 << 20]]);
    assert!(bytes.len() > MAX_COMMAND_BYTES);
    bytes.truncate(bytes.len() - (2 << 20));
    assert_eq!(read([&bytes[..]]).1, Err(ProtocolError::CommandTooLong));
}

#[test]
fn a_line_without_an_end_is_refused() {
    let too_long = vec![b'a'; MAX_INLINE_BYTES + 1];
    let text = "-ERR Protocol error: too big inline request\r\n";
    assert_eq!(refusal(&too_long), text);
    assert_eq!(refusal(&[&too_long[..], b"\n"].concat()), text);
    let longest = [&too_long[1..], b"\n"].concat();
    assert_eq!(read([&longest[..]]), (vec![vec![too_long[1..].to_vec()]], Ok(()), 0));
}

/// A hundred thousand arguments and a value of a megabyte, a byte at a time: looking again at what is
/// already there would take hours.
#[test]
fn a_command_that_comes_byte_by_byte_is_not_read_again() {
    let (many, long) = (vec![&b"x"[..]; 100_000], vec![b'v'; 1 << 20]);
    let bytes = command(&[&many[..], &[&long[..]]].concat());
    let (mut reader, mut commands) = (Reader::new(), Commands::new());
    for byte in &bytes {
        reader.buffer().push(*byte);
        drain(&mut reader, &mut commands).unwrap();
    }
    assert_eq!(commands.len(), 1);
}

#[test]
fn what_is_announced_costs_nothing_before_it_comes() {
    let mut reader = Reader::new();
    reader.buffer().extend_from_slice(format!("*{MAX_ARGUMENTS}\r\n${MAX_BULK_BYTES}\r\nabc").as_bytes());
    assert!(reader.next_frame().unwrap().is_none());
    assert!(reader.buffer().capacity() < 1024);
    assert_eq!(reader.pending_bytes(), reader.buffer().len());
}

#[test]
fn a_large_command_leaves_no_memory_behind() {
    let mut reader = Reader::new();
    reader.buffer().extend_from_slice(&command(&[b"SET", b"k", &vec![b'v'; 1 << 20]]));
    assert_eq!(reader.next_frame().unwrap().unwrap().args().len(), 3);
    assert!(reader.next_frame().unwrap().is_none());
    assert!(reader.buffer().capacity() <= 64 * 1024);
}

#[test]
fn the_most_arguments_are_taken() {
    let bytes = [format!("*{MAX_ARGUMENTS}\r\n").as_bytes(), &b"$0\r\n\r\n".repeat(MAX_ARGUMENTS)].concat();
    let mut reader = Reader::new();
    reader.buffer().extend_from_slice(&bytes);
    assert_eq!(reader.next_frame().unwrap().unwrap().args().len(), MAX_ARGUMENTS);
}

/// The same cases in every run.
fn fixed_cases() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        cases: 1024,
        ..ProptestConfig::default()
    }
}

fn arguments() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(prop_oneof![vec(any::<u8>(), 0..40), vec(prop::sample::select(b"\r\n$*19".to_vec()), 0..9)], 1..12)
}

/// Bytes that are nearly a command.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "*1\r\n", "*2\r\n", "*0\r\n", "*-1\r\n", "$0\r\n", "$1\r\n", "$4\r\n", "\r\n", "\n", "\r", "PING",
            "x", "\"", "'", "\\", "\\x", " ", "*", "$", "-1", "9223372036854775807", "16777216", "~3\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ];
    vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// `bytes` cut at places that `cuts` draws.
fn pieces<'a>(mut bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = bytes.split_at(cut % (bytes.len() + 1));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

#[test]
fn a_stranger_may_send_short_commands_only() {
    let mut reader = Reader::new();
    reader.trust(false);
    reader.buffer().extend_from_slice(&command(&[&b"x".repeat(16 << 10)[..]; 10]));
    assert!(reader.next_frame().expect("at the limits").is_some());
    reader.trust(true);
    reader.buffer().extend_from_slice(&command(&[&b"x"[..]; 11]));
    assert!(reader.next_frame().expect("no stranger").is_some());
    for (bytes, error) in [
        (&b"*11\r\n"[..], ProtocolError::StrangersMultibulkLength),
        (b"*1\r\n$16385\r\n", ProtocolError::StrangersBulkLength),
    ] {
        let mut reader = Reader::new();
        reader.trust(false);
        reader.buffer().extend_from_slice(bytes);
        assert_eq!(reader.next_frame().err(), Some(error));
    }
}

#[test]
fn memory_is_given_back_between_commands_only() {
    let mut spare = Vec::with_capacity(1000);
    let mut reader = Reader::new();
    let sent = command(&[b"GET", b"k"]);
    for cut in 1..sent.len() {
        reader.take_memory(&mut spare);
        assert_eq!(spare.capacity(), 0);
        reader.buffer().extend_from_slice(&sent[..cut]);
        assert!(reader.next_frame().expect("the beginning of a command").is_none());
        reader.give_back_memory(&mut spare);
        assert_eq!(spare.capacity(), 0, "what has arrived stays");
        reader.take_memory(&mut spare);
        reader.buffer().extend_from_slice(&sent[cut..]);
        assert_eq!(reader.next_frame().expect("a command").expect("all of it").args().len(), 2);
        reader.give_back_memory(&mut spare);
        assert!(spare.is_empty() && spare.capacity() >= 1000);
    }
    // One that other connections could not use goes to the system.
    reader.buffer().extend_from_slice(&command(&[&b"x".repeat(1 << 20)[..]]));
    assert!(reader.next_frame().expect("a command").is_some());
    let mut spare = Vec::new();
    reader.give_back_memory(&mut spare);
    assert_eq!((spare.capacity(), reader.buffer().capacity()), (0, 0));
}

proptest! {
    #![proptest_config(fixed_cases())]

    #[test]
    fn what_was_written_is_read(sent in vec(arguments(), 0..8), cuts in vec(any::<usize>(), 0..20)) {
        let bytes: Vec<u8> = sent.iter().flat_map(|args| {
            command(&args.iter().map(Vec::as_slice).collect::<Vec<_>>())
        }).collect();
        prop_assert_eq!(read(pieces(&bytes, &cuts)), (sent, Ok(()), 0));
    }

    #[test]
    fn hostile_bytes_are_read_the_same_however_they_are_cut(
        bytes in hostile(), cuts in vec(any::<usize>(), 0..20)
    ) {
        let whole = read([&bytes[..]]);
        prop_assert_eq!(read(pieces(&bytes, &cuts)), whole.clone());
        prop_assert_eq!(read(bytes.chunks(1)), whole);
    }

    #[test]
    fn hostile_bytes_cost_no_more_memory_than_they_have(bytes in hostile()) {
        let mut reader = Reader::new();
        reader.buffer().extend_from_slice(&bytes);
        while let Ok(Some(frame)) = reader.next_frame() {
            let args = frame.args();
            prop_assert!(!args.is_empty());
            prop_assert!(args.iter().map(|arg| arg.len()).sum::<usize>() <= bytes.len());
        }
        prop_assert!(reader.pending_bytes() <= bytes.len());
        prop_assert!(reader.buffer().capacity() <= 2 * bytes.len() + 1024);
    }
}
