//! The commands about connection and server, in Redis's words. The expected bytes are those of redis-server
//! 7.0.15, except where the answer is Bowline's own.

mod common;

use bowline_kv::Reply;
use bowline_server::face::info::{Cpu, Memory, Peer, Raft, RaftRole, Rates, Saving, Stats};
use bowline_server::face::{Metrics, NodeInfo, Sections, info};
use bowline_server::resp::{Protocol, Value};
use common::{Client, NOW_US, frame, node};

/// Asks on a new connection each time.
fn check(cases: &[(&str, &str)]) {
    for (words, answer) in cases {
        assert_eq!(Client::new().call(words), format!("{answer}\r\n"), "{words}");
    }
}

#[test]
fn errors_are_worded_as_in_redis() {
    let bad_name = "-ERR Client names cannot contain spaces, newlines or special characters.";
    let wrong_password = "-WRONGPASS invalid username-password pair or user is disabled.";
    check(&[
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 03", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 AUTH u p", wrong_password),
        ("HELLO 3 AUTH u", "-ERR Syntax error in HELLO option 'AUTH'"),
        ("HELLO 3 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME'"),
        ("HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'"),
        ("HELLO 3 SETNAME a\tb", bad_name),
        (
            "AUTH x",
            "-ERR AUTH <password> called without any password configured for the default user. Are you sure \
             your configuration is correct?",
        ),
        ("AUTH default x", "+OK"),
        ("AUTH u x", wrong_password),
        ("AUTH a b c", "-ERR syntax error"),
        ("AUTH", "-ERR wrong number of arguments for 'auth' command"),
        ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
        ("ECHO", "-ERR wrong number of arguments for 'echo' command"),
        ("RESET x", "-ERR wrong number of arguments for 'reset' command"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("SELECT 2147483648", "-ERR value is out of range, value must between -2147483648 and 2147483647"),
        ("SELECT 2147483647", "-ERR DB index is out of range"),
        ("SELECT -1", "-ERR DB index is out of range"),
        ("SELECT x", "-ERR value is not an integer or out of range"),
        ("SELECT", "-ERR wrong number of arguments for 'select' command"),
        ("TIME x", "-ERR wrong number of arguments for 'time' command"),
        ("CLIENT", "-ERR wrong number of arguments for 'client' command"),
        ("CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command"),
        ("client setname", "-ERR wrong number of arguments for 'client|setname' command"),
        ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
        ("CLIENT F\0O", "-ERR unknown subcommand 'F'. Try CLIENT HELP."),
        ("OBJECT F\0O k", "-ERR unknown subcommand 'F'. Try OBJECT HELP."),
        ("CLIENT F\r\nO", "-ERR unknown subcommand 'F  O'. Try CLIENT HELP."),
        ("CLIENT SETNAME a\nb", bad_name),
        (
            "CLIENT SETINFO LIB-NAME a\tb",
            "-ERR lib-name cannot contain spaces, newlines or special characters.",
        ),
        ("CLIENT SETINFO FOO x", "-ERR Unrecognized option 'FOO'"),
        ("CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'"),
        ("CLIENT LIST TYPE", "-ERR syntax error"),
        ("CLIENT LIST ID x", "-ERR Invalid client ID"),
        ("CLIENT LIST FOO", "-ERR syntax error"),
        ("CLIENT NO-EVICT x", "-ERR syntax error"),
        ("COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP."),
        ("COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command"),
        ("COMMAND LIST FOO", "-ERR syntax error"),
        ("COMMAND GETKEYS ping", "-ERR The command has no key arguments"),
        ("COMMAND GETKEYS nope", "-ERR Invalid command specified"),
        ("COMMAND GETKEYS get", "-ERR Invalid number of arguments specified for command"),
        ("CONFIG", "-ERR wrong number of arguments for 'config' command"),
        ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG SET a", "-ERR wrong number of arguments for 'config|set' command"),
        ("CONFIG FOO", "-ERR unknown subcommand 'FOO'. Try CONFIG HELP."),
        ("CONFIG REWRITE", "-ERR The server is running without a config file"),
        ("FUNCTION FLUSH x", "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
        ("FUNCTION FOO", "-ERR unknown subcommand 'FOO'. Try FUNCTION HELP."),
        ("CLIENT KILL", "-ERR wrong number of arguments for 'client|kill' command"),
        ("CLIENT KILL ID x", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL ID 0", "-ERR client-id should be greater than 0"),
        ("CLIENT KILL FOO x", "-ERR syntax error"),
        ("CLIENT KILL ID 1 FOO", "-ERR syntax error"),
        ("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'"),
        ("CLIENT KILL USER nobody", "-ERR No such user 'nobody'"),
        ("CLIENT KILL SKIPME maybe", "-ERR syntax error"),
        ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range"),
        ("CLIENT PAUSE -1", "-ERR timeout is negative"),
        ("CLIENT PAUSE 1 FOO", "-ERR CLIENT PAUSE mode must be WRITE or ALL"),
        ("WAIT x 0", "-ERR value is not an integer or out of range"),
        ("WAIT 1 -1", "-ERR timeout is negative"),
        ("WAIT 1 x", "-ERR timeout is not an integer or out of range"),
        ("SLOWLOG GET -2", "-ERR count should be greater than or equal to -1"),
        ("SLOWLOG GET x", "-ERR count should be greater than or equal to -1"),
        (
            "SLOWLOG get 1 2",
            "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.",
        ),
        ("SLOWLOG FOO", "-ERR unknown subcommand 'FOO'. Try SLOWLOG HELP."),
        ("LATENCY GRAPH x", "-ERR No samples available for event 'x'"),
        ("LATENCY HISTORY", "-ERR wrong number of arguments for 'latency|history' command"),
        ("BGSAVE now", "-ERR syntax error"),
        ("LASTSAVE now", "-ERR wrong number of arguments for 'lastsave' command"),
        ("DEBUG", "-ERR wrong number of arguments for 'debug' command"),
    ]);
}

#[test]
fn what_is_not_served_is_refused_and_not_ignored() {
    check(&[
        ("CLIENT REPLY OFF", "-ERR CLIENT REPLY is not supported"),
        ("CLIENT TRACKING ON", "-ERR CLIENT TRACKING is not supported"),
        ("client unblock 3", "-ERR CLIENT UNBLOCK is not supported"),
        ("FUNCTION LOAD x", "-ERR FUNCTION LOAD is not supported"),
        ("DEBUG SLEEP 0", "-ERR DEBUG SLEEP is not supported"),
    ]);
}

#[test]
fn simple_answers() {
    check(&[
        ("PING", "+PONG"),
        ("ping hello", "$5\r\nhello"),
        ("ECHO a", "$1\r\na"),
        ("SELECT 0", "+OK"),
        ("RESET", "+RESET"),
        ("CLIENT ID", ":7"),
        ("CLIENT GETNAME", "$-1"),
        ("CLIENT NO-EVICT on", "+OK"),
        ("CLIENT NO-TOUCH OFF", "+OK"),
        ("CLIENT LIST ID 8 9", "$0\r\n"),
        ("CLIENT LIST TYPE replica", "$0\r\n"),
        ("TIME", "*2\r\n$10\r\n1795300543\r\n$6\r\n430214"),
        ("FUNCTION FLUSH", "+OK"),
        ("FUNCTION FLUSH ASYNC", "+OK"),
        ("CONFIG RESETSTAT", "+OK"),
        ("LATENCY LATEST", "*0"),
        ("LATENCY HISTORY command", "*0"),
        ("LATENCY RESET command", ":0"),
        ("SLOWLOG LEN", ":0"),
        ("INFO modules", "$11\r\n# Modules\r\n"),
        ("CONFIG GET nope", "*0"),
        (
            "CONFIG GET PORT d?r data[a-c]ases",
            "*6\r\n$9\r\ndatabases\r\n$1\r\n1\r\n$3\r\ndir\r\n$7\r\n/data/2\r\n$4\r\nport\r\n$4\r\n7380",
        ),
        (
            "CONFIG GET maxmem* save *mem*",
            "*6\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n$4\r\nsave\r\n$0\r\n",
        ),
        ("INFO nope", "$0\r\n"),
        ("INFO Cluster", "$30\r\n# Cluster\r\ncluster_enabled:0\r\n"),
        ("COMMAND GETKEYS mset a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb"),
        ("COMMAND GETKEYS get k", "*1\r\n$1\r\nk"),
        ("COMMAND LIST FILTERBY PATTERN g*t", "*2\r\n$3\r\nget\r\n$6\r\ngetset"),
        ("COMMAND LIST FILTERBY MODULE x", "*0"),
        ("COMMAND LIST FILTERBY ACLCAT scripting", "*2\r\n$14\r\nfunction|flush\r\n$13\r\nfunction|help"),
    ]);
}

#[test]
fn hello_takes_effect_as_a_whole_or_not_at_all() {
    let mut client = Client::new();
    for refused in ["HELLO 3 SETNAME n AUTH u p", "HELLO 3 SETNAME n FOO", "HELLO 3 SETNAME"] {
        assert!(client.call(refused).starts_with('-'), "{refused}");
        assert_eq!(client.call("CLIENT GETNAME"), "$-1\r\n", "{refused}");
    }
    assert!(client.call("HELLO 3 AUTH default any SETNAME n").starts_with("%7\r\n"));
    assert_eq!(client.call("CLIENT GETNAME"), "$1\r\nn\r\n");
    assert!(client.call("HELLO").starts_with("%7\r\n"), "without a version nothing changes");
    assert_eq!(client.call("RESET"), "+RESET\r\n");
    assert_eq!(client.call("CLIENT GETNAME"), "$-1\r\n", "name and protocol are gone");
    client.call("HELLO 3");
    assert!(client.call("HELLO 2").starts_with("*14\r\n"));
}

#[test]
fn a_line_of_client_list_says_who_it_is() {
    let mut client = Client::new();
    client.call("CLIENT SETNAME worker:1");
    let line = "id=7 addr=127.0.0.1:50000 laddr=127.0.0.1:7380 name=worker:1 age=3 idle=0 flags=N db=0 sub=0 psub=0 \
                ssub=0 multi=-1 cmd=client|list user=default redir=-1 resp=2 lib-name= lib-ver= tot-cmds=2\n";
    assert_eq!(client.call("CLIENT LIST"), format!("${}\r\n{line}\r\n", line.len()));
    assert!(client.call("CLIENT LIST ID 3 7").contains("id=7 "));
    client.call("SET k v");
    assert!(client.connection.describe(NOW_US).contains(" cmd=set "));
    client.call("S\tcmd=x k v");
    assert!(client.connection.describe(NOW_US).contains(" cmd=NULL "), "a line stays a line");
    let long = format!("CLIENT SETNAME {}", "n".repeat(1025));
    assert_eq!(client.call(&long), "-ERR Client names cannot be longer than 1024 bytes\r\n");
}

/// Ten elements a command, as clients that place commands by them read them.
#[test]
fn command_info_is_redis_s_own() {
    let key_specification = |flags: &str, last: i32, step: i32| {
        format!(
            "*1\r\n*6\r\n$5\r\nflags\r\n{flags}$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n\
             *2\r\n$5\r\nindex\r\n:1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n\
             *6\r\n$7\r\nlastkey\r\n:{last}\r\n$7\r\nkeystep\r\n:{step}\r\n$5\r\nlimit\r\n:0\r\n*0"
        )
    };
    check(&[
        (
            "COMMAND INFO get nope",
            &format!(
                "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n\
                 *3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n{}\r\n$-1",
                key_specification("*2\r\n+RO\r\n+access\r\n", 0, 1)
            ),
        ),
        (
            "COMMAND INFO MSET",
            &format!(
                "*1\r\n*10\r\n$4\r\nmset\r\n:-3\r\n*2\r\n+write\r\n+denyoom\r\n:1\r\n:-1\r\n:2\r\n\
                 *3\r\n+@write\r\n+@string\r\n+@slow\r\n*0\r\n{}",
                key_specification("*2\r\n+OW\r\n+update\r\n", -1, 2)
            ),
        ),
        (
            "COMMAND INFO hello",
            "*1\r\n*10\r\n$5\r\nhello\r\n:-1\r\n*6\r\n+noscript\r\n+loading\r\n+stale\r\n+fast\r\n+no_auth\r\n\
             +allow_busy\r\n:0\r\n:0\r\n:0\r\n*2\r\n+@fast\r\n+@connection\r\n*0\r\n*0\r\n*0",
        ),
        (
            "COMMAND INFO client|id",
            "*1\r\n*10\r\n$9\r\nclient|id\r\n:2\r\n*3\r\n+noscript\r\n+loading\r\n+stale\r\n:0\r\n:0\r\n:0\r\n\
             *2\r\n+@slow\r\n+@connection\r\n*0\r\n*0\r\n*0",
        ),
    ]);
    let mut client = Client::new();
    let all = client.call("COMMAND");
    assert_eq!(client.call("COMMAND INFO"), all);
    let count = client.call("COMMAND COUNT");
    assert!(all.starts_with(&count.replace(':', "*")));
    for spec in bowline_kv::command::SPECS {
        let name = format!("\r\n${}\r\n{}\r\n:{}\r\n", spec.name.len(), spec.name, spec.arity);
        assert!(all.contains(&name), "{} is missing", spec.name);
    }
    client.call("HELLO 3");
    let get = client.call("COMMAND INFO get");
    assert!(
        get.contains("~2\r\n+readonly\r\n+fast\r\n") && get.contains("$9\r\nfind_keys\r\n%2\r\n"),
        "{get}"
    );
}

#[test]
fn info_shows_every_figure_under_its_name() {
    let metrics = Metrics {
        uptime: std::time::Duration::from_secs(90_000),
        connected_clients: 3,
        blocked_clients: 1,
        memory: Memory { resident_bytes: 1536, peak_bytes: 3 << 20, total_bytes: 8 << 30 },
        stats: Stats {
            connections_received: 11,
            connections_rejected: 12,
            commands_processed: 13,
            error_replies: 14,
            input_bytes: 15,
            output_bytes: 16,
            disconnected: 37,
            hits: 41,
            misses: 42,
            expired: 43,
        },
        cpu: Cpu { system_cs: 105, user_cs: 1234 },
        rates: Rates { commands: 38, input_bytes: 1024, output_bytes: 1500 },
        keys: 17,
        store_bytes: 39,
        expiring_keys: 5,
        saving: Saving {
            current_s: None,
            last_us: 31_000_000,
            last_s: Some(32),
            last_failed: true,
            entries_since: 33,
        },
        raft: Raft {
            role: RaftRole::Leader,
            term: 20,
            leader_id: Some(2),
            commit_index: 21,
            last_applied: 22,
            last_log_index: 23,
            durable_index: 24,
            log_entries: 25,
            log_bytes: 26,
            log_limit_bytes: 27,
            snapshot_index: 34,
            snapshot_made_us: Some(NOW_US - 35_999_999),
            snapshot_bytes: 36,
            completion_records: 28,
            sessions: 29,
            session_bytes: 30,
            duplicates: 31,
            unanswered: 40,
            peers: vec![
                Peer { id: 1, addr: "h:7379".into(), is_up: true, match_index: Some(21), lag: Some(2) },
                Peer { id: 3, addr: "h:7381".into(), is_up: false, match_index: None, lag: None },
            ],
        },
    };
    let node: NodeInfo = node();
    let text = |names: &[&[u8]]| info::render(Sections::parse(names), &node, &metrics, NOW_US);
    let raft = "# Raft\r\nraft_cluster:blue\r\nraft_node_id:2\r\nraft_role:leader\r\nraft_term:20\r\nraft_leader_id:2\r\n\
        raft_commit_index:21\r\nraft_last_applied:22\r\nraft_last_log_index:23\r\nraft_durable_index:24\r\n\
        raft_log_entries:25\r\nraft_log_bytes:26\r\nraft_log_limit_bytes:27\r\n\
        raft_snapshot_index:34\r\nraft_snapshot_age_sec:35\r\nraft_snapshot_bytes:36\r\nraft_completion_records:28\r\n\
        raft_sessions:29\r\nraft_session_bytes:30\r\nraft_duplicates_suppressed:31\r\nraft_unanswered_commands:40\r\nraft_peers:2\r\n\
        raft_peer0:id=1,addr=h:7379,state=up,match_index=21,lag=2\r\n\
        raft_peer1:id=3,addr=h:7381,state=down,match_index=unknown,lag=unknown\r\n";
    assert_eq!(text(&[b"RAFT"]), raft);
    assert_eq!(
        text(&[b"raft", b"Keyspace", b"nope", b"raft"]),
        format!("# Keyspace\r\ndb0:keys=17,expires=5,avg_ttl=0\r\n\r\n{raft}"),
        "in their order, each once"
    );
    assert_eq!(
        text(&[b"server"]),
        format!(
            "# Server\r\nredis_version:7.0.15\r\nbowline_version:{}\r\nredis_mode:standalone\r\nos:{}\r\narch_bits:{}\r\n\
             process_id:4711\r\nrun_id:0123456789abcdef0123456789abcdef01234567\r\ntcp_port:7380\r\n\
             server_time_usec:1795300543430214\r\nuptime_in_seconds:90000\r\nuptime_in_days:1\r\n",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            usize::BITS,
        )
    );
    let by_default = text(&[]);
    assert_eq!(text(&[b"server", b"Default"]), by_default);
    let all = text(&[b"all"]);
    assert_eq!(text(&[b"server", b"everything"]), all);
    for line in [
        "connected_clients:3",
        "maxclients:10000",
        "blocked_clients:1",
        "used_memory:1536",
        "used_memory_human:1.50K",
        "used_memory_peak_human:3.00M",
        "total_system_memory_human:8.00G",
        "maxmemory_human:0B",
        "loading:0",
        "rdb_changes_since_last_save:33",
        "rdb_bgsave_in_progress:0",
        "rdb_last_save_time:31",
        "rdb_last_bgsave_status:err",
        "rdb_last_bgsave_time_sec:32",
        "rdb_current_bgsave_time_sec:-1",
        "total_connections_received:11",
        "rejected_connections:12",
        "total_commands_processed:13",
        "total_error_replies:14",
        "total_net_input_bytes:15",
        "total_net_output_bytes:16",
        "client_output_buffer_limit_disconnections:37",
        "keyspace_hits:41",
        "keyspace_misses:42",
        "expired_keys:43",
        "used_cpu_sys:1.050000",
        "used_cpu_user:12.340000",
        "instantaneous_ops_per_sec:38",
        "instantaneous_input_kbps:1.00",
        "instantaneous_output_kbps:1.46",
        "used_memory_dataset:39",
        "role:master",
        "cluster_enabled:0",
        "raft_term:20",
    ] {
        assert!(all.contains(&format!("\r\n{line}\r\n")), "{line} is not in {all}");
    }
    let titles = |text: &str| {
        text.lines().filter_map(|line| line.strip_prefix("# ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let long = ["Commandstats", "Latencystats"];
    let mut order = vec![
        "Server",
        "Clients",
        "Memory",
        "Persistence",
        "Stats",
        "Replication",
        "CPU",
        "Modules",
        "Commandstats",
        "Errorstats",
        "Latencystats",
        "Cluster",
        "Keyspace",
        "Raft",
    ];
    assert_eq!(titles(&all), order);
    order.retain(|title| !long.contains(title));
    assert_eq!(titles(&by_default), order);
    assert_eq!(titles(&text(&[b"default", b"commandstats"])).len(), order.len() + 1);
}

#[test]
fn replies_of_the_store_in_both_protocols() {
    let nested = Reply::Array(vec![Reply::Bulk("a\r\nb".into()), Reply::Nil, Reply::Int(-5)]);
    let cases = [
        (Reply::Ok, "+OK\r\n", "+OK\r\n"),
        (Reply::Nil, "$-1\r\n", "_\r\n"),
        (Reply::Int(i64::MIN), ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"),
        (Reply::Simple("string".into()), "+string\r\n", "+string\r\n"),
        (Reply::Bulk("".into()), "$0\r\n\r\n", "$0\r\n\r\n"),
        (nested, "*3\r\n$4\r\na\r\nb\r\n$-1\r\n:-5\r\n", "*3\r\n$4\r\na\r\nb\r\n_\r\n:-5\r\n"),
        (Reply::error("ERR a\r\n+OK\r\n".into()), "-ERR a  +OK  \r\n", "-ERR a  +OK  \r\n"),
    ];
    for (reply, resp2, resp3) in cases {
        let value = Value::from(reply);
        for (protocol, expected) in [(Protocol::Resp2, resp2), (Protocol::Resp3, resp3)] {
            let mut out = Vec::new();
            value.write(protocol, &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }
}

/// No command, however odd its arguments, is anything but answered or handed on.
#[test]
fn every_command_takes_any_number_of_odd_arguments() {
    let names = Client::new().call("COMMAND LIST");
    let names: Vec<&str> =
        names.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        for count in 0..6 {
            for odd in
                ["", "\u{0}", "*", "[", "\\", "-1", "9223372036854775808", "get", "mset", "FILTERBY", "ID"]
            {
                let words = [
                    &name.replace('|', " "),
                    &" ".to_owned().repeat(usize::from(count > 0)),
                    &vec![odd; count].join(" "),
                ];
                let mut client = Client::new();
                let answer = client.send(&frame(&words.map(String::as_str).concat()));
                assert!(answer.ends_with("\r\n"), "{name} {count} {odd:?}");
            }
        }
    }
}
