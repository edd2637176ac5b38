//! One client's connection, and the commands about it.

use std::net::SocketAddr;
use std::time::Duration;

use bowline_kv::command::{once_exec, own_database};
use bowline_kv::{Command, Reply};

use super::client::{self, ClientFilter, KillFilter, PauseMode};
use super::room::Room;
use super::slowlog::{self, Slow};
use super::table::{self, Call, CommandNumber, Found};
use super::transaction::{self, Part, Transaction};
use super::{NodeInfo, Sections, auth, command, config, quoted, syntax_error, wrong_arity};
use crate::resp::{Protocol, Value};

/// What is to be done about a command. The table is in the [module's front page](super).
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer with this.
    Reply(Value),
    /// A command for the store: that of [`Connection::parse`].
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
    /// Close those other connections that the filter keeps, and say how many there were. This one too, when it has
    /// been answered, if it is among them.
    Kill(KillFilter),
    /// Let clients wait for so long, or until [`Action::Unpause`], and answer `OK`.
    Pause(PauseMode, Duration),
    /// Let no client wait any more, and answer `OK`.
    Unpause,
    /// Answer with the number of other nodes that have this connection's writes on disk, as soon as there are so many,
    /// or after that time.
    Wait(u64, Option<Duration>),
    /// Answer with the role, as Redis says it.
    Role,
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
    /// What came last, if it is known here.
    pub(super) last_command: Option<CommandNumber>,
    /// The same if it was carried out, and not queued or refused.
    called: Option<CommandNumber>,
    /// Its first argument that nobody else may see.
    secret_from: Option<usize>,
    pub(super) transaction: Transaction,
    /// It has said the password, or there was none when it began.
    pub(super) is_authenticated: bool,
}

impl Connection {
    /// A connection accepted at `now_us`, in microseconds since 1970. The `id` is never used twice in the
    /// life of the process.
    pub fn new(id: u64, peer: SocketAddr, local: SocketAddr, node: &NodeInfo, now_us: u64) -> Self {
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
            last_command: None,
            called: None,
            secret_from: None,
            transaction: Transaction::default(),
            is_authenticated: !node.settings.has_password(),
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
        let found = table::find(args);
        self.last_command = found.number();
        self.called = None;
        self.secret_from = match found {
            Found::Call(Call::Auth | Call::Hello, _) => Some(1),
            Found::Call(Call::ConfigSet, _) if args.iter().any(|arg| table::is("requirepass", arg)) => {
                Some(2)
            }
            _ => None,
        };
        match found {
            Found::Call(call, number) if !call.is_before_auth() && !self.is_trusted(node) => {
                node.record.rejected(number);
                if call == Call::Exec { auth::exec_without_auth() } else { auth::no_auth() }.into()
            }
            Found::Store(number) if !self.is_trusted(node) => {
                node.record.rejected(number);
                auth::no_auth().into()
            }
            Found::Refused(error, number) => {
                number.into_iter().for_each(|number| node.record.rejected(number));
                if table::is("exec", args[0]) {
                    return self.transaction.refuse_exec().into();
                }
                self.transaction.break_off();
                error.into()
            }
            Found::Call(call, number) => {
                if let Some(queued) = self.transaction.is_open().then(|| self.queue(call, args)).flatten() {
                    return queued;
                }
                self.called = Some(number);
                self.call(call, args, node, now_us)
            }
            // What a browser sends first, when a page that it shows aims it at this port.
            Found::Nothing if is_http(args[0]) => Action::Drop,
            Found::Store(number) => self.data(args, Some(number)),
            Found::Nothing => self.data(args, None),
        }
    }

    /// A command for the store, of that number in the table if it is known there.
    fn data(&mut self, args: &[&[u8]], number: Option<CommandNumber>) -> Action {
        match once_exec(args) {
            Some(Ok((session, request))) => {
                self.called = number;
                self.transaction.exec_once(session, request)
            }
            Some(Err(error)) => {
                self.transaction.break_off();
                Action::Reply(error.into())
            }
            None if self.transaction.is_open() => Action::Reply(self.transaction.queue_data(args)),
            None => {
                self.called = number;
                Action::Data
            }
        }
    }

    /// The command that was taken last, if it is being carried out: neither queued nor refused.
    pub fn called(&self) -> Option<CommandNumber> {
        self.called
    }

    /// The store's command that was taken last, of those same arguments: for [`Action::Data`].
    ///
    /// # Errors
    ///
    /// As [`Command::parse`] says.
    pub fn parse<'a>(&self, args: &[&'a [u8]]) -> Result<Command<'a>, Reply> {
        match self.called.and_then(table::spec) {
            Some(spec) => Command::parse_as(spec, args),
            None => Command::parse(args),
        }
    }

    /// Whether `CLIENT PAUSE` lets this command wait: all but those that end the pause, or those that may write.
    pub fn is_paused_by(args: &[&[u8]], pause: PauseMode) -> bool {
        match pause {
            PauseMode::Writes => table::may_write(args),
            PauseMode::All => {
                !matches!(table::find(args), Found::Call(Call::ClientPause | Call::ClientUnpause, _))
            }
        }
    }

    /// Notes in the slow log that a command of this [brief](Self::put_brief) took so many microseconds.
    pub fn note_slow(&self, node: &NodeInfo, brief: &[u8], now_us: u64, took_us: u64) {
        let slow = Slow { at_us: now_us, took_us, brief, peer: self.peer, name: &self.name };
        node.record.add_slow(&slow, node.settings.slow_log_len());
    }

    /// Appends to `out` what the slow log keeps of the command that was [taken](Self::handle) last, and of the frame that
    /// it came in if there was one: no password.
    pub fn put_brief(&self, args: &[&[u8]], frame: Option<&[u8]>, out: &mut Vec<u8>) {
        match (self.secret_from, frame) {
            (Some(first), _) if first < args.len() => {
                slowlog::put_args(&[&args[..first], &[b"(redacted)"]].concat(), out);
            }
            (_, Some(frame)) => slowlog::put_frame(frame, out),
            (_, None) => slowlog::put_args(args, out),
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
        let mut room = Room::new();
        let values = parts.into_iter().map(|part| match part {
            Part::Done(value) => value,
            Part::Own(args) => room.carry_out(|| {
                let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
                let Found::Call(call, _) = table::find(&args) else { unreachable!("it was known before") };
                let action = self.call(call, &args, node, now_us);
                value_of(self, action)
            }),
        });
        Value::Array(values.collect())
    }

    fn call(&mut self, call: Call, args: &[&[u8]], node: &NodeInfo, now_us: u64) -> Action {
        match call {
            Call::Hello => self.hello(args, node).into(),
            Call::Auth => self.auth(args, node).into(),
            Call::Ping => ping(args).into(),
            Call::Echo => Value::bulk(args[1]).into(),
            Call::Quit => Action::Close(Value::ok()),
            Call::Reset => {
                self.protocol = Protocol::Resp2;
                self.name.clear();
                self.is_authenticated = !node.settings.has_password();
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
            Call::Role => Action::Role,
            Call::Wait => client::wait(args),
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
            Call::ClientKill => client::kill(args),
            Call::ClientPause => client::pause(args),
            Call::ClientUnpause => Action::Unpause,
            Call::ClientMaintNotifications => {
                Value::error("ERR CLIENT MAINT_NOTIFICATIONS is not supported").into()
            }
            Call::ConfigGet => config::get(&args[2..], node).into(),
            Call::ConfigSet => config::set(&args[2..], node).into(),
            Call::ConfigRewrite => Value::error("ERR The server is running without a config file").into(),
            Call::ConfigResetStat => {
                node.record.reset();
                Action::ResetStats
            }
            Call::SlowlogGet => slowlog::get(args, node).into(),
            Call::SlowlogLen => node.record.slow().len().into(),
            Call::SlowlogReset => slowlog::reset(node).into(),
            Call::LatencyHistogram => node.record.histograms(&args[2..]).into(),
            Call::LatencyLatest | Call::LatencyHistory => Value::Array(Vec::new()).into(),
            Call::LatencyReset => Value::Int(0).into(),
            Call::LatencyGraph => {
                Value::error(format!("ERR No samples available for event '{}'", quoted(args[2]))).into()
            }
            Call::LatencyDoctor => Value::Verbatim(LATENCY_ADVICE.to_owned()).into(),
            Call::Command => command::all().into(),
            Call::CommandCount => command::count().into(),
            Call::CommandInfo => command::info(&args[2..]).into(),
            Call::CommandDocs => command::docs(&args[2..]).into(),
            Call::CommandList => command::list(&args[2..]).into(),
            Call::CommandGetKeys => command::get_keys(&args[2..]).into(),
            Call::Help(container) => command::help(container).into(),
            Call::Store => unreachable!("it is not found here"),
        }
    }
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

const LATENCY_ADVICE: &str = "No events are kept here. LATENCY HISTOGRAM and INFO latencystats say how long commands \
    took from being read to being answered, SLOWLOG GET which took long, INFO raft which nodes lag, and the log names \
    every write to disk that was slow.\n";

/// There is one database.
fn select(number: &[u8]) -> Value {
    own_database(number).map_or_else(Value::from, |()| Value::ok())
}

fn time(now_us: u64) -> Value {
    let part = |number: u64| Value::bulk(number.to_string());
    Value::Array(vec![part(now_us / 1_000_000), part(now_us % 1_000_000)])
}

fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"POST") || name.eq_ignore_ascii_case(b"Host:")
}
