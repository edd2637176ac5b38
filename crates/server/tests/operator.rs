//! What an operator sets and asks: passwords, settings, counters, the slow log.

mod common;

use std::rc::Rc;

use bowline_server::face::{Metrics, Sections, info};
use common::{Client, NOW_US, node};

#[test]
fn a_password_is_asked_for() {
    let node = Rc::new(node());
    let mut early = Client::of(node.clone());
    assert_eq!(early.call("CONFIG SET requirepass pw"), "+OK\r\n");
    assert_eq!(early.call("CONFIG GET requirepass"), "*2\r\n$11\r\nrequirepass\r\n$2\r\npw\r\n");
    assert_eq!(early.call("PING"), "+PONG\r\n", "who is in stays in");
    let no_auth = "-NOAUTH Authentication required.\r\n";
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    let mut client = Client::of(node.clone());
    for words in
        ["PING", "GET k", "SET k v", "MULTI", "DISCARD", "CLIENT ID", "CONFIG SET requirepass x", "COMMAND"]
    {
        assert_eq!(client.call(words), no_auth, "{words}");
    }
    for (words, answer) in [
        ("EXEC", "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.\r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n"),
        ("AUTH x", wrong),
        ("AUTH default x", wrong),
        ("AUTH u pw", wrong),
        ("HELLO 3 AUTH default x SETNAME n", wrong),
        ("HELLO 4", "-NOPROTO unsupported protocol version\r\n"),
    ] {
        assert_eq!(client.call(words), answer, "{words}");
    }
    assert!(client.call("HELLO 3").starts_with("-NOAUTH HELLO must be called with the client already"));
    assert!(client.call("HELLO").starts_with("-NOAUTH HELLO "));
    assert!(client.call("HELLO 3 AUTH default pw SETNAME n").starts_with("%7\r\n"));
    assert_eq!(client.call("CLIENT GETNAME"), "$1\r\nn\r\n");
    assert_eq!(client.call("AUTH x"), wrong);
    assert_eq!(client.call("PING"), "+PONG\r\n", "a wrong password throws nobody out");
    assert_eq!(client.call("RESET"), "+RESET\r\n");
    assert_eq!(client.call("PING"), no_auth);
    assert_eq!(client.call("AUTH pw"), "+OK\r\n");
    assert_eq!(client.call("PING"), "+PONG\r\n");
    assert_eq!(Client::of(node.clone()).call("QUIT"), "+OK\r\n");
    assert_eq!(client.call("CONFIG SET requirepass "), "+OK\r\n");
    assert_eq!(Client::of(node).call("PING"), "+PONG\r\n");
}

#[test]
fn settings_are_changed_together_or_not_at_all() {
    let mut client = Client::new();
    let failed = |name: &str, why: &str| {
        format!("-ERR CONFIG SET failed (possibly related to argument '{name}') - {why}\r\n")
    };
    for (words, answer) in [
        (
            "maxclients 5 foo 1",
            "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n".to_owned(),
        ),
        ("maxclients 5 foo", "-ERR syntax error\r\n".to_owned()),
        ("maxclients x", failed("maxclients", "argument couldn't be parsed into an integer")),
        ("maxclients 0", failed("maxclients", "argument must be between 1 and 4294967295 inclusive")),
        (
            "maxclients 20001",
            failed(
                "maxclients",
                "The operating system is not able to handle the specified number of clients, try with 20000",
            ),
        ),
        ("maxclients 5 MaxClients 6", failed("maxclients", "duplicate parameter")),
        ("maxclients 5 port 1", failed("port", "can't set immutable config")),
        ("maxclients 5 dir /DATA/2", failed("dir", "can't set immutable config")),
        ("maxclients 5 save 1", failed("save", "can't set immutable config")),
    ] {
        assert_eq!(client.call(&format!("CONFIG SET {words}")), answer, "{words}");
        assert!(client.call("CONFIG GET maxclients").contains("10000"), "{words}");
    }
    assert_eq!(
        client.call("CONFIG SET maxclients 5 appendonly YES dir /data/2"),
        "+OK\r\n",
        "what is so may be set so"
    );
    assert!(client.call("CONFIG GET maxclients").ends_with("$1\r\n5\r\n"));
}

#[test]
fn calls_and_errors_are_counted() {
    let node = Rc::new(node());
    let mut client = Client::of(node.clone());
    for (words, took_us) in [("GET k", 100), ("GET k", 300), ("CLIENT ID", 2)] {
        client.call(words);
        node.record.called(client.connection.called().expect("it is carried out"), took_us, took_us == 300);
    }
    for words in ["GET", "CLIENT ID x", "NOPE"] {
        client.call(words);
        assert_eq!(client.connection.called(), None, "{words}");
    }
    client.call("MULTI");
    client.call("GET k");
    assert_eq!(client.connection.called(), None, "it is only queued");
    client.call("DISCARD");
    node.record.error(b"WRONGTYPE Operation");
    node.record.error(b"ERR one");
    node.record.error(b"ERR two");
    let info = |section: &[u8]| info::render(Sections::parse(&[section]), &node, &Metrics::default(), NOW_US);
    assert_eq!(
        info(b"commandstats"),
        "# Commandstats\r\n\
         cmdstat_client|id:calls=1,usec=2,usec_per_call=2.00,rejected_calls=1,failed_calls=0\r\n\
         cmdstat_get:calls=2,usec=400,usec_per_call=200.00,rejected_calls=1,failed_calls=1\r\n"
    );
    assert_eq!(
        info(b"errorstats"),
        "# Errorstats\r\nerrorstat_ERR:count=2\r\nerrorstat_WRONGTYPE:count=1\r\n"
    );
    assert_eq!(
        info(b"latencystats"),
        "# Latencystats\r\n\
         latency_percentiles_usec_client|id:p50=2.000,p99=2.000,p99.9=2.000\r\n\
         latency_percentiles_usec_get:p50=103.000,p99=303.000,p99.9=303.000\r\n"
    );
    client.call("HELLO 3");
    let of_get = "%1\r\n$3\r\nget\r\n%2\r\n$5\r\ncalls\r\n:2\r\n$14\r\nhistogram_usec\r\n%2\r\n:128\r\n:1\r\n:512\r\n:2\r\n";
    assert_eq!(client.call("LATENCY HISTOGRAM GET nope"), of_get);
    assert!(client.call("LATENCY HISTOGRAM client").starts_with("%1\r\n$9\r\nclient|id\r\n"));
    assert!(client.call("LATENCY HISTOGRAM").starts_with("%2\r\n"));
    client.call("CONFIG RESETSTAT");
    assert_eq!(info(b"commandstats"), "# Commandstats\r\n");
}

#[test]
fn the_slow_log_keeps_the_last_ones_without_passwords() {
    let node = Rc::new(node());
    let mut client = Client::of(node.clone());
    client.call("CLIENT SETNAME n");
    for words in
        ["SET k v", "CONFIG SET slowlog-max-len 3", "AUTH default pw", "HELLO 2 AUTH default pw", "GET k"]
    {
        client.call(words);
        let (mut brief, args) = (Vec::new(), words.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        client.connection.put_brief(&args, None, &mut brief);
        client.connection.note_slow(&node, &brief, NOW_US, 12_345);
    }
    let entry = |id: u64, words: &[&str]| {
        let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        let count = words.matches('$').count();
        format!(
            "*6\r\n:{id}\r\n:1795300543\r\n:12345\r\n*{count}\r\n{words}$15\r\n127.0.0.1:50000\r\n$1\r\nn\r\n"
        )
    };
    let last = entry(4, &["GET", "k"]);
    assert_eq!(client.call("SLOWLOG GET 1"), format!("*1\r\n{last}"));
    let all = [last, entry(3, &["HELLO", "(redacted)"]), entry(2, &["AUTH", "(redacted)"])].concat();
    assert_eq!(client.call("SLOWLOG GET -1"), format!("*3\r\n{all}"));
    assert_eq!(client.call("SLOWLOG GET"), format!("*3\r\n{all}"));
    assert_eq!(client.call("SLOWLOG LEN"), ":3\r\n");
    assert_eq!(client.call("SLOWLOG RESET"), "+OK\r\n");
    assert_eq!(client.call("SLOWLOG GET"), "*0\r\n");
}
