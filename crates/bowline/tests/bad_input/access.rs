//! Who is let in: passwords on real servers, and who must not be listened to without one.

use std::fs;
use std::process::{Command, Output};

use crate::harness::{Cluster, PATIENCE, Reply, until};
use crate::support::{Raw, assert_says, encode, run_server};

const PASSWORD: &str = "open sesame";

/// A cluster of one that asks for the password, and the file that says it.
fn guarded(name: &str) -> (Cluster, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary file");
    fs::write(&file, format!("{PASSWORD}\n")).expect("it can be written");
    let path = file.path().to_str().expect("paths of tests are text").to_owned();
    let mut cluster = Cluster::prepare(name, 1, &["--password-file", &path]);
    cluster.spawn(1, &["--new"]);
    until("a server that lets somebody in", PATIENCE, || {
        std::net::TcpStream::connect(cluster.addr(1)).ok()?;
        let mut client = Raw::connect(cluster.addr(1));
        assert!(client.call(&[b"AUTH", PASSWORD.as_bytes()]).is_ok());
        client.call(&[b"SET", b"ready", b"1"]).is_ok().then_some(())
    });
    (cluster, file)
}

/// Runs `bowline` with these words, and this in the place of the password.
fn bowline(words: &[&str], variable: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
    command.args(words).env_remove("BOWLINE_PASSWORD").envs(variable.map(|text| ("BOWLINE_PASSWORD", text)));
    command.output().expect("the binary starts")
}

#[test]
fn without_a_password_no_other_machine_can_come_in() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let data = dir.path().join("data");
    let start = |more: &[&str]| {
        let data = data.to_str().expect("paths of tests are text");
        let options =
            ["--id", "1", "--data", data, "--listen", "0.0.0.0:10979", "--peers", "1=127.0.0.1:10979@10978"];
        run_server(&[&options[..], more].concat())
    };
    let (code, said) = start(&["--new"]);
    assert_eq!(code, 1, "{said}");
    assert_says(
        &said,
        &["0.0.0.0:10979 can be reached from other machines, and no password is set", "--no-auth"],
    );
    assert!(!data.exists(), "a refusal leaves no directory behind");

    // That far it comes only when it would listen.
    let (_, said) = start(&["--no-auth"]);
    assert_says(&said, &["no node has ever been here"]);
    let file = dir.path().join("password");
    let path = file.to_str().expect("paths of tests are text");
    fs::write(&file, "p").expect("it can be written");
    let (_, said) = start(&["--password-file", path]);
    assert_says(&said, &["no node has ever been here"]);

    fs::write(&file, "\n").expect("it can be written");
    let (code, said) = start(&["--password-file", path]);
    assert_eq!(code, 1, "{said}");
    assert_says(&said, &[path, "a password has 1 to 512 bytes, and not 0"]);
    let (code, said) = start(&["--password-file", "/nowhere/at/all"]);
    assert_eq!(code, 1, "{said}");
    assert_says(&said, &["--password-file /nowhere/at/all: No such file"]);
}

#[test]
fn no_stranger_is_served() {
    let (cluster, _file) = guarded("stranger");
    let mut client = Raw::connect(cluster.addr(1));
    let commands: [&[&[u8]]; 7] = [
        &[b"GET", b"ready"],
        &[b"SET", b"ready", b"2"],
        &[b"INFO"],
        &[b"MULTI"],
        &[b"ONCE", b"OPEN"],
        &[b"CONFIG", b"GET", b"requirepass"],
        &[b"COMMAND"],
    ];
    for command in commands {
        assert_eq!(client.error(command), "NOAUTH Authentication required.", "{}", command[0].escape_ascii());
    }
    assert!(client.error(&[b"AUTH", b"open"]).starts_with("WRONGPASS "));
    assert!(client.call(&[b"AUTH", b"default", PASSWORD.as_bytes()]).is_ok());
    assert_eq!(client.get(b"ready"), b"1");
    assert_eq!(client.call(&[b"RESET"]), Reply::Simple("RESET".to_owned()));
    assert_eq!(client.error(&[b"GET", b"ready"]), "NOAUTH Authentication required.");
    // The commands in one piece are told apart all the same.
    let login = encode(&[b"AUTH", PASSWORD.as_bytes()]);
    client.send(
        &[&login[..], &encode(&[b"GET", b"ready"]), &encode(&[b"RESET"]), &encode(&[b"PING"])].concat(),
    );
    assert!(client.reply().is_ok());
    assert_eq!(client.reply(), Reply::Bulk(Some(b"1".to_vec())));
    client.reply();
    assert_eq!(client.reply(), Reply::Error("NOAUTH Authentication required.".to_owned()));
}

#[test]
fn no_stranger_makes_the_server_hold_long_commands() {
    let (cluster, _file) = guarded("short");
    for (bytes, said) in [
        (&b"*11\r\n"[..], "-ERR Protocol error: unauthenticated multibulk length\r\n"),
        (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", "-ERR Protocol error: unauthenticated bulk length\r\n"),
    ] {
        let mut client = Raw::connect(cluster.addr(1));
        client.send(bytes);
        assert_eq!(client.rest(), said);
    }
    let mut client = Raw::connect(cluster.addr(1));
    let long = vec![b'x'; 16 << 10];
    assert!(client.error(&[b"AUTH", &long]).starts_with("WRONGPASS "));
    client
        .send(&[encode(&[b"AUTH", PASSWORD.as_bytes()]), encode(&[b"SET", b"k", &long.repeat(20)])].concat());
    assert!(client.reply().is_ok());
    assert!(client.reply().is_ok(), "behind the password commands are as long as any");
}

/// A short load.
fn bench<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["bench", "--clients", "2", "--requests", "20", "--warm-up", "0s"], more].concat()
}

#[test]
fn the_other_commands_say_the_password_too() {
    let (cluster, file) = guarded("cli");
    let path = file.path().to_str().expect("paths of tests are text");
    let at = ["--at", cluster.addr(1)];
    for (words, variable) in [
        (vec!["put", "k", "v"], Some(PASSWORD)),
        (vec!["append", "k", "w", "--password-file", path], None),
        (vec!["get", "k", "--password-file", path], Some("passed over")),
        (vec!["status"], Some(PASSWORD)),
        (bench(&[]), Some(PASSWORD)),
        (bench(&["--leader", "--password-file", path]), None),
    ] {
        let output = bowline(&[&words[..], &at].concat(), variable);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    for words in [vec!["get", "k"], vec!["put", "k", "v"], vec!["status"], bench(&[]), bench(&["--leader"])] {
        let said = |variable| {
            let output = bowline(&[&words[..], &at].concat(), variable);
            assert_eq!(output.status.code(), Some(1), "{words:?}");
            // The figures of `bench` say it on standard output.
            String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned()
        };
        assert_says(&said(None), &["NOAUTH", "BOWLINE_PASSWORD", "--password-file"]);
        assert_says(&said(Some("wrong")), &["the password was refused", "WRONGPASS"]);
    }
}
