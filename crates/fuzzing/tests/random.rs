//! The bodies of the fuzz targets, with random bytes that look like commands.

use bowline_kv::command::SPECS;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The same cases in every run.
fn fixed_cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        cases,
        ..ProptestConfig::default()
    }
}

/// What stands behind a command's name, or in the wrong place.
const WORDS: &[&str] = &[
    "a",
    "b",
    "{t}1",
    "\"\"",
    "0",
    "1",
    "-1",
    "100",
    "9223372036854775807",
    "-9223372036854775808",
    "1.5",
    "inf",
    "x",
    "*",
    "[a-",
    "NX",
    "XX",
    "GT",
    "LT",
    "GET",
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "KEEPTTL",
    "PERSIST",
    "MATCH",
    "COUNT",
    "TYPE",
    "WITHVALUES",
    "REPLACE",
    "IFEQ",
    "IFNE",
    "ASYNC",
    "3",
    "AUTH",
    "EXEC",
    "SETNAME",
    "LIST",
    "INFO",
    "GETKEYS",
    "OPEN",
    "4102444800",
    "\"\\x00\\xff\"",
    "'q'",
    "16777215",
];

/// Names of the connection's commands. The store's come from its table.
const OWN: &[&str] = &[
    "multi", "exec", "discard", "watch", "unwatch", "hello", "reset", "ping", "echo", "client", "command",
    "config", "select", "time", "info", "function", "auth", "nope",
];

fn name() -> impl Strategy<Value = String> {
    let names: Vec<_> = SPECS.iter().map(|spec| spec.name).collect();
    prop_oneof![4 => prop::sample::select(names), 2 => prop::sample::select(OWN)].prop_map(str::to_owned)
}

/// A line, or the same as an array of bulk strings.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let words = vec(prop::sample::select(WORDS), 0..6);
    (name(), words, any::<bool>()).prop_map(|(name, words, is_line)| {
        let words: Vec<&str> = std::iter::once(name.as_str()).chain(words).collect();
        if is_line {
            return format!("{}\r\n", words.join(" ")).into_bytes();
        }
        let bulks: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        format!("*{}\r\n{bulks}", words.len()).into_bytes()
    })
}

/// Commands, of which a few bytes were changed.
fn session() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (vec(command(), 1..30), changes).prop_map(|(commands, changes)| {
        let mut bytes = commands.concat();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

/// The tests behind this one find such commands by chance, or do not.
#[test]
fn a_request_of_a_session_may_be_a_transaction() {
    bowline_fuzzing::commands(b"MULTI\r\nSET a 1\r\nONCE 1 1 EXEC\r\nGET a\r\n");
    bowline_fuzzing::commands(b"ONCE 1 1 SET a 1\r\n");
}

proptest! {
    #![proptest_config(fixed_cases(20_000))]

    #[test]
    fn any_bytes_are_read_the_same_however_they_are_cut(bytes in prop_oneof![session(), vec(any::<u8>(), 0..200)]) {
        bowline_fuzzing::reader(&bytes);
    }

    #[test]
    fn whatever_a_client_sends_is_answered_and_costs_what_it_should(bytes in session()) {
        bowline_fuzzing::commands(&bytes);
    }
}
