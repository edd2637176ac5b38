//! What a newcomer meets first: help, versions, and being told what was wrong.

use std::io;

use crate::support::{FakeServer, bowline, directory, run, text};

#[test]
fn the_version_is_told() {
    let output = run(&["--version"]);
    assert_eq!(text(&output.stdout), format!("bowline {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_help_names_every_command_and_where_to_begin() {
    let output = run(&["--help"]);
    let help = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    for word in [
        "  dev ",
        "  server ",
        "  status ",
        "  get ",
        "  put ",
        "  append ",
        "  bench ",
        "Begin with `bowline dev`",
    ] {
        assert!(help.contains(word), "{word} in:\n{help}");
    }
    assert!(!help.contains('\x1b'), "no colours where there is no terminal:\n{help}");
}

#[test]
fn each_command_explains_its_options() {
    for (command, words) in [
        ("dev", &["--nodes", "--dir", "./bowline-data", "--port", "7379", "--no-restart", "Ctrl-C"][..]),
        (
            "server",
            &[
                "--id",
                "--data",
                "--listen",
                "--peers",
                "--cluster",
                "--new",
                "--log-limit",
                "2GiB",
                "--snapshot-after",
            ],
        ),
        ("status", &["--at", "--json"]),
        ("get", &["<KEY>", "--at", "(nil)"]),
        ("put", &["<KEY>", "<VALUE>", "--at", "OK"]),
        ("append", &["<KEY>", "<VALUE>", "--at", "length"]),
        ("bench", &["--nodes", "--rate", "--duration", "--probe", "Examples:", "Ctrl-C", "Exit codes:"]),
    ] {
        let output = run(&[command, "--help"]);
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0));
        for word in words {
            assert!(help.contains(word), "{word} in:\n{help}");
        }
        assert!(!help.contains("die-with-parent"), "for `dev` alone:\n{help}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    let server = |wrong: &[&'static str]| {
        let right =
            ["server", "--id", "1", "--data", "d", "--listen", "127.0.0.1:1", "--peers", "1=127.0.0.1:1"];
        let kept = right.iter().filter(|word| !wrong.contains(word)).copied();
        kept.chain(wrong.iter().skip(1).copied()).collect::<Vec<_>>()
    };
    for (arguments, said) in [
        (vec![], "Usage: bowline"),
        (vec!["sevrer"], "sevrer"),
        (vec!["get"], "<KEY>"),
        (vec!["put", "k"], "<VALUE>"),
        (vec!["get", "k", "--at", "7379"], "write HOST:PORT"),
        (vec!["get", "k", "--at", "a:1,"], "write HOST:PORT"),
        (vec!["dev", "--nodes", "0"], "1..=9"),
        (vec!["dev", "--nodes", "ten"], "ten"),
        (vec!["dev", "--port", "0"], "--port"),
        (vec!["dev", "--port", "55534"], "55533 is the highest"),
        (vec!["dev", "--log", "loud"], "write error, warn, info, debug or trace"),
        (vec!["server"], "--peers"),
        (server(&["", "--log-limit", "2GB"]), "GiB"),
        (vec!["server", "--id", "0"], "--id"),
    ] {
        let output = run(&arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(said), "{arguments:?}: {said} in:\n{message}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn that_nobody_reads_any_further_is_no_error() {
    let server = FakeServer::start(|_| Some(b"$1\r\n1\r\n".to_vec()));
    let dir = directory();
    let picture = dir.path().join("election.html");
    let picture = picture.to_str().expect("a path in UTF-8");
    for arguments in [
        &["get", "a", "--at", &server.addr][..],
        &["lab", "TestInitialElection3A"],
        &["lab", "TestInitialElection3A", "--trace", picture],
    ] {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let output = bowline().args(arguments).stdout(writer).output().expect("the binary starts");
        assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(1), ""), "{arguments:?}");
    }
}
