//! docs/commands.md, made from the tables. The test fails when the page is not what they say; with `UPDATE_GOLDENFILES=1` in
//! the environment it writes the page.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use bowline_kv::command::REDIS_7_COMMANDS;

use super::table::{self, Facts, NOT_SUPPORTED};

/// Where a command does something else than in Redis 7.0. Most do not, so this is no column of the tables.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, &str)] = &[
    ("auth", "There is one user, `default`."),
    ("hello", "All its options take effect, or none. Refused between MULTI and EXEC."),
    ("select", "There is one database, 0."),
    ("client|info", "No `fd`, no `events`, no fields about buffers."),
    ("client|kill", "Of the node that is asked. What is under way on the connection may still be executed."),
    ("client|list", "Of the node that is asked. No `fd`, no `events`, no fields about buffers."),
    ("client|maint_notifications", "An error, which client libraries expect of a server that has none."),
    ("client|no-evict", "Nothing is evicted, so both settings are true."),
    ("client|no-touch", "No key has a time of its last use, so both settings are true."),
    ("client|pause", "Of the node that is asked. CLIENT PAUSE and CLIENT UNPAUSE never wait; WRITE lets every EXEC wait."),
    ("client|unpause", "Of the node that is asked."),
    ("command|docs", "No `complexity` or `history`. A reply of more than 64 MiB is an error."),
    ("command|info", "A reply of more than 64 MiB is an error."),
    ("command|list", "The pattern has 128 bytes at most."),
    ("config|get", "Settings that mean something here. `*` shows all. The patterns have 1 KiB together at most."),
    ("config|resetstat", "Of the node that is asked."),
    ("config|rewrite", "Always an error: there is no file."),
    ("config|set", "Of the node that is asked, until its process ends: maxclients, requirepass, slowlog-log-slower-than, slowlog-max-len (65536 at most). Any other setting may be set to what it is, and to nothing else."),
    ("info", "Of the node that is asked. A section `# Raft`; fields without meaning here are missing. Reads are counted in `keyspace_hits` and `keyspace_misses` where they are carried out: by the leader, whichever node is asked, and by every node if they stand in a transaction that writes too or come behind a write of their connection that is not answered yet; commands that write are not. Times are counted from reading a command to its answer, replication included, in whole microseconds. Commands between MULTI and EXEC count as their EXEC; WAIT counts without its time."),
    ("latency|doctor", "Says where to look."),
    ("latency|graph", "There are no events."),
    ("latency|histogram", "Times from reading a command to its answer."),
    ("latency|history", "There are no events."),
    ("latency|latest", "There are no events."),
    ("latency|reset", "There are no events."),
    ("slowlog|get", "Time from reading a command to its answer, replication included. At most 256 bytes of arguments together are kept."),
    ("role", "Every node is a master without replicas: each takes every command."),
    ("wait", "Every acknowledged write is on the disks of a majority. The answer is how many *other* nodes are known to have the connection's writes on disk: the leader knows of each and waits, for no more nodes than there are; another node answers at once with what is certain, 1 of three nodes, 2 of five."),
    ("bgsave", "A snapshot of the node that is asked."),
    ("lastsave", "Of the node that is asked."),
    ("debug|digest", "Another digest, and the index of the log's entry behind which it is taken. Refused between MULTI and EXEC."),
    ("function|flush", "There are no functions."),
    ("multi", "65,536 commands and 32 MiB at most. HELLO, DEBUG DIGEST and ONCE are refused until EXEC. `ONCE session number EXEC` ends a transaction that happens once."),
    ("exec", "The parts of the answer about keys have 64 MiB and 1,048,576 elements together at most, and the others 64 MiB; a part that does not fit is an error. So is one that looks at keys or fields, or copies by COPY or SETRANGE, when the transactions of its entry have done so for about a tenth of a second: millions of keys, or half a GiB. 1,024 commands about connection and server are carried out at most; those behind are answered by an error."),
    ("watch", "65,536 keys at most. A watched key that does not exist counts as changed also when another key of its slot (CRC16 of the key or its `{tag}`, modulo 16384) is removed."),
    ("once", "Bowline's own: runs a command of a session once, however often it is sent."),
    ("set", "IFEQ and IFNE are those of Redis 8.4."),
    ("delex", "Of Redis 8.4. IFDEQ and IFDNE are not served."),
    ("mget", "The reply has 64 MiB at most; if there is more, it is an error."),
    ("hmget", "The reply has 64 MiB at most; if there is more, it is an error."),
    ("hrandfield", "The reply has 64 MiB and 1,048,576 elements at most; if there are more, it is an error."),
    ("getex", "A time that is refused is refused also when the key does not exist or holds no string."),
    ("incrbyfloat", "Prints what Redis prints on x86-64, on every machine."),
    ("hincrbyfloat", "Prints what Redis prints on x86-64, on every machine."),
    ("dbsize", "Keys whose time is over are not counted."),
    ("keys", "The pattern has 1 KiB at most. The reply has 64 MiB and 1,048,576 keys at most; if there are more, or if it takes about a tenth of a second to compare all keys with the pattern, it is an error, as it is with more than 4 million keys: SCAN takes its place."),
    ("scan", "A cursor means the same on every node and after a restart, and each key that is there all along is met exactly once. A call looks at no more than 65,536 keys. The pattern has 1 KiB at most. A cursor of 2^53 or more ends the iteration."),
    ("hscan", "A cursor means the same on every node and after a restart, and each field that is there all along is met exactly once. The pattern has 1 KiB at most, and the reply 64 MiB: if there is more, it is an error. Wrong options are refused also when the key does not exist or holds no hash."),
    ("copy", "Only within database 0."),
    ("object|encoding", "By the present value, however it came about."),
    ("object|freq", "Redis's error about LFU: nobody counts."),
    ("object|refcount", "Always 1."),
    ("memory|usage", "What Bowline takes, about. SAMPLES changes nothing: the size of a value is known."),
    ("client|setname", "At most 1024 bytes."),
    ("time", "The clock of the node that is asked; keys expire by the cluster's, the median of the nodes'."),
];

/// Groups of Redis, and what they are called here, in the order of the page.
const FAMILIES: &[(&str, &str)] = &[
    ("string", "Strings"),
    ("hash", "Hashes"),
    ("generic", "Keys"),
    ("transactions", "Transactions"),
    ("connection", "Connection"),
    ("server", "Server"),
    ("scripting", "Functions"),
];

const HEAD: &str = "\
# Commands

<!-- Made from the command tables: `UPDATE_GOLDENFILES=1 cargo test -p bowline-server commands_page` makes it again. -->

What each command does is said in Redis's own documentation; this page says which ones are served, and where one does
something else than in Redis 7.0. All are served by every node.

Limits: a key has 64 KiB at most, a value 16 MiB; one command has 1,048,576 arguments at most, and 32 MiB in all of them.
A hash has 524,288 fields at most, each with a name of 64 KiB at most, and 64 MiB in all. What is not served is refused by an
error that names it, and never accepted and ignored: options of a served command too.

What an error repeats of an option about connection or server is made UTF-8. A range in a pattern, such as `[a-z]`, goes
by bytes from 0 to 255; in Redis on x86-64 those from 128 on come before all others.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut all: Vec<Facts> =
        table::all().flat_map(|facts| [facts].into_iter().chain(table::subcommands(facts.name))).collect();
    all.sort_by_key(|facts| facts.name);
    for (group, title) in FAMILIES {
        let family: Vec<_> = all.iter().filter(|facts| facts.group == *group).collect();
        if family.is_empty() {
            continue;
        }
        write!(page, "\n## {title}\n\n| command | what it does | differs from Redis |\n|---|---|---|\n")
            .unwrap();
        for facts in family {
            let name = facts.name.replace('|', " ").to_ascii_uppercase();
            let is_container = !name.contains(' ') && table::subcommands(facts.name).next().is_some();
            if is_container && facts.name != "command" {
                continue;
            }
            let difference =
                DIFFERENCES.iter().find(|(of, _)| *of == facts.name).map_or("", |(_, text)| text);
            writeln!(page, "| {name} | {} | {difference} |", facts.summary).unwrap();
        }
    }
    let served: BTreeSet<&str> = table::all().map(|facts| facts.name).collect();
    let refused: BTreeSet<String> = REDIS_7_COMMANDS
        .iter()
        .chain(NOT_SUPPORTED)
        .filter(|name| !served.contains(*name))
        .map(|name| name.replace('|', " ").to_ascii_uppercase())
        .collect();
    page.push_str("\n## Refused by name\n\nRedis 7.0 has these commands. Here they are answered by an error that says so.\n\n");
    page.push_str(&wrapped(refused.into_iter().collect::<Vec<_>>().join(", ")));
    page
}

/// Lines of at most 120 bytes.
fn wrapped(text: String) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for word in text.split(' ') {
        if length + word.len() > 118 {
            lines.push('\n');
            length = 0;
        } else if length > 0 {
            lines.push(' ');
            length += 1;
        }
        lines.push_str(word);
        length += word.len();
    }
    lines.push_str(".\n");
    lines
}

#[test]
fn commands_page_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    let page = page();
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, &page).expect("docs/commands.md can be written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/commands.md");
    assert!(
        written == page,
        "docs/commands.md is not what the tables say: UPDATE_GOLDENFILES=1 cargo test -p bowline-server commands_page"
    );
}

#[test]
fn every_row_stands_in_a_family_and_every_difference_is_of_a_row() {
    let all: Vec<Facts> =
        table::numbers().filter_map(|number| table::describe(table::name(number).as_bytes())).collect();
    let names: BTreeSet<&str> = all.iter().map(|facts| facts.name).collect();
    assert_eq!(names.len(), table::count(), "a name stands in the tables twice");
    for facts in &all {
        assert!(FAMILIES.iter().any(|(group, _)| *group == facts.group), "{}: {}", facts.name, facts.group);
        assert!(!facts.summary.contains('|'), "{} would tear its row", facts.name);
    }
    for (name, text) in DIFFERENCES {
        assert!(names.contains(name), "{name} is no command");
        assert!(!text.contains('|'), "{name} would tear its row");
    }
    for name in NOT_SUPPORTED {
        assert!(!names.contains(name), "{name} is served");
    }
}
