//! The commands about connection and server, and for `COMMAND` what is to be said about all of them.
//!
//! Arity, flags, key positions, categories and the version that a command came with are Redis 7's, since
//! clients route and batch by them.

mod rows;

use std::sync::LazyLock;

use bowline_kv::command::{CommandSpec, lookup};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{echoed, wrong_arity};
use crate::resp::Value;
pub(super) use rows::NOT_SUPPORTED;
use rows::{COMMANDS, SUBCOMMANDS};

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
    Role,
    Wait,
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
    ClientKill,
    ClientPause,
    ClientUnpause,
    ClientMaintNotifications,
    ConfigGet,
    ConfigSet,
    ConfigRewrite,
    ConfigResetStat,
    SlowlogGet,
    SlowlogLen,
    SlowlogReset,
    LatencyHistogram,
    LatencyLatest,
    LatencyHistory,
    LatencyReset,
    LatencyGraph,
    LatencyDoctor,
    Command,
    CommandCount,
    CommandInfo,
    CommandDocs,
    CommandList,
    CommandGetKeys,
    /// The HELP of the container of this name.
    Help(&'static str),
    /// The store's, behind the name of a container.
    Store,
}

impl Call {
    /// Whether a client may call it before it has said the password.
    pub(super) fn is_before_auth(self) -> bool {
        matches!(self, Self::Hello | Self::Auth | Self::Quit | Self::Reset)
    }
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

/// A command's number: its place among all that have a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandNumber(u16);

impl CommandNumber {
    pub(super) fn place(self) -> usize {
        self.0.into()
    }
}

/// Whose a command is.
enum Owner {
    /// Answered by this call; a container has none.
    Face(Option<Call>),
    /// The store's, which knows it by this.
    Store(&'static CommandSpec),
}

impl Owner {
    /// Of a row of this module.
    fn of_row(call: Option<Call>, facts: &Facts) -> Self {
        match (call, facts.subcommand()) {
            (Some(Call::Store), Some((container, _))) => {
                Self::Store(lookup(container.as_bytes()).expect("the store knows its containers"))
            }
            (call, _) => Self::Face(call),
        }
    }
}

/// Every row, and where to find it: each command is looked up here.
struct Index {
    rows: Vec<(Owner, Facts)>,
    by_name: HashMap<&'static [u8], CommandNumber, FixedState>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let own = COMMANDS.iter().chain(SUBCOMMANDS).map(|(call, facts)| (Owner::of_row(*call, facts), *facts));
    let of_store = super::data::all().map(|(spec, facts)| (Owner::Store(spec), facts));
    let rows: Vec<_> = own.chain(of_store).collect();
    let numbered = |(place, (_, facts)): (usize, &(Owner, Facts))| {
        (facts.name.as_bytes(), CommandNumber(u16::try_from(place).expect("there are fewer commands")))
    };
    let by_name = rows.iter().enumerate().map(numbered).collect();
    Index { rows, by_name }
});

/// No name is longer, with a container's in front.
const MAX_NAME_BYTES: usize = 40;

impl Index {
    /// The command of that name, or `container|name`, in whatever case.
    fn find(&self, name: &[u8], subcommand: Option<&[u8]>) -> Option<CommandNumber> {
        let mut key = [0; MAX_NAME_BYTES];
        let mut length = name.len();
        key.get_mut(..length)?.copy_from_slice(name);
        if let Some(subcommand) = subcommand {
            let end = length + 1 + subcommand.len();
            key.get_mut(length + 1..end)?.copy_from_slice(subcommand);
            key[length] = b'|';
            length = end;
        }
        key[..length].make_ascii_lowercase();
        self.by_name.get(&key[..length]).copied()
    }

    fn row(&self, number: CommandNumber) -> &(Owner, Facts) {
        &self.rows[number.place()]
    }
}

/// How many rows there are.
pub(super) fn count() -> usize {
    INDEX.rows.len()
}

/// Their numbers.
pub(super) fn numbers() -> impl Iterator<Item = CommandNumber> {
    (0..count()).map(|place| CommandNumber(u16::try_from(place).expect("there are fewer commands")))
}

/// The full name of a command.
pub(super) fn name(number: CommandNumber) -> &'static str {
    INDEX.row(number).1.name
}

/// What the store knows a command by, if it is the store's.
pub(super) fn spec(number: CommandNumber) -> Option<&'static CommandSpec> {
    match INDEX.row(number).0 {
        Owner::Store(spec) => Some(spec),
        Owner::Face(_) => None,
    }
}

/// Whether carrying it out may change what is stored. EXEC may.
pub(super) fn may_write(args: &[&[u8]]) -> bool {
    match find(args) {
        Found::Store(number) => INDEX.row(number).1.flags.contains(&"write"),
        Found::Call(call, _) => call == Call::Exec,
        Found::Refused(..) | Found::Nothing => false,
    }
}

/// What [`find`] makes of a command's name.
pub(super) enum Found {
    /// Answered by this call; the arguments are as many as it takes.
    Call(Call, CommandNumber),
    /// The store's; the arguments are as many as it takes.
    Store(CommandNumber),
    /// Known here, and wrong: the error, and the command if there is one.
    Refused(Value, Option<CommandNumber>),
    /// Not known here, nor to the store.
    Nothing,
}

impl Found {
    /// The command, if there is one of that name.
    pub(super) fn number(&self) -> Option<CommandNumber> {
        match self {
            Self::Call(_, number) | Self::Store(number) => Some(*number),
            Self::Refused(_, number) => *number,
            Self::Nothing => None,
        }
    }
}

/// Whose command `args` is.
pub(super) fn find(args: &[&[u8]]) -> Found {
    // A subcommand is no name of its own, though it has a row.
    let own_name = (!args[0].contains(&b'|')).then(|| INDEX.find(args[0], None)).flatten();
    let Some(number) = own_name else { return Found::Nothing };
    let (owner, facts) = INDEX.row(number);
    if !facts.takes(args.len()) {
        return Found::Refused(wrong_arity(facts.name), Some(number));
    }
    match (owner, args.get(1)) {
        (Owner::Store(_), _) => Found::Store(number),
        (Owner::Face(_), Some(subcommand)) if subcommands(facts.name).next().is_some() => {
            find_subcommand(facts.name, subcommand, args.len())
        }
        (Owner::Face(Some(call)), _) => Found::Call(*call, number),
        (Owner::Face(None), _) => Found::Refused(wrong_arity(facts.name), Some(number)),
    }
}

fn find_subcommand(container: &str, subcommand: &[u8], count: usize) -> Found {
    if let Some(number) = INDEX.find(container.as_bytes(), Some(subcommand)) {
        return match INDEX.row(number) {
            (Owner::Store(_), facts) if facts.takes(count) => Found::Store(number),
            (Owner::Face(Some(call)), facts) if facts.takes(count) => Found::Call(*call, number),
            (_, facts) => Found::Refused(wrong_arity(facts.name), Some(number)),
        };
    }
    let is_called =
        |full: &str| full.split_once('|').is_some_and(|(of, name)| of == container && is(name, subcommand));
    let (container, given) = (container.to_ascii_uppercase(), echoed(subcommand));
    let error = Value::error(if NOT_SUPPORTED.iter().any(|full| is_called(full)) {
        [&b"ERR "[..], container.as_bytes(), b" ", &given.to_ascii_uppercase(), b" is not supported"].concat()
    } else {
        [&b"ERR unknown subcommand '"[..], given, b"'. Try ", container.as_bytes(), b" HELP."].concat()
    });
    Found::Refused(error, None)
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
    super::data::all().map(|(_, facts)| facts).chain(COMMANDS.iter().map(|(_, facts)| *facts))
}

/// The command that `args` call, or the subcommand.
pub(super) fn describe_call(args: &[&[u8]]) -> Option<Facts> {
    let facts = describe(args[0])?;
    match args.get(1) {
        Some(subcommand) if subcommands(facts.name).next().is_some() => {
            describe(&[facts.name.as_bytes(), b"|", subcommand].concat())
        }
        _ => Some(facts),
    }
}

/// The command or subcommand (`client|id`) of that name.
pub(super) fn describe(name: &[u8]) -> Option<Facts> {
    INDEX.find(name, None).map(|number| INDEX.row(number).1)
}
