//! Bytes that are no commands, and commands that are none of ours.

use crate::harness::{Cluster, Reply};
use crate::support::{Raw, alone, assert_well, encode};

/// What a connection is sent until it is closed, when the client sends `bytes`.
fn answer(cluster: &Cluster, bytes: &[u8]) -> String {
    let mut client = Raw::connect(cluster.addr(1));
    client.send(bytes);
    let answer = client.rest();
    assert_well(cluster, 1);
    answer
}

#[test]
fn malformed_resp_is_answered_and_closed() {
    let cluster = alone();
    let long_line = [b'a'; 70_000];
    let cases: [(&[u8], &str); 14] = [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*9223372036854775808\r\n", "invalid multibulk length"),
        (b"*1048577\r\n", "invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$abc\r\n", "invalid bulk length"),
        (b"*1\r\n$+4\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$4\r\nPINGPING\r\n", "expected CRLF at the end of a bulk string"),
        (b"*2\r\n$3\r\nGET\r\n:1\r\n", "expected '$', got ':'"),
        (b"*1\r\n\r\n", "expected '$', got ' '"),
        (b"*1\r\n\x00\r\n", "expected '$', got '\\x00'"),
        (b"*111111111111111111111111111111", "invalid multibulk length"),
        (b"GET \"k\r\n", "unbalanced quotes in request"),
        (b"GET 'k'x\r\n", "unbalanced quotes in request"),
        (&long_line, "too big inline request"),
    ];
    for (bytes, said) in cases {
        let shown = bytes[..bytes.len().min(40)].escape_ascii();
        assert_eq!(answer(&cluster, bytes), format!("-ERR Protocol error: {said}\r\n"), "{shown}");
    }
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let deep = b"*1\r\n".repeat(1_000_000);
    assert_eq!(answer(&alone(), &deep), "-ERR Protocol error: expected '$', got '*'\r\n");
}

#[test]
fn a_length_that_is_announced_takes_no_memory() {
    let cluster = alone();
    for length in ["9223372036854775807", "9223372036854775808", "18446744073709551616", "536870913"] {
        let bytes = format!("*2\r\n$3\r\nGET\r\n${length}\r\n");
        assert_eq!(
            answer(&cluster, bytes.as_bytes()),
            "-ERR Protocol error: invalid bulk length\r\n",
            "{length}"
        );
    }
}

#[test]
fn an_error_does_not_overtake_the_answers_before_it() {
    let cluster = alone();
    let mut bytes = Vec::new();
    let mut expected = String::new();
    for n in 0..100 {
        bytes.extend(encode(&[b"SET", b"pipelined", format!("{n}").as_bytes()]));
        bytes.extend(encode(&[b"GET", b"pipelined"]));
        expected += &format!("+OK\r\n${}\r\n{n}\r\n", n.to_string().len());
    }
    bytes.extend_from_slice(b"*1\r\n:5\r\n");
    // What lies unread when a socket is closed resets the connection: then none of it would arrive.
    bytes.extend(encode(&[b"SET", b"pipelined", b"behind the error"]).repeat(10_000));
    expected += "-ERR Protocol error: expected '$', got ':'\r\n";
    assert_eq!(answer(&cluster, &bytes), expected);
    let value = Raw::connect(cluster.addr(1)).get(b"pipelined");
    assert_ne!(value, b"behind the error", "what stands behind an error is not executed");
}

#[test]
fn a_web_page_cannot_speak_to_the_server() {
    let cluster = alone();
    assert_eq!(answer(&cluster, b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET posted 1\r\n"), "");
    let reply = Raw::connect(cluster.addr(1)).call(&[b"EXISTS", b"posted"]);
    assert_eq!(reply, Reply::Integer(0));
}

#[test]
fn an_unknown_command_is_named_as_redis_does() {
    let cluster = alone();
    let mut client = Raw::connect(cluster.addr(1));
    let cases: [(&[&[u8]], &str); 4] = [
        (&[b"FOO"], "ERR unknown command 'FOO', with args beginning with: "),
        (&[b"foo", b"a", b"b"], "ERR unknown command 'foo', with args beginning with: 'a' 'b' "),
        (&[b"f\r\n+OK", b"x"], "ERR unknown command 'f  +OK', with args beginning with: 'x' "),
        (&[b""], "ERR unknown command '', with args beginning with: "),
    ];
    for (command, said) in cases {
        assert_eq!(client.error(command), said);
    }
    let long = [b'x'; 1000];
    let said = client.error(&[&long, &long]);
    assert!(said.len() < 350, "no more than 128 bytes of each are repeated: {said}");
}

#[test]
fn a_wrong_number_of_arguments_is_told_as_redis_does() {
    let cluster = alone();
    let mut client = Raw::connect(cluster.addr(1));
    let cases: [(&[&[u8]], &str); 8] = [
        (&[b"GET"], "get"),
        (&[b"get", b"a", b"b"], "get"),
        (&[b"SET", b"a"], "set"),
        (&[b"MSET", b"a", b"1", b"b"], "mset"),
        (&[b"DEL"], "del"),
        (&[b"ECHO"], "echo"),
        (&[b"DBSIZE", b"x"], "dbsize"),
        (&[b"CLIENT", b"SETNAME"], "client|setname"),
    ];
    for (command, name) in cases {
        assert_eq!(client.error(command), format!("ERR wrong number of arguments for '{name}' command"));
    }
}

#[test]
fn what_is_not_served_is_refused_and_never_ignored() {
    let cluster = alone();
    let mut client = Raw::connect(cluster.addr(1));
    let cases: [(&[&[u8]], &str); 5] = [
        (&[b"RESTORE", b"lock", b"10", b"x"], "command 'restore'"),
        (&[b"DUMP", b"lock"], "command 'dump'"),
        (&[b"EVAL", b"return 1", b"0"], "command 'eval'"),
        (&[b"SADD", b"lock", b"v"], "command 'sadd'"),
        (&[b"SUBSCRIBE", b"c"], "command 'subscribe'"),
    ];
    for (command, what) in cases {
        assert_eq!(client.error(command), format!("ERR {what} is not supported by this version of Bowline"));
    }
    assert_eq!(client.call(&[b"GET", b"lock"]), Reply::Bulk(None), "a lock that was refused is not taken");
    assert_eq!(client.error(&[b"SELECT", b"1"]), "ERR DB index is out of range");
    assert_eq!(client.error(&[b"HELLO", b"4"]), "NOPROTO unsupported protocol version");
}
