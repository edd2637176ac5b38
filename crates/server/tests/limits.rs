//! Short commands that ask for long answers.

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use bowline_kv::Store;
use common::{Client, frame};

const TOO_LARGE: &str = "-ERR reply exceeds maximum allowed size (67108864 bytes)\r\n";

/// A client of an empty store.
fn client() -> Client {
    let mut client = Client::new();
    client.store = Some(Rc::new(RefCell::new(Store::new(1))));
    client
}

/// MULTI, that command so many times, and what is behind it; EXEC's answer.
fn exec(client: &mut Client, words: &str, times: usize, behind: &str) -> String {
    client.call("MULTI");
    let queued = client.send(&[frame(words).repeat(times), frame(behind)].concat());
    assert_eq!(queued, "+QUEUED\r\n".repeat(times + 1));
    client.call("EXEC")
}

#[test]
fn exec_of_commands_about_the_server_has_a_largest_answer() {
    let mut client = client();
    let answer = exec(&mut client, "COMMAND", 1000, "CLIENT SETNAME n");
    assert!(answer.len() < 64 << 20, "{} bytes", answer.len());
    assert!(answer.starts_with("*1001\r\n*"), "the first ones fit");
    assert!(answer.ends_with(&TOO_LARGE.repeat(2)), "the last ones do not");
    assert_eq!(client.call("CLIENT GETNAME"), "$-1\r\n", "what is answered by an error is not done");
    assert_eq!(exec(&mut client, "PING", 3, "CLIENT SETNAME n"), "*4\r\n+PONG\r\n+PONG\r\n+PONG\r\n+OK\r\n");
}

#[test]
fn exec_carries_out_so_many_commands_about_the_server() {
    let mut client = client();
    let answer = exec(&mut client, "PING", 1024, "CLIENT SETNAME n");
    let refused = "-ERR EXEC carries out no more than 1024 commands about connection and server\r\n";
    assert_eq!(answer, format!("*1025\r\n{}{refused}", "+PONG\r\n".repeat(1024)));
    assert_eq!(client.call("CLIENT GETNAME"), "$-1\r\n");
}

#[test]
fn command_info_and_docs_have_a_largest_answer() {
    let many = " client".repeat(100_000);
    let few = " client".repeat(100);
    for words in ["COMMAND INFO", "COMMAND DOCS"] {
        assert_eq!(Client::new().call(&format!("{words}{many}")), TOO_LARGE, "{words}");
        assert!(Client::new().call(&format!("{words}{few}")).starts_with('*'), "{words}");
    }
}

#[test]
fn patterns_of_names_are_short() {
    let class = |length: usize| format!("[{}]", "x".repeat(length - 2));
    for (words, limit) in [("CONFIG GET", 1024), ("COMMAND LIST FILTERBY PATTERN", 128)] {
        let refused = format!("-ERR pattern exceeds maximum allowed size ({limit} bytes)\r\n");
        assert_eq!(Client::new().call(&format!("{words} {}", class(limit + 1))), refused, "{words}");
        assert_eq!(Client::new().call(&format!("{words} {}", class(limit))), "*0\r\n", "{words}");
    }
    let two = format!("CONFIG GET {0} {0}", class(513));
    assert!(Client::new().call(&two).starts_with("-ERR pattern exceeds "), "all of them count");
}

/// A million names are looked up, and not compared with each of what there is.
#[test]
fn many_ids_and_names_are_looked_up() {
    let mut client = Client::new();
    let ids: String = (8..200_000).rev().map(|id| format!(" {id}")).collect();
    assert!(client.call(&format!("CLIENT LIST ID{ids} 7 3")).contains("id=7 "));
    assert_eq!(client.call(&format!("CLIENT LIST ID{ids}")), "$0\r\n\r\n");
    client.node.record.called(client.connection.called().expect("it was called"), 1, false);
    let names = " nope".repeat(200_000);
    let answer = client.call(&format!("LATENCY HISTOGRAM{names} client"));
    assert!(answer.starts_with("*2\r\n$11\r\nclient|list\r\n"), "{answer}");
    assert_eq!(client.call(&format!("LATENCY HISTOGRAM{names}")), "*0\r\n");
}
