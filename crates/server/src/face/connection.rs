//! One client's connection, and the commands about it.

use std::net::SocketAddr;

use bowline_kv::Reply;

use super::client::{self, ClientFilter};
use super::table::{self, Call, Found};
use super::transaction::{self, Part, Transaction};
use super::{NodeInfo, REDIS_VERSION, Sections, command, config, quoted, syntax_error, wrong_arity};
use crate::resp::{Protocol, Value, canonical_integer};

/// What is to be done about a command. The table is in the [module's front page](super).
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer with this.
    Reply(Value),
    /// A command for the store.
    Data,
    /// An encoded command for the store. Its answer is sent as [`Connection::exec_value`] says.
    Exec(Vec<u8>),
    /// An encoded command for the store. Nothing more is taken until its answer was given to
    /// [`Connection::answered`], which says what to send.
    Await(Vec<u8>),
    /// Answer with these sections of [`info::render`](super::info::render).
    Info(Sections),
    /// Answer with those connections that the filter keeps, a line each.
    ClientList(ClientFilter),
    /// Make a snapshot in the background.
    Save,
    /// Answer with the time of the last snapshot, in seconds since 1970.
    LastSave,
    /// Answer with the digest of the state, when it is known.
    Digest,
    /// Set the counters of [`Stats`](super::info::Stats) to zero and answer `OK`.
    ResetStats,
    /// Answer with this and close; nothing behind it on this connection is executed.
    Close(Value),
    /// Close without an answer: this is no Redis client.
    Drop,
}

impl From<Value> for Action {
    fn from(value: Value) -> Self {
        Self::Reply(value)
    }
}

/// The state of one client's connection.
#[derive(Debug)]
pub struct Connection {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) created_us: u64,
    pub(super) last_us: u64,
    pub(super) protocol: Protocol,
    pub(super) name: Vec<u8>,
    pub(super) library: Vec<u8>,
    pub(super) library_version: Vec<u8>,
    pub(super) commands: u64,
    pub(super) last_command: CommandName,
    pub(super) transaction: Transaction,
}

/// The name of the last command as the client sent it, as far as it fits: looking up who knows it would
/// cost more than the rest of the bookkeeping.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CommandName {
    bytes: [u8; 24],
    length: usize,
}

impl CommandName {
    fn new(name: &[u8]) -> Self {
        let mut bytes = [0; 24];
        let length = name.len().min(bytes.len());
        bytes[..length].copy_from_slice(&name[..length]);
        Self { bytes, length }
    }

    /// In lower case. What would tear the line that it stands in is not shown.
    pub(super) fn shown(&self) -> String {
        let name = &self.bytes[..self.length];
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return "NULL".to_owned();
        }
        String::from_utf8_lossy(name).to_ascii_lowercase()
    }
}

impl Connection {
    /// A connection accepted at `now_us`, in microseconds since 1970. The `id` is never used twice in the
    /// life of the process.
    pub fn new(id: u64, peer: SocketAddr, local: SocketAddr, now_us: u64) -> Self {
        Self {
            id,
            peer,
            local,
            created_us: now_us,
            last_us: now_us,
            protocol: Protocol::Resp2,
            name: Vec::new(),
            library: Vec::new(),
            library_version: Vec::new(),
            commands: 0,
            last_command: CommandName::default(),
            transaction: Transaction::default(),
        }
    }

    /// What `CLIENT ID` says.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The protocol of the next reply.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How many commands came on it.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// Takes one command, its name first, at `now_us` (microseconds since 1970).
    ///
    /// # Panics
    ///
    /// Without any argument: the reader makes no such command.
    pub fn handle(&mut self, args: &[&[u8]], node: &NodeInfo, now_us: u64) -> Action {
        assert!(!args.is_empty(), "a command without a name");
        self.commands += 1;
        self.last_us = now_us;
        self.last_command = CommandName::new(args[0]);
        match table::find(args) {
            Found::Call(call, name) => {
                self.last_command = CommandName::new(name.as_bytes());
                if self.transaction.is_open() { self.queue(call, args) } else { None }
                    .unwrap_or_else(|| self.call(call, args, node, now_us))
            }
            Found::Refused(error) if table::is("exec", args[0]) => {
                Action::Reply(self.transaction.refuse_exec(error))
            }
            Found::Refused(error) => {
                self.transaction.break_off();
                Action::Reply(error)
            }
            // What a browser sends first, when a page that it shows aims it at this port.
            Found::Nothing if is_http(args[0]) => Action::Drop,
            Found::Nothing if self.transaction.is_open() => Action::Reply(self.transaction.queue_data(args)),
            Found::Nothing => Action::Data,
        }
    }

    /// Queues a command about the connection, unless it is one of those that do not wait for EXEC.
    fn queue(&mut self, call: Call, args: &[&[u8]]) -> Option<Action> {
        match call {
            Call::Multi | Call::Exec | Call::Discard | Call::Watch | Call::Quit | Call::Reset => None,
            // Parts of one answer cannot be in two protocols, nor can one come later than the others.
            Call::Hello | Call::DebugDigest => {
                self.transaction.break_off();
                Some(transaction::not_allowed().into())
            }
            _ => Some(self.transaction.queue_own(args).into()),
        }
    }

    /// What to send as the answer to [`Action::Exec`].
    pub fn exec_value(reply: Reply) -> Value {
        transaction::exec_value(reply)
    }

    /// The store's answer to [`Action::Await`] is there: hands back what to send. Commands about the
    /// connection that were queued are carried out now; `value_of` says what their actions answer.
    pub fn answered(
        &mut self,
        reply: Reply,
        node: &NodeInfo,
        now_us: u64,
        mut value_of: impl FnMut(&Self, Action) -> Value,
    ) -> Value {
        let parts = match self.transaction.answered(reply) {
            Ok(parts) => parts,
            Err(value) => return value,
        };
        let values = parts.into_iter().map(|part| match part {
            Part::Done(value) => value,
            Part::Own(args) => {
                let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
                let Found::Call(call, _) = table::find(&args) else { unreachable!("it was known before") };
                let action = self.call(call, &args, node, now_us);
                value_of(self, action)
            }
        });
        Value::Array(values.collect())
    }

    fn call(&mut self, call: Call, args: &[&[u8]], node: &NodeInfo, now_us: u64) -> Action {
        match call {
            Call::Hello => self.hello(args).into(),
            Call::Auth => auth(args).into(),
            Call::Ping => ping(args).into(),
            Call::Echo => Value::bulk(args[1]).into(),
            Call::Quit => Action::Close(Value::ok()),
            Call::Reset => {
                self.protocol = Protocol::Resp2;
                self.name.clear();
                self.transaction = Transaction::default();
                Value::simple("RESET").into()
            }
            Call::Select => select(args[1]).into(),
            Call::Time => time(now_us).into(),
            Call::Multi => self.transaction.multi().into(),
            Call::Exec => self.transaction.exec(),
            Call::Discard => self.transaction.discard().into(),
            Call::Watch => self.transaction.watch(&args[1..]),
            Call::Unwatch => self.transaction.unwatch().into(),
            Call::Info => Action::Info(Sections::parse(&args[1..])),
            Call::BgSave => bgsave(args),
            Call::LastSave => Action::LastSave,
            Call::DebugDigest => Action::Digest,
            Call::FunctionFlush => config::function_flush(args).into(),
            Call::ClientId => Value::Int(self.id.cast_signed()).into(),
            Call::ClientInfo => Value::Verbatim(self.describe(now_us)).into(),
            Call::ClientList => client::list(args),
            Call::ClientGetName => self.get_name().into(),
            Call::ClientSetName => self.set_name(args[2]).map_or_else(|error| error, |()| Value::ok()).into(),
            Call::ClientSetInfo => self.set_info(args[2], args[3]).into(),
            Call::ClientSwitch => client::switch(args[2]).into(),
            Call::ClientMaintNotifications => {
                Value::error("ERR CLIENT MAINT_NOTIFICATIONS is not supported").into()
            }
            Call::ConfigGet => config::get(&args[2..], node).into(),
            Call::ConfigSet => config::set().into(),
            Call::ConfigRewrite => Value::error("ERR The server is running without a config file").into(),
            Call::ConfigResetStat => Action::ResetStats,
            Call::Command => command::all().into(),
            Call::CommandCount => command::count().into(),
            Call::CommandInfo => command::info(&args[2..]).into(),
            Call::CommandDocs => command::docs(&args[2..]).into(),
            Call::CommandList => command::list(&args[2..]).into(),
            Call::CommandGetKeys => command::get_keys(&args[2..]).into(),
            Call::Help(container) => command::help(container).into(),
        }
    }

    /// `HELLO [version [AUTH user password] [SETNAME name]]`: all of it takes effect, or nothing.
    fn hello(&mut self, args: &[&[u8]]) -> Value {
        let protocol = match args.get(1).map(|version| canonical_integer(version)) {
            None => self.protocol,
            Some(Some(2)) => Protocol::Resp2,
            Some(Some(3)) => Protocol::Resp3,
            Some(Some(_)) => return Value::error("NOPROTO unsupported protocol version"),
            Some(None) => return Value::error("ERR Protocol version is not an integer or out of range"),
        };
        let mut options = args.get(2..).unwrap_or_default();
        let (mut user, mut name) = (None, None);
        while let [option, rest @ ..] = options {
            options = match rest {
                [given_user, _, rest @ ..] if option.eq_ignore_ascii_case(b"AUTH") => {
                    user = Some(*given_user);
                    rest
                }
                [given_name, rest @ ..] if option.eq_ignore_ascii_case(b"SETNAME") => {
                    name = Some(*given_name);
                    rest
                }
                _ => {
                    return Value::error(format!("ERR Syntax error in HELLO option '{}'", quoted(option)));
                }
            };
        }
        if let Some(error) = name.and_then(|name| client::check_label("Client names", name).err()) {
            return error;
        }
        if user.is_some_and(|user| user != b"default") {
            return wrong_password();
        }
        if let Some(name) = name {
            self.name = name.to_vec();
        }
        self.protocol = protocol;
        Value::Map(vec![
            (Value::text("server"), Value::text("redis")),
            (Value::text("version"), Value::text(REDIS_VERSION)),
            (Value::text("proto"), Value::Int(protocol.number())),
            (Value::text("id"), Value::Int(self.id.cast_signed())),
            (Value::text("mode"), Value::text("standalone")),
            // Every node takes every command, so to a client each is one to write to.
            (Value::text("role"), Value::text("master")),
            (Value::text("modules"), Value::Array(Vec::new())),
        ])
    }
}

/// There are no users yet but the one whom Redis calls `default`, and he has no password: whatever he
/// gives is right, in the form that names him.
fn auth(args: &[&[u8]]) -> Value {
    match args {
        [_, _password] => Value::error(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        ),
        [_, b"default", _password] => Value::ok(),
        [_, _, _] => wrong_password(),
        _ => syntax_error(),
    }
}

fn wrong_password() -> Value {
    Value::error("WRONGPASS invalid username-password pair or user is disabled.")
}

fn ping(args: &[&[u8]]) -> Value {
    match args {
        [_] => Value::simple("PONG"),
        [_, message] => Value::bulk(*message),
        _ => wrong_arity("ping"),
    }
}

/// `BGSAVE [SCHEDULE]`: there is nothing that a snapshot would have to be scheduled behind.
fn bgsave(args: &[&[u8]]) -> Action {
    match &args[1..] {
        [] => Action::Save,
        [schedule] if schedule.eq_ignore_ascii_case(b"SCHEDULE") => Action::Save,
        _ => syntax_error().into(),
    }
}

/// There is one database.
fn select(number: &[u8]) -> Value {
    match canonical_integer(number) {
        Some(0) => Value::ok(),
        Some(_) => Value::error("ERR DB index is out of range"),
        None => Value::error("ERR value is not an integer or out of range"),
    }
}

fn time(now_us: u64) -> Value {
    let part = |number: u64| Value::bulk(number.to_string());
    Value::Array(vec![part(now_us / 1_000_000), part(now_us % 1_000_000)])
}

fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}
