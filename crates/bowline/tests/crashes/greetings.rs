//! The first bytes that real clients send, to a real node over TCP, and a command behind them: a client library
//! that does not like what it is answered does not connect at all.

use crate::harness::{Client, Cluster, encode};

const NO_MAINTENANCE: &str = "-ERR CLIENT MAINT_NOTIFICATIONS is not supported\r\n";

/// Sends the bytes, and reads as many as are expected.
fn answer(client: &mut Client, bytes: &[u8], expected: &str) {
    client.send_bytes(bytes).expect("the node is there");
    let answer = client.receive_bytes(expected.len()).expect("the node is there");
    assert_eq!(String::from_utf8_lossy(&answer), expected, "to {}", bytes.escape_ascii());
}

/// `HELLO 3` and its answer, whose length depends on the connection's number.
fn hello(client: &mut Client) {
    client.send_bytes(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n").expect("the node is there");
    let mut answer = client.receive_bytes(1).expect("an answer");
    while !answer.ends_with(b"$7\r\nmodules\r\n*0\r\n") {
        assert!(answer.len() < 500, "{}", answer.escape_ascii());
        answer.extend(client.receive_bytes(1).expect("the rest of the answer"));
    }
    let text = String::from_utf8(answer).expect("text");
    let (server, rest) = text.split_once("$2\r\nid\r\n:").expect("the connection's number");
    assert!(server.starts_with("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n"), "{text:?}");
    assert!(server.ends_with("$5\r\nproto\r\n:3\r\n"), "{text:?}");
    assert!(rest.contains("$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"), "{text:?}");
}

#[test]
fn redis_py_8_and_node_redis_6_connect_to_every_node() {
    let cluster = Cluster::start("greetings", 3);
    for id in cluster.ids() {
        let mut py = cluster.client(id);
        hello(&mut py);
        answer(
            &mut py,
            b"*5\r\n$6\r\nCLIENT\r\n$19\r\nMAINT_NOTIFICATIONS\r\n$2\r\nON\r\n$20\r\nmoving-endpoint-type\r\n\
              $13\r\ninternal-fqdn\r\n",
            NO_MAINTENANCE,
        );
        answer(
            &mut py,
            b"*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$8\r\nredis-py\r\n\
              *4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nLIB-VER\r\n$5\r\n8.1.0\r\n",
            "+OK\r\n+OK\r\n",
        );
        let key = format!("py{id}");
        answer(&mut py, &encode(&[&["GET", &key]]), "_\r\n");
        answer(&mut py, &encode(&[&["SET", &key, "b"], &["GET", &key]]), "+OK\r\n$1\r\nb\r\n");

        let mut node = cluster.client(id);
        hello(&mut node);
        let greeting = encode(&[
            &["CLIENT", "SETINFO", "LIB-VER", "6.3.1"],
            &["CLIENT", "SETINFO", "LIB-NAME", "node-redis"],
            &["CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "external-ip"],
            &["PING"],
        ]);
        answer(&mut node, &greeting, &format!("+OK\r\n+OK\r\n{NO_MAINTENANCE}+PONG\r\n"));
        answer(&mut node, &encode(&[&["SET", &key, "c"], &["GET", &key]]), "+OK\r\n$1\r\nc\r\n");
    }
}
