//! The model beside Bowline's store. They were written apart, and must say the same.

use bowline_kv::{Command as StoreCommand, Store};
use bowline_linearizability::Model;
use bowline_linearizability::redis::{Command, Redis, Reply};
use bowline_testimony::translated;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const LINES: &[&str] = &[
    "GET x",
    "get y",
    "SET x a",
    "SET x 10",
    "SET y -3 NX",
    "SET x b XX",
    "SET y c GET",
    "set x d nx get",
    "SET x e XX GET",
    "SETNX x 5",
    "SETNX y f",
    "GETSET x g",
    "APPEND x 1",
    "APPEND y h",
    "APPEND x 0",
    "STRLEN x",
    "STRLEN y",
    "INCR x",
    "DECR x",
    "INCRBY x 40",
    "INCRBY y -9223372036854775808",
    "DECRBY x 7",
    "DECRBY x -9223372036854775807",
    "SET x 9223372036854775807",
    "SET x 007",
    "SET x -0",
    "DEL x",
    "DEL y",
    "DEL x y x",
    "EXISTS x",
    "EXISTS x x y",
    "TYPE x",
    "TYPE y",
    "MGET x y x",
    "MSET x 1 y 2",
    "MSET x 3 x 4",
    "DBSIZE",
    "FLUSHALL",
];

#[test]
fn the_model_and_the_store_answer_the_same() {
    let random = &mut StdRng::seed_from_u64(1);
    let mut errors = 0;
    for _ in 0..200 {
        let mut store = Store::new(1);
        let mut state = <Redis as Model>::State::default();
        let mut told = Vec::new();
        for index in 1..200 {
            let lines = if random.random_ratio(1, 5) { random.random_range(0..4) } else { 1 };
            let lines: Vec<_> = (0..lines).map(|_| LINES[random.random_range(0..LINES.len())]).collect();
            let (mut ours, mut theirs): (Vec<_>, Vec<_>) = lines.iter().map(|line| both(line)).unzip();
            let (ours, theirs) = if lines.len() == 1 {
                (ours.remove(0), theirs.remove(0))
            } else {
                (
                    Command::Exec { unchanged: Vec::new(), commands: ours },
                    StoreCommand::Exec { conditions: Vec::new(), commands: theirs },
                )
            };
            let reply = Redis::apply(&mut state, &ours);
            told.push(format!("{ours} -> {reply}"));
            errors += u32::from(matches!(reply, Reply::Error(_)));
            assert_eq!(reply, translated(&store.execute(&theirs, index)), "{told:#?}");
        }
    }
    assert!(errors > 100, "errors are compared too");
}

/// The command as the model and as the store understand it.
fn both(line: &'static str) -> (Command, StoreCommand<'static>) {
    let borrowed: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let words: Vec<_> = borrowed.iter().map(|word| Bytes::from_static(word)).collect();
    let theirs = StoreCommand::parse(&borrowed).expect("the store knows it");
    (Command::parse(&words).expect("the model knows it"), theirs)
}

#[test]
fn what_neither_takes() {
    for line in [
        "GET",
        "SET x",
        "SET x 1 NX XX",
        "SET x 1 SOON",
        "INCRBY x one",
        "DECRBY x -9223372036854775808",
        "MSET x",
        "NO x",
    ] {
        let words: Vec<_> = line.split(' ').map(|word| Bytes::from_static(word.as_bytes())).collect();
        let borrowed: Vec<&[u8]> = words.iter().map(Bytes::as_ref).collect();
        assert!(StoreCommand::parse(&borrowed).is_err(), "{line}");
        assert_eq!(Command::parse(&words), None, "{line}");
    }
}
