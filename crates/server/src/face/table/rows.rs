//! The rows: the commands that are answered here, and those that are refused by name.

use super::{Call, Facts};

/// A command that is answered here. One without a call of its own is a container and needs a subcommand.
pub(super) type Entry = (Option<Call>, Facts);

const fn entry(
    call: Option<Call>,
    name: &'static str,
    arity: i32,
    flags: &'static [&'static str],
    categories: &'static [&'static str],
    (group, since, summary): (&'static str, &'static str, &'static str),
) -> Entry {
    let facts = Facts { name, arity, flags, keys: [0; 3], key_flags: &[], categories, group, since, summary };
    (call, facts)
}

const ALWAYS: &[&str] = &["loading", "stale"];
const ALWAYS_FAST: &[&str] = &["loading", "stale", "fast"];
const OWN: &[&str] = &["noscript", "loading", "stale"];
const GREETING: &[&str] = &["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"];
const ADMIN: &[&str] = &["admin", "noscript", "loading", "stale"];

const ADMIN_STALE: &[&str] = &["admin", "loading", "stale"];
const ALWAYS_FAST_QUIET: &[&str] = &["noscript", "loading", "stale", "fast"];

const IN_ORDER: &[&str] = &["noscript", "loading", "stale", "fast", "allow_busy"];
const AT_LAST: &[&str] = &["noscript", "loading", "stale", "skip_slowlog"];

const SLOW: &[&str] = &["@slow"];
const FIND_SLOW: &[&str] = &["@keyspace", "@read", "@slow"];
const CONNECTION_FAST: &[&str] = &["@fast", "@connection"];
const CONNECTION_SLOW: &[&str] = &["@slow", "@connection"];
const CONNECTION_ADMIN: &[&str] = &["@admin", "@slow", "@dangerous", "@connection"];
const SERVER_ADMIN: &[&str] = &["@admin", "@slow", "@dangerous"];
const LAST_SAVE: &[&str] = &["@admin", "@fast", "@dangerous"];
const SERVER_DANGEROUS: &[&str] = &["@slow", "@dangerous"];
const SCRIPTING: &[&str] = &["@write", "@slow", "@scripting"];

const CONNECTION: &str = "connection";
const SERVER: &str = "server";
const GENERIC: &str = "generic";
const TRANSACTIONS: &str = "transactions";

const TRANSACTION_FAST: &[&str] = &["@fast", "@transaction"];
const TRANSACTION_SLOW: &[&str] = &["@slow", "@transaction"];

/// The one command here that names keys.
const WATCH: Entry = {
    let what = (TRANSACTIONS, "2.2.0", "Lets EXEC do nothing if one of the keys has changed");
    let (call, facts) = entry(Some(Call::Watch), "watch", -2, IN_ORDER, TRANSACTION_FAST, what);
    (call, Facts { keys: [1, -1, 1], key_flags: &["RO"], ..facts })
};

/// A subcommand about a key, which is the store's to answer.
const fn of_store(
    name: &'static str,
    arity: i32,
    categories: &'static [&'static str],
    what: (&'static str, &'static str, &'static str),
) -> Entry {
    let (call, facts) = entry(Some(Call::Store), name, arity, &["readonly"], categories, what);
    (call, Facts { keys: [2, 2, 1], key_flags: &["RO"], ..facts })
}

/// The commands, without their subcommands.
#[rustfmt::skip]
pub(super) static COMMANDS: &[Entry] = &[
    entry(Some(Call::Ping), "ping", -1, &["fast"], CONNECTION_FAST, (CONNECTION, "1.0.0", "Answers PONG, or with its argument")),
    entry(Some(Call::Echo), "echo", 2, ALWAYS_FAST, CONNECTION_FAST, (CONNECTION, "1.0.0", "Answers with its argument")),
    entry(Some(Call::Hello), "hello", -1, GREETING, CONNECTION_FAST, (CONNECTION, "6.0.0", "Chooses the protocol and says who the server is")),
    entry(Some(Call::Auth), "auth", -2, GREETING, CONNECTION_FAST, (CONNECTION, "1.0.0", "Logs in")),
    entry(Some(Call::Select), "select", 2, ALWAYS_FAST, CONNECTION_FAST, (CONNECTION, "1.0.0", "Chooses the database; there is only 0")),
    entry(Some(Call::Quit), "quit", -1, GREETING, CONNECTION_FAST, (CONNECTION, "1.0.0", "Closes the connection")),
    entry(Some(Call::Reset), "reset", 1, GREETING, CONNECTION_FAST, (CONNECTION, "6.2.0", "Puts the connection back to how it began")),
    entry(None, "client", -2, &[], SLOW, (CONNECTION, "2.4.0", "About client connections")),
    entry(Some(Call::Command), "command", -1, ALWAYS, CONNECTION_SLOW, (SERVER, "2.8.13", "Describes all commands")),
    entry(None, "config", -2, &[], SLOW, (SERVER, "2.0.0", "About the server's settings")),
    entry(None, "function", -2, &[], SLOW, ("scripting", "7.0.0", "About functions, of which there are none")),
    entry(Some(Call::Info), "info", -1, ALWAYS, SERVER_DANGEROUS, (SERVER, "1.0.0", "The server's figures, by section")),
    entry(Some(Call::Multi), "multi", 1, IN_ORDER, TRANSACTION_FAST, (TRANSACTIONS, "1.2.0", "Begins a transaction")),
    entry(Some(Call::Exec), "exec", 1, AT_LAST, TRANSACTION_SLOW, (TRANSACTIONS, "1.2.0", "Executes the commands of a transaction")),
    entry(Some(Call::Discard), "discard", 1, IN_ORDER, TRANSACTION_FAST, (TRANSACTIONS, "2.0.0", "Forgets the commands of a transaction")),
    WATCH,
    entry(Some(Call::Unwatch), "unwatch", 1, IN_ORDER, TRANSACTION_FAST, (TRANSACTIONS, "2.2.0", "Forgets what is watched")),
    entry(Some(Call::Time), "time", 1, ALWAYS_FAST, &["@fast"], (SERVER, "2.6.0", "The server's clock: seconds since 1970, microseconds")),
    entry(Some(Call::Role), "role", 1, ALWAYS_FAST_QUIET, &["@admin", "@fast", "@dangerous"], (SERVER, "2.8.12", "What this node is to a client of Redis: a master")),
    entry(Some(Call::Wait), "wait", 3, &["noscript"], CONNECTION_SLOW, ("generic", "3.0.0", "Waits until other nodes have the writes of this connection on disk")),
    entry(None, "slowlog", -2, &[], SLOW, (SERVER, "2.2.12", "About commands that took long")),
    entry(None, "latency", -2, &[], SLOW, (SERVER, "2.8.13", "About how long commands take")),
    entry(Some(Call::BgSave), "bgsave", -1, &["admin", "noscript", "no_async_loading"], SERVER_ADMIN, (SERVER, "1.0.0", "Makes a snapshot of this node's state in the background")),
    entry(Some(Call::LastSave), "lastsave", 1, ALWAYS_FAST, LAST_SAVE, (SERVER, "1.0.0", "The time of this node's last snapshot, in seconds since 1970")),
    entry(None, "object", -2, &[], SLOW, (GENERIC, "2.2.3", "How a key is kept")),
    entry(None, "memory", -2, &[], SLOW, (SERVER, "4.0.0", "What takes memory")),
    entry(None, "debug", -2, ADMIN, SERVER_ADMIN, (SERVER, "1.0.0", "About the server's state")),
];

/// The subcommands, each behind the name of its container.
#[rustfmt::skip]
pub(super) static SUBCOMMANDS: &[Entry] = &[
    entry(Some(Call::ClientId), "client|id", 2, OWN, CONNECTION_SLOW, (CONNECTION, "5.0.0", "The number of this connection")),
    entry(Some(Call::ClientInfo), "client|info", 2, OWN, CONNECTION_SLOW, (CONNECTION, "6.2.0", "Describes this connection")),
    entry(Some(Call::ClientList), "client|list", -2, ADMIN, CONNECTION_ADMIN, (CONNECTION, "2.4.0", "Describes the connections of this node, a line each")),
    entry(Some(Call::ClientGetName), "client|getname", 2, OWN, CONNECTION_SLOW, (CONNECTION, "2.6.9", "The name of this connection")),
    entry(Some(Call::ClientSetName), "client|setname", 3, OWN, CONNECTION_SLOW, (CONNECTION, "2.6.9", "Names this connection")),
    entry(Some(Call::ClientSetInfo), "client|setinfo", 4, OWN, CONNECTION_SLOW, (CONNECTION, "7.2.0", "Tells which library the client uses")),
    entry(Some(Call::ClientSwitch), "client|no-evict", 3, ADMIN, CONNECTION_ADMIN, (CONNECTION, "7.0.0", "Keeps this connection from being evicted; none ever is")),
    entry(Some(Call::ClientSwitch), "client|no-touch", 3, OWN, CONNECTION_SLOW, (CONNECTION, "7.2.0", "Keeps reads from counting as use; they never do")),
    entry(Some(Call::ClientKill), "client|kill", -3, ADMIN, CONNECTION_ADMIN, (CONNECTION, "2.4.0", "Closes connections of this node")),
    entry(Some(Call::ClientPause), "client|pause", -3, ADMIN, CONNECTION_ADMIN, (CONNECTION, "3.0.0", "Lets the clients of this node wait for so many milliseconds")),
    entry(Some(Call::ClientUnpause), "client|unpause", 2, ADMIN, CONNECTION_ADMIN, (CONNECTION, "6.2.0", "Ends the wait of the clients of this node")),
    entry(Some(Call::ClientMaintNotifications), "client|maint_notifications", -3, OWN, CONNECTION_SLOW, (CONNECTION, "8.4.0", "Not supported")),
    entry(Some(Call::Help("CLIENT")), "client|help", 2, ALWAYS, CONNECTION_SLOW, (CONNECTION, "5.0.0", "Lists the subcommands")),
    entry(Some(Call::ConfigGet), "config|get", -3, ADMIN, SERVER_ADMIN, (SERVER, "2.0.0", "The settings whose names fit one of the patterns")),
    entry(Some(Call::ConfigSet), "config|set", -4, ADMIN, SERVER_ADMIN, (SERVER, "2.0.0", "Changes settings of this node, until its process ends")),
    entry(Some(Call::ConfigRewrite), "config|rewrite", 2, ADMIN, SERVER_ADMIN, (SERVER, "2.8.0", "Not supported")),
    entry(Some(Call::ConfigResetStat), "config|resetstat", 2, ADMIN, SERVER_ADMIN, (SERVER, "2.0.0", "Sets the counters of INFO to zero")),
    entry(Some(Call::Help("CONFIG")), "config|help", 2, ALWAYS, SLOW, (SERVER, "5.0.0", "Lists the subcommands")),
    entry(Some(Call::CommandCount), "command|count", 2, ALWAYS, CONNECTION_SLOW, (SERVER, "2.8.13", "How many commands there are")),
    entry(Some(Call::CommandInfo), "command|info", -2, ALWAYS, CONNECTION_SLOW, (SERVER, "2.8.13", "Describes some commands, or all")),
    entry(Some(Call::CommandDocs), "command|docs", -2, ALWAYS, CONNECTION_SLOW, (SERVER, "7.0.0", "Documents some commands, or all")),
    entry(Some(Call::CommandList), "command|list", -2, ALWAYS, CONNECTION_SLOW, (SERVER, "7.0.0", "The names of the commands")),
    entry(Some(Call::CommandGetKeys), "command|getkeys", -3, ALWAYS, CONNECTION_SLOW, (SERVER, "2.8.13", "The keys of a command")),
    entry(Some(Call::Help("COMMAND")), "command|help", 2, ALWAYS, CONNECTION_SLOW, (SERVER, "5.0.0", "Lists the subcommands")),
    entry(Some(Call::SlowlogGet), "slowlog|get", -2, ADMIN_STALE, SERVER_ADMIN, (SERVER, "2.2.12", "The last commands that took long")),
    entry(Some(Call::SlowlogLen), "slowlog|len", 2, ADMIN_STALE, SERVER_ADMIN, (SERVER, "2.2.12", "How many commands the slow log holds")),
    entry(Some(Call::SlowlogReset), "slowlog|reset", 2, ADMIN_STALE, SERVER_ADMIN, (SERVER, "2.2.12", "Empties the slow log")),
    entry(Some(Call::Help("SLOWLOG")), "slowlog|help", 2, ALWAYS, SLOW, (SERVER, "6.2.0", "Lists the subcommands")),
    entry(Some(Call::LatencyHistogram), "latency|histogram", -2, ADMIN, SERVER_ADMIN, (SERVER, "7.0.0", "How long commands took, by powers of two")),
    entry(Some(Call::LatencyLatest), "latency|latest", 2, ADMIN, SERVER_ADMIN, (SERVER, "2.8.13", "The latest event of each kind, of which there are none")),
    entry(Some(Call::LatencyHistory), "latency|history", 3, ADMIN, SERVER_ADMIN, (SERVER, "2.8.13", "The events of a kind, of which there are none")),
    entry(Some(Call::LatencyReset), "latency|reset", -2, ADMIN, SERVER_ADMIN, (SERVER, "2.8.13", "Forgets events, of which there are none")),
    entry(Some(Call::LatencyGraph), "latency|graph", 3, ADMIN, SERVER_ADMIN, (SERVER, "2.8.13", "Draws the events of a kind, of which there are none")),
    entry(Some(Call::LatencyDoctor), "latency|doctor", 2, ADMIN, SERVER_ADMIN, (SERVER, "2.8.13", "Says where to look")),
    entry(Some(Call::Help("LATENCY")), "latency|help", 2, ALWAYS, SLOW, (SERVER, "2.8.13", "Lists the subcommands")),
    entry(Some(Call::DebugDigest), "debug|digest", 2, ADMIN, SERVER_ADMIN, (SERVER, "1.0.0", "A number that is the same on nodes with the same state, and the index of the entry behind which that is")),
    entry(Some(Call::Help("DEBUG")), "debug|help", 2, ALWAYS, SLOW, (SERVER, "1.0.0", "Lists the subcommands")),
    of_store("object|encoding", 3, FIND_SLOW, (GENERIC, "2.2.3", "In what form Redis would hold a value")),
    of_store("object|freq", 3, FIND_SLOW, (GENERIC, "4.0.0", "How often a key was used; nobody counts")),
    of_store("object|refcount", 3, FIND_SLOW, (GENERIC, "2.2.3", "How often a value is referred to: once")),
    entry(Some(Call::Help("OBJECT")), "object|help", 2, ALWAYS, &["@keyspace", "@slow"], (GENERIC, "6.2.0", "Lists the subcommands")),
    of_store("memory|usage", -3, &["@read", "@slow"], (SERVER, "4.0.0", "About how many bytes a key takes with its value")),
    entry(Some(Call::Help("MEMORY")), "memory|help", 2, ALWAYS, SLOW, (SERVER, "4.0.0", "Lists the subcommands")),
    entry(Some(Call::FunctionFlush), "function|flush", -2, &["write", "noscript"], SCRIPTING, ("scripting", "7.0.0", "Removes all functions")),
    entry(Some(Call::Help("FUNCTION")), "function|help", 2, ALWAYS, &["@slow", "@scripting"], ("scripting", "7.0.0", "Lists the subcommands")),
];

/// What Redis has and this server refuses by name; everything else it calls unknown.
pub(in crate::face) const NOT_SUPPORTED: &[&str] = &[
    "client|caching",
    "client|getredir",
    "client|reply",
    "client|tracking",
    "client|trackinginfo",
    "client|unblock",
    "command|getkeysandflags",
    "debug|change-repl-id",
    "debug|jmap",
    "debug|object",
    "debug|reload",
    "debug|segfault",
    "debug|set-active-expire",
    "debug|sleep",
    "function|delete",
    "function|dump",
    "function|kill",
    "function|list",
    "function|load",
    "function|restore",
    "function|stats",
    "memory|doctor",
    "memory|malloc-stats",
    "memory|purge",
    "memory|stats",
    "object|idletime",
];
