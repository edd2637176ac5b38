//! Random sequences of commands, each determined by its seed.
//!
//! What would be answered by the time that has passed is not drawn: a time from now is a quarter of an hour at least,
//! and none comes near another one. Keys still expire, by a step of their own that waits for it.

use std::collections::HashSet;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use crate::rows::{Arg, ITERATIONS, ROWS, Row, TRANSACTIONS};

/// How many connections take part: the first speaks RESP2, the second RESP3, the third what the seed says.
pub(crate) const CLIENTS: usize = 3;

/// What is done to both servers.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A command on one of the connections.
    Send { client: usize, words: Vec<Vec<u8>>, is_inline: bool },
    /// A key is given a short time, which is waited for.
    LetExpire { key: Vec<u8> },
    /// A full iteration. The cursor takes the place of the empty word at `cursor`.
    Iterate { words: Vec<Vec<u8>>, cursor: usize },
}

/// Every key, but for what stands in a wrong place.
pub(crate) const KEYS: &[&[u8]] = &[
    b"a",
    b"b",
    b"k1",
    b"k2",
    b"{t}1",
    b"{t}2",
    b"x{t}y",
    b"",
    b"{}",
    b"foo{}{bar}",
    b"\x00\xff\r\n",
    b"*?[a]\\",
    b"KEY",
    b"12",
    &[b'l'; 300],
];

/// Each in a slot of its own.
const LONELY_KEYS: &[&[u8]] = &[b"a", b"b", b"k1", b"k2", b"{}", b"KEY"];

const FIELDS: &[&[u8]] =
    &[b"f", b"g", b"h1", b"h2", b"", b"12", b"\xff\x00", b"F", b"a long name of a field"];

const VALUES: &[&[u8]] = &[
    b"",
    b"0",
    b"10",
    b"-1",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b" 1",
    b"1 ",
    b"007",
    b"+1",
    b"-0",
    b"1.5",
    b"3.0e3",
    b"-2.25",
    b"inf",
    b"nan",
    b"\x00\r\n\xff",
    b"hello",
    b"NX",
    b"OK",
    b"a longer value with blanks in it, which no small string holds",
    &[b'v'; 1500],
];

const INTS: &[&str] = &[
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
    "9223372036854775808",
    "4294967296",
    "-9223372036854775809",
    "",
    "x",
    "1.0",
    "+1",
    " 1",
    "1 ",
    "01",
    "-0",
    "1e3",
    "99999999999999999999",
];

const FLOATS: &[&str] = &[
    "0.1", "0.5", "-0.25", "1.5", "10", "-3", "3.0e3", "1e-3", "5.0e3", "100.125", "-1.75", "0", "inf",
    "-inf", "nan", "", "x", " 1", "1 ", "1.5x", "+2", "0x10", "1e", ".5", "5.",
];

const OFFSETS: &[&str] = &[
    "0",
    "1",
    "-1",
    "3",
    "-3",
    "10",
    "-10",
    "5",
    "100",
    "-100",
    "9223372036854775807",
    "-9223372036854775808",
    "x",
    "",
];

const SMALL: &[&str] = &["0", "1", "2", "3", "5", "7", "20", "-1", "-3", "x", "", "1.5"];

/// Beside those, times that are refused, or over.
const SECONDS: &[&str] =
    &["0", "-1", "9223372036854775807", "-9223372036854775808", "9223372036854775", "x", "", "1.5"];
const MILLISECONDS: &[&str] = &["0", "-1", "9223372036854775807", "-9223372036854775808", "x", "", "+5"];
const AT: &[&str] = &["0", "1", "1000", "-1", "-9223372036854775808", "x", "", "1e3", "9223372036854775808"];

const PATTERNS: &[&str] = &[
    "*", "a", "?", "k*", "*1", "[a-c]", "[^a]", "\\*", "{t}*", "", "*[", "[b-", "**", "*k*", "K?Y", "\\",
    "h[12]",
];

/// What stands in a wrong place. No number in it is one that would be a time, a length or a database.
const JUNK: &[&[u8]] = &[
    b"",
    b"abc",
    b"NX",
    b"EX",
    b"GET",
    b"1.5",
    b"\x00\xff",
    b"*",
    b"-",
    b" 1",
    b"99999999999999999999",
    b"0",
    b"a\r\nb",
];

const UNKNOWN: &[&[u8]] = &[b"FOO", b"", b"getx", b"a\r\nb", b"\xff\x00\xfe", b"ge", b"set ", &[b'u'; 200]];

/// Draws steps.
pub(crate) struct Grammar {
    rng: StdRng,
    rows: Vec<&'static Row>,
    weight: u32,
    iterations: Vec<&'static (&'static str, bool, &'static [Arg])>,
    /// Times that were drawn, so that no two are near each other.
    times: HashSet<u64>,
    client: usize,
    is_open: [bool; CLIENTS],
}

impl Grammar {
    /// Of the commands that `is_served`.
    pub(crate) fn new(seed: u64, is_served: impl Fn(&str) -> bool) -> Self {
        let rows: Vec<_> = ROWS.iter().filter(|row| is_served(row.name)).collect();
        Self {
            rng: StdRng::seed_from_u64(seed),
            weight: rows.iter().map(|row| row.weight).sum(),
            rows,
            iterations: ITERATIONS.iter().filter(|(name, ..)| is_served(name)).collect(),
            times: HashSet::new(),
            client: 0,
            is_open: [false; CLIENTS],
        }
    }

    /// So many steps.
    pub(crate) fn steps(mut self, count: usize) -> Vec<Step> {
        (0..count).map(|_| self.step()).collect()
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn step(&mut self) -> Step {
        if self.one_in(20) {
            self.client = self.rng.random_range(0..CLIENTS);
        }
        if self.one_in(250) {
            return Step::LetExpire { key: self.pick(KEYS) };
        }
        if self.one_in(60) && !self.iterations.is_empty() {
            return self.iteration();
        }
        let mut words = if self.one_in(80) { self.unknown() } else { self.command() };
        if self.one_in(3) {
            self.change_case(&mut words[0]);
        }
        let is_plain = |word: &Vec<u8>| {
            !word.is_empty() && word.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'".contains(byte))
        };
        // What begins with an asterisk would be no inline command.
        let is_inline = words.iter().all(is_plain) && words[0][0] != b'*' && self.one_in(15);
        Step::Send { client: self.client, words, is_inline }
    }

    fn command(&mut self) -> Vec<Vec<u8>> {
        let row = self.transaction().unwrap_or_else(|| self.row());
        let mut words = vec![row.name.as_bytes().to_vec()];
        self.arguments(row.args, &mut words);
        if self.one_in(20) {
            self.spoil(&mut words);
        }
        words
    }

    fn row(&mut self) -> &'static Row {
        let mut at = self.rng.random_range(0..self.weight);
        for row in &self.rows {
            if at < row.weight {
                return row;
            }
            at -= row.weight;
        }
        unreachable!("less than the sum of the weights")
    }

    /// MULTI and what belongs to it, so often that some transactions are long and most end.
    fn transaction(&mut self) -> Option<&'static Row> {
        let chances: &[(u32, &str)] = if self.is_open[self.client] {
            &[(10, "exec"), (60, "discard"), (80, "multi"), (80, "watch"), (80, "unwatch")]
        } else {
            &[(20, "multi"), (20, "watch"), (60, "unwatch"), (100, "exec"), (150, "discard")]
        };
        let name = chances.iter().find(|(n, _)| self.one_in(*n)).map(|(_, name)| *name)?;
        match name {
            "multi" => self.is_open[self.client] = true,
            "exec" | "discard" => self.is_open[self.client] = false,
            _ => {}
        }
        TRANSACTIONS.iter().find(|row| row.name == name)
    }

    fn iteration(&mut self) -> Step {
        let (name, has_key, options) = **self.iterations.choose(&mut self.rng).expect("there is one");
        let mut words = vec![name.as_bytes().to_vec()];
        if has_key {
            words.push(self.pick(KEYS));
        }
        let cursor = words.len();
        words.push(Vec::new());
        self.arguments(options, &mut words);
        Step::Iterate { words, cursor }
    }

    fn unknown(&mut self) -> Vec<Vec<u8>> {
        let mut words = vec![self.pick(UNKNOWN)];
        for _ in 0..self.rng.random_range(0..4) {
            words.push(self.value());
        }
        words
    }

    fn arguments(&mut self, args: &[Arg], words: &mut Vec<Vec<u8>>) {
        for arg in args {
            self.argument(arg, words);
        }
    }

    fn argument(&mut self, arg: &Arg, words: &mut Vec<Vec<u8>>) {
        let word = match arg {
            // A few keys come most of the time, so that commands meet.
            Arg::Key if self.one_in(2) => self.pick(&KEYS[..5]),
            Arg::Key => self.pick(KEYS),
            Arg::LonelyKey => self.pick(LONELY_KEYS),
            Arg::Field => self.pick(FIELDS),
            Arg::Value => self.value(),
            Arg::Int if self.one_in(3) => self.pick(INTS),
            Arg::Int => self.rng.random_range(-20..=20).to_string().into_bytes(),
            Arg::Float => self.pick(FLOATS),
            Arg::Offset => self.pick(OFFSETS),
            Arg::Small => self.pick(SMALL),
            Arg::Pattern => self.pick(PATTERNS),
            Arg::Seconds => self.time(SECONDS, 1000, 1),
            Arg::Milliseconds => self.time(MILLISECONDS, 1000, 1000),
            // In the year 2100, and by far behind all that is counted from now.
            Arg::AtSeconds => self.time(AT, 4_102_444_800, 1),
            Arg::AtMilliseconds => self.time(AT, 4_102_444_800, 1000),
            Arg::Word(word) => {
                let mut word = word.as_bytes().to_vec();
                if self.one_in(4) {
                    self.change_case(&mut word);
                }
                word
            }
            Arg::Maybe(args) => {
                if self.one_in(2) {
                    self.arguments(args, words);
                }
                return;
            }
            Arg::One(choices) => {
                let chosen = choices.choose(&mut self.rng).expect("a choice");
                return self.arguments(chosen, words);
            }
            Arg::Options(choices) => {
                let count = *[0, 1, 1, 1, 2, 2, 3].choose(&mut self.rng).expect("a count");
                let mut chosen = choices.to_vec();
                chosen.shuffle(&mut self.rng);
                return chosen.iter().take(count).for_each(|args| self.arguments(args, words));
            }
            Arg::Many(args) => {
                let count = *[1, 1, 2, 2, 3, 4].choose(&mut self.rng).expect("a count");
                return (0..count).for_each(|_| self.arguments(args, words));
            }
        };
        words.push(word);
    }

    fn pick<W: AsRef<[u8]>>(&mut self, from: &[W]) -> Vec<u8> {
        from.choose(&mut self.rng).expect("something to pick").as_ref().to_vec()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.rng.random_range(0..10) {
            0..3 => self.rng.random_range(-1000..1000).to_string().into_bytes(),
            3 => (0..self.rng.random_range(0..60)).map(|_| self.rng.random()).collect(),
            _ => self.pick(VALUES),
        }
    }

    /// A time in units of a second divided by `scale`, at least 20 s from every other.
    fn time(&mut self, odd: &[&str], from: u64, scale: u64) -> Vec<u8> {
        if self.one_in(5) {
            return self.pick(odd);
        }
        loop {
            let place = self.rng.random_range(0..1_000_000);
            if self.times.insert(place) {
                return ((from + 20 * place) * scale).to_string().into_bytes();
            }
        }
    }

    fn change_case(&mut self, word: &mut [u8]) {
        for byte in word {
            if self.rng.random() {
                *byte = if byte.is_ascii_lowercase() {
                    byte.to_ascii_uppercase()
                } else {
                    byte.to_ascii_lowercase()
                };
            }
        }
    }

    /// Takes an argument away, or puts one in or another one in its place.
    fn spoil(&mut self, words: &mut Vec<Vec<u8>>) {
        let at = self.rng.random_range(1..=words.len());
        match self.rng.random_range(0..4) {
            0 if at < words.len() => drop(words.remove(at)),
            1 if at < words.len() => words[at] = self.pick(JUNK),
            2 if at < words.len() => words.insert(at, words[at].clone()),
            _ => words.insert(at, self.pick(JUNK)),
        }
    }
}
