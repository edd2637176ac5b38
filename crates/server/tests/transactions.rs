//! Transactions, as a connection sees them. What is expected are the answers of redis-server 7.0.15, with `|` for
//! the end of a line within.

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use bowline_kv::command::SessionCommand;
use bowline_kv::{Command, Store};
use bowline_server::face::Action;
use bowline_server::resp::Value;
use common::Client;

/// A client of that store.
fn client(store: &Rc<RefCell<Store>>) -> Client {
    let mut client = Client::new();
    client.store = Some(Rc::clone(store));
    client
}

fn say(client: &mut Client, words: &str) -> String {
    client.call(words).trim_end_matches("\r\n").replace("\r\n", "|")
}

/// With an `@` it is another client that says it; an empty line is the end of this one.
#[test]
fn answers_are_those_of_redis() {
    let conversation = [
        ("EXEC", "-ERR EXEC without MULTI"),
        ("", ""),
        ("DISCARD", "-ERR DISCARD without MULTI"),
        ("", ""),
        ("MULTI x", "-ERR wrong number of arguments for 'multi' command"),
        ("", ""),
        ("WATCH", "-ERR wrong number of arguments for 'watch' command"),
        ("", ""),
        ("MULTI", "+OK"),
        ("MULTI", "-ERR MULTI calls can not be nested"),
        ("SET a 1", "+QUEUED"),
        ("EXEC", "*1|+OK"),
        ("", ""),
        ("MULTI", "+OK"),
        ("WATCH a", "-ERR WATCH inside MULTI is not allowed"),
        ("PING", "+QUEUED"),
        ("EXEC", "*1|+PONG"),
        ("", ""),
        ("MULTI", "+OK"),
        ("EXEC", "*0"),
        ("", ""),
        ("MULTI", "+OK"),
        ("SET s x", "+QUEUED"),
        ("INCR s", "+QUEUED"),
        ("GET s", "+QUEUED"),
        ("EXEC", "*3|+OK|-ERR value is not an integer or out of range|$1|x"),
        ("", ""),
        ("MULTI", "+OK"),
        ("SET a", "-ERR wrong number of arguments for 'set' command"),
        ("SET b 1", "+QUEUED"),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ("GET b", "$-1"),
        ("", ""),
        ("MULTI", "+OK"),
        ("FOO", "-ERR unknown command 'FOO', with args beginning with: "),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ("GET a", "$1|1"),
        ("", ""),
        ("MULTI", "+OK"),
        (
            "EXEC x",
            "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
        ),
        ("SET a 1", "+OK"),
        ("EXEC", "-ERR EXEC without MULTI"),
        ("", ""),
        ("MULTI", "+OK"),
        ("SET q 1", "+QUEUED"),
        ("DISCARD", "+OK"),
        ("GET q", "$-1"),
        ("EXEC", "-ERR EXEC without MULTI"),
        ("", ""),
        ("MULTI", "+OK"),
        ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ("", ""),
        ("MULTI", "+OK"),
        ("EXPIRE a x", "+QUEUED"),
        ("SET a 2", "+QUEUED"),
        ("EXEC", "*2|-ERR value is not an integer or out of range|+OK"),
        ("", ""),
        ("MULTI", "+OK"),
        ("MSET a 1 b", "+QUEUED"),
        ("EXEC", "*1|-ERR wrong number of arguments for 'mset' command"),
        ("", ""),
        ("MULTI", "+OK"),
        ("SELECT 0", "+QUEUED"),
        ("PING", "+QUEUED"),
        ("ECHO hi", "+QUEUED"),
        ("MGET a b", "+QUEUED"),
        ("UNWATCH", "+QUEUED"),
        ("EXEC", "*5|+OK|+PONG|$2|hi|*2|$1|2|$-1|+OK"),
        ("", ""),
        ("MULTI", "+OK"),
        ("CLIENT SETNAME me", "+QUEUED"),
        ("CLIENT GETNAME", "+QUEUED"),
        ("SET n 1", "+QUEUED"),
        ("EXEC", "*3|+OK|$2|me|+OK"),
        ("CLIENT GETNAME", "$2|me"),
        ("", ""),
        ("MULTI", "+OK"),
        ("CLIENT SETNAME you", "+QUEUED"),
        ("DISCARD", "+OK"),
        ("CLIENT GETNAME", "$-1"),
        ("", ""),
        ("MULTI", "+OK"),
        ("AUTH x", "+QUEUED"),
        ("RESET", "+RESET"),
        ("PING", "+PONG"),
        ("EXEC", "-ERR EXEC without MULTI"),
        ("", ""),
        ("MULTI", "+OK"),
        ("SET a 7", "+QUEUED"),
        ("QUIT", "+OK"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("@SET a 2", "+OK"),
        ("MULTI", "+OK"),
        ("GET a", "+QUEUED"),
        ("EXEC", "*-1"),
        ("MULTI", "+OK"),
        ("GET a", "+QUEUED"),
        ("EXEC", "*1|$1|2"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("SET a 3", "+OK"),
        ("MULTI", "+OK"),
        ("GET a", "+QUEUED"),
        ("EXEC", "*-1"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("@SET a 2", "+OK"),
        ("UNWATCH", "+OK"),
        ("MULTI", "+OK"),
        ("GET a", "+QUEUED"),
        ("EXEC", "*1|$1|2"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("@SET a 2", "+OK"),
        ("MULTI", "+OK"),
        ("DISCARD", "+OK"),
        ("MULTI", "+OK"),
        ("GET a", "+QUEUED"),
        ("EXEC", "*1|$1|2"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("@SET a 2", "+OK"),
        ("MULTI", "+OK"),
        ("FOO", "-ERR unknown command 'FOO', with args beginning with: "),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ("MULTI", "+OK"),
        ("PING", "+QUEUED"),
        ("EXEC", "*1|+PONG"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("@SET other 2", "+OK"),
        ("MULTI", "+OK"),
        ("SET a 9", "+QUEUED"),
        ("EXEC", "*1|+OK"),
        ("GET a", "$1|9"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("@INCR a", ":10"),
        ("MULTI", "+OK"),
        ("EXEC", "*-1"),
        ("", ""),
        ("WATCH a b", "+OK"),
        ("@DEL b", ":0"),
        ("MULTI", "+OK"),
        ("PING", "+QUEUED"),
        ("EXEC", "*1|+PONG"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("@EXPIRE a 100", ":1"),
        ("MULTI", "+OK"),
        ("PING", "+QUEUED"),
        ("EXEC", "*-1"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("@PERSIST nope", ":0"),
        ("@GETEX a", "$2|10"),
        ("@GET a", "$2|10"),
        ("MULTI", "+OK"),
        ("PING", "+QUEUED"),
        ("EXEC", "*1|+PONG"),
        ("", ""),
        ("WATCH zz", "+OK"),
        ("@SET zz 1", "+OK"),
        ("@DEL zz", ":1"),
        ("MULTI", "+OK"),
        ("PING", "+QUEUED"),
        ("EXEC", "*-1"),
        ("", ""),
        ("WATCH zz", "+OK"),
        ("@SET zz 1", "+OK"),
        ("MULTI", "+OK"),
        ("PING", "+QUEUED"),
        ("EXEC", "*-1"),
        ("@DEL zz", ":1"),
        ("", ""),
        ("WATCH zz", "+OK"),
        ("@FLUSHALL", "+OK"),
        ("MULTI", "+OK"),
        ("PING", "+QUEUED"),
        ("EXEC", "*1|+PONG"),
        ("", ""),
        ("SET f 1", "+OK"),
        ("WATCH f", "+OK"),
        ("@FLUSHALL", "+OK"),
        ("MULTI", "+OK"),
        ("PING", "+QUEUED"),
        ("EXEC", "*-1"),
        ("", ""),
        ("WATCH a a", "+OK"),
        ("MULTI", "+OK"),
        ("CLIENT GETNAME", "+QUEUED"),
        ("EXEC", "*1|$-1"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("RESET", "+RESET"),
        ("@SET a 5", "+OK"),
        ("MULTI", "+OK"),
        ("GET a", "+QUEUED"),
        ("EXEC", "*1|$1|5"),
        ("", ""),
        ("WATCH a", "+OK"),
        ("@SET a 6", "+OK"),
        ("MULTI", "+OK"),
        ("GET a", "+QUEUED"),
        ("EXEC", "*-1"),
        ("", ""),
    ];
    let store = Rc::new(RefCell::new(Store::new(1)));
    let (mut own, mut other) = (client(&store), client(&store));
    for (at, (words, answer)) in conversation.into_iter().enumerate() {
        match words.strip_prefix('@') {
            Some(words) => assert_eq!(say(&mut other, words), answer, "{at}: {words}"),
            None if words.is_empty() => own = client(&store),
            None => assert_eq!(say(&mut own, words), answer, "{at}: {words}"),
        }
    }
}

#[test]
fn a_watched_key_that_expires_has_changed_and_one_that_had_expired_was_not_there() {
    let store = Rc::new(RefCell::new(Store::new(1)));
    let pass = |ms: u64| {
        let mut store = store.borrow_mut();
        let (now_ms, index) = (store.now_ms(), store.index());
        store.advance(now_ms + ms, index + 1);
    };
    let mut own = client(&store);
    own.call("SET e v PX 100");
    own.call("WATCH e");
    pass(100);
    own.call("MULTI");
    own.call("PING");
    assert_eq!(own.call("EXEC"), "*-1\r\n");
    own.call("SET e v PX 100");
    pass(100);
    own.call("WATCH e");
    own.call("MULTI");
    own.call("PING");
    assert_eq!(own.call("EXEC"), "*1\r\n+PONG\r\n");
}

#[test]
fn what_cannot_be_a_part_of_one_answer_breaks_the_transaction() {
    let mut own = client(&Rc::new(RefCell::new(Store::new(1))));
    // Another protocol, what a session keeps an answer to, and what is not known at once.
    for words in ["HELLO 3", "ONCE OPEN", "ONCE 1 1 SET a 1", "once close 1", "DEBUG DIGEST"] {
        own.call("MULTI");
        assert_eq!(own.call(words), "-ERR Command not allowed inside a transaction\r\n", "{words}");
        assert_eq!(own.call("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
    }
    own.call("MULTI");
    assert_eq!(own.call("BGSAVE"), "+QUEUED\r\n");
    assert_eq!(own.call("EXEC"), "*1\r\n+by the caller\r\n");
    assert!(own.call("HELLO 3").starts_with('%'));
    own.call("WATCH a");
    own.call("SET a 1");
    own.call("MULTI");
    assert_eq!(own.call("EXEC"), "_\r\n");
}

#[test]
fn a_transaction_ends_as_a_request_of_a_session() {
    let mut own = client(&Rc::new(RefCell::new(Store::new(1))));
    let mut request = |words: &str| {
        let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        match own.connection.handle(&words, &common::node(), common::NOW_US) {
            Action::Exec(bytes) => Ok(bytes),
            Action::Reply(value) => Err(value),
            other => panic!("{other:?}"),
        }
    };
    let run = |number, commands| {
        let command = Box::new(Command::Exec { conditions: Vec::new(), commands });
        let mut bytes = Vec::new();
        Command::Session(SessionCommand::Run { session: 7, number, command }).encode(&mut bytes);
        bytes
    };
    request("MULTI").unwrap_err();
    request("INCR a").unwrap_err();
    let incr = Command::IncrBy { key: b"a", delta: 1 };
    assert_eq!(request("once 7 3 Exec"), Ok(run(3, vec![incr])));
    let without = Err(Value::error("ERR EXEC without MULTI"));
    assert_eq!(request("EXEC"), without, "it has ended");
    assert_eq!(request("ONCE 7 3 EXEC"), without);
    // An empty one is a question for the record.
    request("MULTI").unwrap_err();
    assert_eq!(request("ONCE 7 4 EXEC"), Ok(run(4, Vec::new())));
    // What the store does not answer would not be in the record.
    for words in ["PING", "EXPIRE a x", "CLIENT SETNAME me"] {
        request("MULTI").unwrap_err();
        request("INCR a").unwrap_err();
        assert_eq!(request(words), Err(Value::simple("QUEUED")));
        let refusal = request("ONCE 7 5 EXEC").unwrap_err();
        assert!(matches!(&refusal, Value::Error(text) if text.starts_with(b"EXECABORT ")), "{refusal:?}");
        assert_eq!(request("EXEC"), without);
    }
    request("MULTI").unwrap_err();
    let wrong = "ERR ONCE: the number is not a positive integer";
    assert_eq!(request("ONCE 7 x EXEC"), Err(Value::error(wrong)));
    let aborted = "EXECABORT Transaction discarded because of previous errors.";
    assert_eq!(request("ONCE 7 5 EXEC"), Err(Value::error(aborted)));
}

#[test]
fn a_watch_that_failed_lets_no_transaction_through() {
    // Without a store WATCH is not answered as it should be.
    let mut own = Client::new();
    own.call("WATCH a");
    own.call("MULTI");
    own.call("SET a 1");
    assert_eq!(own.call("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
    own.call("WATCH a");
    own.call("UNWATCH");
    own.call("MULTI");
    assert_eq!(own.call("EXEC"), "*0\r\n");
}

#[test]
fn a_transaction_has_its_limits() {
    let store = Rc::new(RefCell::new(Store::new(1)));
    let mut own = client(&store);
    own.call("MULTI");
    for _ in 0..65_536 {
        own.call("INCR a");
    }
    assert_eq!(own.call("INCR a"), "-ERR transaction exceeds maximum of 65536 commands\r\n");
    assert_eq!(own.call("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_eq!(own.call("GET a"), "$-1\r\n");
    let large = "x".repeat(12 << 20);
    own.call("MULTI");
    assert_eq!(own.call(&format!("SET a {large}")), "+QUEUED\r\n");
    assert_eq!(own.call(&format!("SET b {large}")), "+QUEUED\r\n");
    let refusal = own.call(&format!("ECHO {large}"));
    assert_eq!(
        refusal,
        "-ERR transaction exceeds maximum allowed size (33554432 bytes, 1048576 arguments)\r\n"
    );
    assert!(own.call("EXEC").starts_with("-EXECABORT"));
    let long = "k".repeat((64 << 10) + 1);
    assert!(own.call(&format!("WATCH {long}")).starts_with("-ERR key"));
    own.call("MULTI");
    assert!(own.call("EXEC").starts_with("-EXECABORT"), "behind a WATCH that was refused");
    own.call("SET v x");
    own.call(&format!("APPEND v {large}"));
    own.call("MULTI");
    for _ in 0..6 {
        own.call("GET v");
    }
    let answer = own.call("EXEC");
    let refused = answer.matches("-ERR reply exceeds maximum allowed size (67108864 bytes)").count();
    assert_eq!((answer.starts_with("*6\r\n"), refused), (true, 1));
}

#[test]
fn a_client_in_a_transaction_is_shown_as_one() {
    let mut own = client(&Rc::new(RefCell::new(Store::new(1))));
    assert!(own.connection.describe(common::NOW_US).contains(" flags=N ") && own.call("MULTI") == "+OK\r\n");
    own.call("PING");
    let line = own.connection.describe(common::NOW_US);
    assert!(line.contains(" flags=x ") && line.contains(" multi=1 "), "{line}");
}
