//! The greetings of real clients, byte for byte as they were recorded, and what they are answered. The
//! answers were tried on the clients themselves.

mod common;

use common::{Client, frame};

const HELLO_3: &str = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n\
    $2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

const NO_MAINTENANCE: &str = "-ERR CLIENT MAINT_NOTIFICATIONS is not supported\r\n";

#[test]
fn redis_py_8() {
    let mut client = Client::new();
    assert_eq!(client.send(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"), HELLO_3);
    assert_eq!(
        client.send(
            b"*5\r\n$6\r\nCLIENT\r\n$19\r\nMAINT_NOTIFICATIONS\r\n$2\r\nON\r\n$20\r\nmoving-endpoint-type\r\n\
              $13\r\ninternal-fqdn\r\n"
        ),
        NO_MAINTENANCE
    );
    assert_eq!(
        client.send(
            b"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$8\r\nredis-py\r\n\
              *4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nLIB-VER\r\n$5\r\n8.1.0\r\n"
        ),
        "+OK\r\n+OK\r\n"
    );
    assert_eq!(client.send(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), "_\r\n", "the rest is in RESP3");
    assert!(client.call("CLIENT INFO").contains(" resp=3 lib-name=redis-py lib-ver=8.1.0 "));
}

#[test]
fn node_redis_6_sends_its_whole_greeting_at_once() {
    let greeting = [
        frame("HELLO 3"),
        frame("CLIENT SETINFO LIB-VER 6.3.1"),
        frame("CLIENT SETINFO LIB-NAME node-redis"),
        frame("CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type external-ip"),
        frame("PING"),
    ]
    .concat();
    let answer = format!("{HELLO_3}+OK\r\n+OK\r\n{NO_MAINTENANCE}+PONG\r\n");
    assert_eq!(Client::new().send(&greeting), answer);
    // And wherever the network cuts it.
    for at in 0..greeting.len() {
        let mut client = Client::new();
        let answers = [client.send(&greeting[..at]), client.send(&greeting[at..])];
        assert_eq!(answers.concat(), answer, "cut at {at}");
    }
}

#[test]
fn ioredis_6_waits_until_info_says_that_nothing_is_loading() {
    let mut client = Client::new();
    assert_eq!(client.call("hello 3"), HELLO_3);
    assert_eq!(client.call("client SETINFO LIB-VER 6.0.0"), "+OK\r\n");
    assert_eq!(client.call("client SETINFO LIB-NAME ioredis"), "+OK\r\n");
    let info = client.call("info");
    let (header, text) = info.split_once("txt:").unwrap();
    assert_eq!(header, format!("={}\r\n", text.len() - 2 + 4));
    for line in ["redis_version:7.0.15", "loading:0", "role:master", "cluster_enabled:0"] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} is not in {text}");
    }
    assert_eq!(client.call("quit"), "+OK\r\n");
    assert!(!client.is_open);
}

#[test]
fn redis_cli_asks_for_the_documentation_of_all_commands() {
    let mut client = Client::new();
    let docs = client.call("COMMAND DOCS");
    let count: usize = client.call("COMMAND COUNT").trim()[1..].parse().unwrap();
    assert!(docs.starts_with(&format!("*{}\r\n", 2 * count)));
    let get = "$3\r\nget\r\n*8\r\n$7\r\nsummary\r\n$18\r\nThe value of a key\r\n$5\r\nsince\r\n$5\r\n1.0.0\r\n\
               $5\r\ngroup\r\n$6\r\nstring\r\n$9\r\narguments\r\n*1\r\n*4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n";
    assert!(docs.contains(get), "{docs}");
    assert!(docs.contains("$11\r\nsubcommands\r\n*26\r\n$9\r\nclient|id\r\n*6\r\n"), "{docs}");
    assert_eq!(client.call("COMMAND DOCS get nope"), format!("*2\r\n{get}"));
    client.call("HELLO 3");
    let in_maps = get.replace("*8", "%4").replace("*4", "%2");
    assert_eq!(client.call("COMMAND DOCS get nope"), format!("%1\r\n{in_maps}"));
    assert_eq!(client.call("COMMAND DOCS nope"), "%0\r\n");
}

#[test]
fn redis_benchmark_asks_for_two_settings_and_pings_in_line() {
    let mut client = Client::new();
    assert_eq!(
        client.send(b"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$4\r\nsave\r\n"),
        "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"
    );
    assert_eq!(
        client.send(b"*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$10\r\nappendonly\r\n"),
        "*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n"
    );
    assert_eq!(client.send(b"PING\r\nPING\r\n"), "+PONG\r\n+PONG\r\n");
    let pipeline = frame("SET key:000000000001 xxx").repeat(1000);
    assert_eq!(client.send(&pipeline), "$-1\r\n".repeat(1000));
    assert_eq!(client.connection.commands(), 1004);
}

#[test]
fn after_bytes_that_are_no_command_the_client_is_told_why_and_heard_no_more() {
    let mut client = Client::new();
    assert_eq!(
        client.send(b"PING\r\n*1\r\n*1\r\n$4\r\nPING\r\n"),
        "+PONG\r\n-ERR Protocol error: expected '$', got '*'\r\n"
    );
    assert!(!client.is_open);
}

#[test]
fn a_web_page_cannot_speak_to_the_server() {
    for request in
        ["POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n"]
    {
        let mut client = Client::new();
        let answer = client.send(request.as_bytes());
        assert!(!client.is_open, "{request}");
        assert!(answer.is_empty() || request.starts_with("GET"), "{answer}");
    }
}
