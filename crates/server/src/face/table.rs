//! The commands about connection and server, and for `COMMAND` what is to be said about all of them.
//!
//! Arity, flags, key positions, categories and the version that a command came with are Redis 7's, since
//! clients route and batch by them.

use super::{quoted, wrong_arity};
use crate::resp::Value;

/// What a command of this module is answered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Hello,
    Auth,
    Ping,
    Echo,
    Quit,
    Reset,
    Select,
    Time,
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
    Info,
    BgSave,
    LastSave,
    DebugDigest,
    FunctionFlush,
    ClientId,
    ClientInfo,
    ClientList,
    ClientGetName,
    ClientSetName,
    ClientSetInfo,
    /// NO-EVICT and NO-TOUCH.
    ClientSwitch,
    ClientMaintNotifications,
    ConfigGet,
    ConfigSet,
    ConfigRewrite,
    ConfigResetStat,
    Command,
    CommandCount,
    CommandInfo,
    CommandDocs,
    CommandList,
    CommandGetKeys,
    /// The HELP of the container of this name.
    Help(&'static str),
}

/// What `COMMAND INFO` and `COMMAND DOCS` say of a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// In lower case; of a subcommand `container|subcommand`.
    pub(super) name: &'static str,
    /// The number of arguments, the name and a container's included; negative: at least so many.
    pub(super) arity: i32,
    pub(super) flags: &'static [&'static str],
    /// First key, last key, step.
    pub(super) keys: [i32; 3],
    /// What is done to the keys, in the words of Redis's key specifications.
    pub(super) key_flags: &'static [&'static str],
    pub(super) categories: &'static [&'static str],
    pub(super) group: &'static str,
    pub(super) since: &'static str,
    pub(super) summary: &'static str,
}

impl Facts {
    /// Whether it may have `count` arguments, counted as in `arity`.
    pub(super) fn takes(&self, count: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { count >= least } else { count == least }
    }

    /// The part of the name behind the container's, if it is a subcommand's.
    pub(super) fn subcommand(&self) -> Option<(&'static str, &'static str)> {
        self.name.split_once('|')
    }
}

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

const IN_ORDER: &[&str] = &["noscript", "loading", "stale", "fast", "allow_busy"];
const AT_LAST: &[&str] = &["noscript", "loading", "stale", "skip_slowlog"];

const SLOW: &[&str] = &["@slow"];
const CONNECTION_FAST: &[&str] = &["@fast", "@connection"];
const CONNECTION_SLOW: &[&str] = &["@slow", "@connection"];
const CONNECTION_ADMIN: &[&str] = &["@admin", "@slow", "@dangerous", "@connection"];
const SERVER_ADMIN: &[&str] = &["@admin", "@slow", "@dangerous"];
const LAST_SAVE: &[&str] = &["@admin", "@fast", "@dangerous"];
const SERVER_DANGEROUS: &[&str] = &["@slow", "@dangerous"];
const SCRIPTING: &[&str] = &["@write", "@slow", "@scripting"];

const CONNECTION: &str = "connection";
const SERVER: &str = "server";
const TRANSACTIONS: &str = "transactions";

const TRANSACTION_FAST: &[&str] = &["@fast", "@transaction"];
const TRANSACTION_SLOW: &[&str] = &["@slow", "@transaction"];

/// The one command here that names keys.
const WATCH: Entry = {
    let what = (TRANSACTIONS, "2.2.0", "Lets EXEC do nothing if one of the keys has changed");
    let (call, facts) = entry(Some(Call::Watch), "watch", -2, IN_ORDER, TRANSACTION_FAST, what);
    (call, Facts { keys: [1, -1, 1], key_flags: &["RO"], ..facts })
};

/// The commands, without their subcommands.
#[rustfmt::skip]
static COMMANDS: &[Entry] = &[
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
    entry(Some(Call::BgSave), "bgsave", -1, &["admin", "noscript", "no_async_loading"], SERVER_ADMIN, (SERVER, "1.0.0", "Makes a snapshot of this node's state in the background")),
    entry(Some(Call::LastSave), "lastsave", 1, ALWAYS_FAST, LAST_SAVE, (SERVER, "1.0.0", "The time of this node's last snapshot, in seconds since 1970")),
    entry(None, "debug", -2, ADMIN, SERVER_ADMIN, (SERVER, "1.0.0", "About the server's state")),
];

/// The subcommands, each behind the name of its container.
#[rustfmt::skip]
static SUBCOMMANDS: &[Entry] = &[
    entry(Some(Call::ClientId), "client|id", 2, OWN, CONNECTION_SLOW, (CONNECTION, "5.0.0", "The number of this connection")),
    entry(Some(Call::ClientInfo), "client|info", 2, OWN, CONNECTION_SLOW, (CONNECTION, "6.2.0", "Describes this connection")),
    entry(Some(Call::ClientList), "client|list", -2, ADMIN, CONNECTION_ADMIN, (CONNECTION, "2.4.0", "Describes the connections of this node, a line each")),
    entry(Some(Call::ClientGetName), "client|getname", 2, OWN, CONNECTION_SLOW, (CONNECTION, "2.6.9", "The name of this connection")),
    entry(Some(Call::ClientSetName), "client|setname", 3, OWN, CONNECTION_SLOW, (CONNECTION, "2.6.9", "Names this connection")),
    entry(Some(Call::ClientSetInfo), "client|setinfo", 4, OWN, CONNECTION_SLOW, (CONNECTION, "7.2.0", "Tells which library the client uses")),
    entry(Some(Call::ClientSwitch), "client|no-evict", 3, ADMIN, CONNECTION_ADMIN, (CONNECTION, "7.0.0", "Keeps this connection from being evicted; none ever is")),
    entry(Some(Call::ClientSwitch), "client|no-touch", 3, OWN, CONNECTION_SLOW, (CONNECTION, "7.2.0", "Keeps reads from counting as use; they never do")),
    entry(Some(Call::ClientMaintNotifications), "client|maint_notifications", -3, OWN, CONNECTION_SLOW, (CONNECTION, "8.4.0", "Not supported")),
    entry(Some(Call::Help("CLIENT")), "client|help", 2, ALWAYS, CONNECTION_SLOW, (CONNECTION, "5.0.0", "Lists the subcommands")),
    entry(Some(Call::ConfigGet), "config|get", -3, ADMIN, SERVER_ADMIN, (SERVER, "2.0.0", "The settings whose names fit one of the patterns")),
    entry(Some(Call::ConfigSet), "config|set", -4, ADMIN, SERVER_ADMIN, (SERVER, "2.0.0", "Not supported")),
    entry(Some(Call::ConfigRewrite), "config|rewrite", 2, ADMIN, SERVER_ADMIN, (SERVER, "2.8.0", "Not supported")),
    entry(Some(Call::ConfigResetStat), "config|resetstat", 2, ADMIN, SERVER_ADMIN, (SERVER, "2.0.0", "Sets the counters of INFO to zero")),
    entry(Some(Call::Help("CONFIG")), "config|help", 2, ALWAYS, SLOW, (SERVER, "5.0.0", "Lists the subcommands")),
    entry(Some(Call::CommandCount), "command|count", 2, ALWAYS, CONNECTION_SLOW, (SERVER, "2.8.13", "How many commands there are")),
    entry(Some(Call::CommandInfo), "command|info", -2, ALWAYS, CONNECTION_SLOW, (SERVER, "2.8.13", "Describes some commands, or all")),
    entry(Some(Call::CommandDocs), "command|docs", -2, ALWAYS, CONNECTION_SLOW, (SERVER, "7.0.0", "Documents some commands, or all")),
    entry(Some(Call::CommandList), "command|list", -2, ALWAYS, CONNECTION_SLOW, (SERVER, "7.0.0", "The names of the commands")),
    entry(Some(Call::CommandGetKeys), "command|getkeys", -3, ALWAYS, CONNECTION_SLOW, (SERVER, "2.8.13", "The keys of a command")),
    entry(Some(Call::Help("COMMAND")), "command|help", 2, ALWAYS, CONNECTION_SLOW, (SERVER, "5.0.0", "Lists the subcommands")),
    entry(Some(Call::DebugDigest), "debug|digest", 2, ADMIN, SERVER_ADMIN, (SERVER, "1.0.0", "A number that is the same on nodes with the same state, and the index of the entry behind which that is")),
    entry(Some(Call::Help("DEBUG")), "debug|help", 2, ALWAYS, SLOW, (SERVER, "1.0.0", "Lists the subcommands")),
    entry(Some(Call::FunctionFlush), "function|flush", -2, &["write", "noscript"], SCRIPTING, ("scripting", "7.0.0", "Removes all functions")),
    entry(Some(Call::Help("FUNCTION")), "function|help", 2, ALWAYS, &["@slow", "@scripting"], ("scripting", "7.0.0", "Lists the subcommands")),
];

/// What Redis has and this server refuses by name; everything else it calls unknown.
const NOT_SUPPORTED: &[&str] = &[
    "client|caching",
    "client|getredir",
    "client|kill",
    "client|pause",
    "client|reply",
    "client|tracking",
    "client|trackinginfo",
    "client|unblock",
    "client|unpause",
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
];

/// What [`find`] makes of a command's name.
pub(super) enum Found {
    /// Answered by this call; the arguments are as many as it takes. Its full name.
    Call(Call, &'static str),
    /// Known here, and wrong.
    Refused(Value),
    /// Not known here.
    Nothing,
}

/// Whose command `args` is.
pub(super) fn find(args: &[&[u8]]) -> Found {
    let name = args[0];
    let Some((call, facts)) = COMMANDS.iter().find(|(_, facts)| is(facts.name, name)) else {
        return Found::Nothing;
    };
    if !facts.takes(args.len()) {
        return Found::Refused(wrong_arity(facts.name));
    }
    let container = facts.name;
    let is_container = subcommands(container).next().is_some();
    match (call, args.get(1)) {
        (_, Some(subcommand)) if is_container => find_subcommand(container, subcommand, args.len()),
        (Some(call), _) => Found::Call(*call, facts.name),
        (None, _) => Found::Refused(wrong_arity(facts.name)),
    }
}

fn find_subcommand(container: &str, subcommand: &[u8], count: usize) -> Found {
    let is_called =
        |full: &str| full.split_once('|').is_some_and(|(of, name)| of == container && is(name, subcommand));
    if let Some((call, facts)) = SUBCOMMANDS.iter().find(|(_, facts)| is_called(facts.name)) {
        return match call {
            Some(call) if facts.takes(count) => Found::Call(*call, facts.name),
            _ => Found::Refused(wrong_arity(facts.name)),
        };
    }
    let (container, given) = (container.to_ascii_uppercase(), quoted(subcommand));
    Found::Refused(Value::error(if NOT_SUPPORTED.iter().any(|full| is_called(full)) {
        format!("ERR {container} {} is not supported", given.to_ascii_uppercase())
    } else {
        format!("ERR unknown subcommand '{given}'. Try {container} HELP.")
    }))
}

/// Whether `given` is that name, in whatever case.
pub(super) fn is(name: &str, given: &[u8]) -> bool {
    name.as_bytes().eq_ignore_ascii_case(given)
}

/// The subcommands of a container.
pub(super) fn subcommands(container: &str) -> impl Iterator<Item = Facts> {
    SUBCOMMANDS
        .iter()
        .map(|(_, facts)| *facts)
        .filter(move |facts| facts.subcommand().is_some_and(|(of, _)| of == container))
}

/// Every command of this server, those of the store included, without subcommands.
pub(super) fn all() -> impl Iterator<Item = Facts> {
    super::data::all().chain(COMMANDS.iter().map(|(_, facts)| *facts))
}

/// The command or subcommand (`client|id`) of that name.
pub(super) fn describe(name: &[u8]) -> Option<Facts> {
    all().chain(SUBCOMMANDS.iter().map(|(_, facts)| *facts)).find(|facts| is(facts.name, name))
}
