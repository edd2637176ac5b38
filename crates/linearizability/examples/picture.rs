//! Pages of a few wrong histories, to be looked at: `cargo run -p bowline-linearizability --example picture -- DIRECTORY`.

use std::path::Path;

use bowline_linearizability::course::{Answer, Course, Operation};
use bowline_linearizability::page::{Heading, page};
use bowline_linearizability::redis::{Command, Redis, Reply};
use bowline_linearizability::{History, Model, Verdict, check};
use bytes::Bytes;

fn main() -> std::io::Result<()> {
    let directory = std::env::args().nth(1).expect("a directory to write the pages to");
    let directory = Path::new(&directory);
    std::fs::write(directory.join("stale.html"), picture::<Course>("A stale read", &stale_read(6)))?;
    std::fs::write(
        directory.join("long.html"),
        picture::<Course>("A lost append after 600 calls", &lost_append()),
    )?;
    std::fs::write(
        directory.join("transfer.html"),
        picture::<Redis>("Half of an MSET <x & y>", &half_an_mset()),
    )
}

fn picture<M: Model>(title: &str, history: &History<M::Operation, M::Reply>) -> String {
    let Verdict::NotLinearizable(violations) = check::<M>(history, &mut || true) else {
        panic!("{title}: nothing is wrong");
    };
    let heading = Heading {
        title: title.into(),
        reproduce: "cargo run -p bowline-linearizability --example picture".into(),
    };
    page::<M>(history, &violations[0], &heading)
}

/// Two puts, and reads of which the last sees the first again.
fn stale_read(reads: u64) -> History<Operation, Answer> {
    let mut history = History::new();
    let put = history.invoked(1, Operation::put("k", "old"), 1_000_000);
    history.returned(put, Answer::Done, 2_000_000);
    let put = history.invoked(1, Operation::put("k", "new"), 3_000_000);
    for read in 0..reads {
        let at_ns = 3_500_000 + read * 700_000;
        let get = history.invoked(2 + read % 3, Operation::get("k"), at_ns);
        let value = if read == 0 || read + 1 == reads { "old" } else { "new" };
        history.returned(get, Answer::value(value), at_ns + 1_900_000);
    }
    history.returned(put, Answer::Done, 5_000_000);
    history.invoked(5, Operation::append("k", "?"), 5_500_000);
    history
}

/// Six clients append for a long time, and read now and then; one append is answered, and gone.
fn lost_append() -> History<Operation, Answer> {
    let mut history = History::new();
    let mut text = String::new();
    for round in 0..100 {
        let start = round * 4_000_000;
        let calls: Vec<_> = (0..6)
            .map(|client| {
                let piece = format!("{client}.{round} ");
                let is_read = client == round % 6;
                let operation =
                    if is_read { Operation::get("log") } else { Operation::append("log", piece.clone()) };
                let id = history.invoked(client, operation, start + client * 300_000);
                (id, is_read, piece, start + 2_000_000 + (client * 7 % 5) * 400_000)
            })
            .collect();
        for (number, (id, is_read, piece, end)) in calls.into_iter().enumerate() {
            let answer = if is_read { Answer::value(text.clone()) } else { Answer::Done };
            if !(is_read || round == 97 && number == 4) {
                text.push_str(&piece);
            }
            if !(round == 96 && number == 3) {
                history.returned(id, answer, end);
            }
        }
    }
    history
}

/// A read of two keys sees one of the two values that were set together.
fn half_an_mset() -> History<Command, Reply> {
    let mut history = History::new();
    let command = |line: &str| {
        let words: Vec<_> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        Command::parse(&words).expect("the model knows it")
    };
    let value = |text: &'static str| Reply::Value(Bytes::from_static(text.as_bytes()));
    let set = history.invoked(1, command("MSET x <1> y <2>"), 0);
    history.returned(set, Reply::Ok, 1_000_000);
    let again = history.invoked(1, command("MSET x <3> y <4>"), 2_000_000);
    let lost = history.invoked(3, command("INCR x"), 2_200_000);
    let read = history.invoked(2, command("MGET x y"), 2_500_000);
    history.returned(read, Reply::Array(vec![value("<3>"), value("<2>")]), 3_500_000);
    history.returned(again, Reply::Ok, 4_000_000);
    history.returned(
        lost,
        Reply::Error(Bytes::from_static(b"ERR value is not an integer or out of range")),
        4_500_000,
    );
    history
}
