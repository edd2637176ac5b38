//! The commands about keys as a client meets them: containers of which a part is the store's, and replies with
//! arrays in them. The expected bytes are those of redis-server 7.0.15, except where the answer is Bowline's own.

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use bowline_kv::Store;
use common::Client;

fn client() -> Client {
    let mut client = Client::new();
    client.store = Some(Rc::new(RefCell::new(Store::new(1))));
    client
}

fn check(cases: &[(&str, &str)]) {
    let mut client = client();
    for (words, answer) in cases {
        assert_eq!(client.call(words), format!("{answer}\r\n"), "{words}");
    }
}

#[test]
fn a_container_sends_its_keys_to_the_store_and_answers_the_rest() {
    check(&[
        ("SET a 1", "+OK"),
        ("OBJECT ENCODING a", "$3\r\nint"),
        ("object encoding nope", "$-1"),
        ("OBJECT REFCOUNT a", ":1"),
        ("OBJECT IDLETIME a", "-ERR OBJECT IDLETIME is not supported"),
        ("OBJECT", "-ERR wrong number of arguments for 'object' command"),
        ("OBJECT FOO a", "-ERR unknown subcommand 'FOO'. Try OBJECT HELP."),
        ("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command"),
        ("MEMORY USAGE nope", "$-1"),
        ("MEMORY USAGE", "-ERR wrong number of arguments for 'memory|usage' command"),
        ("MEMORY FOO", "-ERR unknown subcommand 'FOO'. Try MEMORY HELP."),
        ("MEMORY DOCTOR", "-ERR MEMORY DOCTOR is not supported"),
    ]);
    let mut client = client();
    for container in ["OBJECT", "MEMORY"] {
        let help = client.call(&format!("{container} HELP"));
        assert!(help.starts_with('*') && help.contains(&format!("\r\n+{container}\r\n+")), "{help}");
    }
}

#[test]
fn transactions_hold_them_as_well() {
    check(&[
        ("SET a 1", "+OK"),
        ("MULTI", "+OK"),
        ("SCAN 0", "+QUEUED"),
        ("KEYS *", "+QUEUED"),
        ("RANDOMKEY", "+QUEUED"),
        ("RENAME nope b", "+QUEUED"),
        ("OBJECT ENCODING a", "+QUEUED"),
        ("SCAN x", "+QUEUED"),
        (
            "EXEC",
            "*6\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n*1\r\n$1\r\na\r\n$1\r\na\r\n-ERR no such key\r\n$3\r\nint\r\n\
             -ERR invalid cursor",
        ),
        ("MULTI", "+OK"),
        ("SET a 2 IFEQ 1", "+QUEUED"),
        ("RENAME a b", "+QUEUED"),
        ("SCAN 0 TYPE string", "+QUEUED"),
        ("EXEC", "*3\r\n+OK\r\n+OK\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb"),
        ("MULTI", "+OK"),
        ("OBJECT FOO a", "-ERR unknown subcommand 'FOO'. Try OBJECT HELP."),
        ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
    ]);
}

#[test]
fn what_command_says_of_them_is_what_redis_says() {
    let spec = |flags: &str, index: u32| {
        format!(
            "*6\r\n$5\r\nflags\r\n{flags}$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n\
             *2\r\n$5\r\nindex\r\n:{index}\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n\
             $7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n"
        )
    };
    let mut client = client();
    let rename = format!(
        "*1\r\n*10\r\n$6\r\nrename\r\n:3\r\n*1\r\n+write\r\n:1\r\n:2\r\n:1\r\n*3\r\n+@keyspace\r\n+@write\r\n+@slow\r\n\
         *0\r\n*2\r\n{}{}*0\r\n",
        spec("*3\r\n+RW\r\n+access\r\n+delete\r\n", 1),
        spec("*2\r\n+OW\r\n+update\r\n", 2),
    );
    assert_eq!(client.call("COMMAND INFO rename"), rename);
    let usage = format!(
        "*1\r\n*10\r\n$12\r\nmemory|usage\r\n:-3\r\n*1\r\n+readonly\r\n:2\r\n:2\r\n:1\r\n*2\r\n+@read\r\n+@slow\r\n\
         *0\r\n*1\r\n{}*0\r\n",
        spec("*1\r\n+RO\r\n", 2),
    );
    assert_eq!(client.call("COMMAND INFO memory|usage"), usage);
    check(&[
        ("COMMAND GETKEYS rename a b", "*2\r\n$1\r\na\r\n$1\r\nb"),
        ("COMMAND GETKEYS object encoding k", "*1\r\n$1\r\nk"),
        ("COMMAND GETKEYS MEMORY usage k", "*1\r\n$1\r\nk"),
        ("COMMAND GETKEYS msetnx a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb"),
        ("COMMAND GETKEYS scan 0", "-ERR The command has no key arguments"),
        ("COMMAND GETKEYS object foo", "-ERR Invalid command specified"),
        ("COMMAND GETKEYS object help", "-ERR The command has no key arguments"),
        ("COMMAND GETKEYS memory usage", "-ERR Invalid number of arguments specified for command"),
    ]);
}
