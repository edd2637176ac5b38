//! CLIENT: who is connected, and by which names.

use std::net::SocketAddr;
use std::time::Duration;

use bowline_kv::integer;

use super::connection::{Action, Connection};
use super::{quoted, syntax_error, table};
use crate::resp::Value;

/// The longest name of a client or a library, in bytes: a connection keeps three of them.
const MAX_LABEL_BYTES: usize = 1024;

/// Which connections `CLIENT LIST` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFilter {
    /// All of them.
    All,
    /// None: a kind that does not exist here, such as replicas.
    Nobody,
    /// Those with these ids, the lowest first.
    Ids(Vec<u64>),
}

impl ClientFilter {
    /// Whether a connection is shown.
    pub fn keeps(&self, connection: &Connection) -> bool {
        match self {
            Self::All => true,
            Self::Nobody => false,
            Self::Ids(ids) => ids.binary_search(&connection.id).is_ok(),
        }
    }
}

/// `CLIENT LIST [TYPE type | ID id ...]`.
pub(super) fn list(args: &[&[u8]]) -> Action {
    match &args[2..] {
        [] => Action::ClientList(ClientFilter::All),
        [option, kind] if option.eq_ignore_ascii_case(b"TYPE") => {
            match kind.to_ascii_lowercase().as_slice() {
                b"normal" => Action::ClientList(ClientFilter::All),
                b"master" | b"replica" | b"slave" | b"pubsub" => Action::ClientList(ClientFilter::Nobody),
                _ => unknown_type(kind),
            }
        }
        [option, ids @ ..] if option.eq_ignore_ascii_case(b"ID") && !ids.is_empty() => {
            let ids = ids.iter().map(|id| u64::try_from(integer::parse(id)?).ok().filter(|id| *id > 0));
            match ids.collect::<Option<Vec<_>>>() {
                Some(mut ids) => {
                    ids.sort_unstable();
                    Action::ClientList(ClientFilter::Ids(ids))
                }
                None => Value::error("ERR Invalid client ID").into(),
            }
        }
        _ => syntax_error().into(),
    }
}

/// Which connections `CLIENT KILL` closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KillFilter {
    id: Option<u64>,
    peer: Option<Vec<u8>>,
    local: Option<Vec<u8>>,
    /// Of a kind, or a user, that nobody here has.
    is_nobody: bool,
    /// Not the one that asks.
    spares_asker: bool,
    /// Asked in the old way, which names one connection and is answered by OK.
    pub is_old: bool,
}

impl KillFilter {
    /// Whether the connection is to be closed, `asker` being the one that asks.
    pub fn keeps(&self, connection: &Connection, asker: u64) -> bool {
        let is = |wanted: &Option<Vec<u8>>, addr: SocketAddr| {
            wanted.as_ref().is_none_or(|wanted| wanted == addr.to_string().as_bytes())
        };
        let is_spared = self.is_nobody || self.spares_asker && connection.id == asker;
        !is_spared
            && self.id.is_none_or(|id| id == connection.id)
            && is(&self.peer, connection.peer)
            && is(&self.local, connection.local)
    }
}

/// Which commands wait while clients are paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseMode {
    /// Those that may write.
    Writes,
    /// All of them.
    All,
}

/// `CLIENT KILL addr:port`, or `CLIENT KILL filter value ...`.
pub(super) fn kill(args: &[&[u8]]) -> Action {
    let mut filter =
        KillFilter { id: None, peer: None, local: None, is_nobody: false, spares_asker: true, is_old: false };
    if let [addr] = &args[2..] {
        return Action::Kill(KillFilter {
            peer: Some(addr.to_vec()),
            spares_asker: false,
            is_old: true,
            ..filter
        });
    }
    let mut options = &args[2..];
    while let [option, text, rest @ ..] = options {
        match option.to_ascii_uppercase().as_slice() {
            b"ID" => match integer::parse(text).filter(|id| *id > 0) {
                Some(id) => filter.id = Some(id.unsigned_abs()),
                None => return Value::error("ERR client-id should be greater than 0").into(),
            },
            b"TYPE" => match text.to_ascii_lowercase().as_slice() {
                b"normal" => {}
                b"master" | b"replica" | b"slave" | b"pubsub" => filter.is_nobody = true,
                _ => return unknown_type(text),
            },
            b"USER" if *text == b"default" => {}
            b"USER" => return Value::error(format!("ERR No such user '{}'", quoted(text))).into(),
            b"ADDR" => filter.peer = Some(text.to_vec()),
            b"LADDR" => filter.local = Some(text.to_vec()),
            b"SKIPME" if text.eq_ignore_ascii_case(b"yes") => filter.spares_asker = true,
            b"SKIPME" if text.eq_ignore_ascii_case(b"no") => filter.spares_asker = false,
            _ => return syntax_error().into(),
        }
        options = rest;
    }
    if options.is_empty() { Action::Kill(filter) } else { syntax_error().into() }
}

fn unknown_type(kind: &[u8]) -> Action {
    Value::error(format!("ERR Unknown client type '{}'", quoted(kind))).into()
}

/// A time that a client gives.
fn timeout(text: &[u8]) -> Result<Duration, Value> {
    match integer::parse(text) {
        Some(ms) if ms < 0 => Err(Value::error("ERR timeout is negative")),
        Some(ms) => Ok(Duration::from_millis(ms.unsigned_abs())),
        None => Err(Value::error("ERR timeout is not an integer or out of range")),
    }
}

/// No pause is longer. Longer ones are taken for it.
const MAX_PAUSE: Duration = Duration::from_secs(365 * 86_400);

/// `CLIENT PAUSE milliseconds [WRITE|ALL]`.
pub(super) fn pause(args: &[&[u8]]) -> Action {
    let mode = match &args[3..] {
        [] => PauseMode::All,
        [mode] if mode.eq_ignore_ascii_case(b"ALL") => PauseMode::All,
        [mode] if mode.eq_ignore_ascii_case(b"WRITE") => PauseMode::Writes,
        [_] => return Value::error("ERR CLIENT PAUSE mode must be WRITE or ALL").into(),
        _ => return syntax_error().into(),
    };
    match timeout(args[2]) {
        Ok(time) => Action::Pause(mode, time.min(MAX_PAUSE)),
        Err(error) => error.into(),
    }
}

/// `WAIT numreplicas milliseconds`; 0 milliseconds are for ever.
pub(super) fn wait(args: &[&[u8]]) -> Action {
    let Some(count) = integer::parse(args[1]) else {
        return Value::error("ERR value is not an integer or out of range").into();
    };
    match timeout(args[2]) {
        Ok(time) => {
            let time = (!time.is_zero()).then_some(time.min(MAX_PAUSE));
            Action::Wait(u64::try_from(count).unwrap_or(0), time)
        }
        Err(error) => error.into(),
    }
}

/// `CLIENT NO-EVICT` and `NO-TOUCH`: nothing is evicted here and no key has a time of its last use, so both
/// settings are true as they stand.
pub(super) fn switch(setting: &[u8]) -> Value {
    if setting.eq_ignore_ascii_case(b"ON") || setting.eq_ignore_ascii_case(b"OFF") {
        Value::ok()
    } else {
        syntax_error()
    }
}

/// Names stand in the lines of `CLIENT LIST`, so a blank or a line end in one would be read as more fields.
pub(super) fn check_label(what: &str, label: &[u8]) -> Result<(), Value> {
    if !label.iter().all(u8::is_ascii_graphic) {
        return Err(Value::error(format!(
            "ERR {what} cannot contain spaces, newlines or special characters."
        )));
    }
    if label.len() > MAX_LABEL_BYTES {
        return Err(Value::error(format!("ERR {what} cannot be longer than {MAX_LABEL_BYTES} bytes")));
    }
    Ok(())
}

impl Connection {
    /// The connection's line in `CLIENT LIST`, with its line feed. `now_us` in microseconds since 1970.
    pub fn describe(&self, now_us: u64) -> String {
        let label = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let seconds_since = |then_us: u64| now_us.saturating_sub(then_us) / 1_000_000;
        format!(
            "id={id} addr={peer} laddr={local} name={name} age={age} idle={idle} flags={flags} db=0 sub=0 psub=0 \
             ssub=0 multi={queued} cmd={cmd} user=default redir=-1 resp={resp} lib-name={library} \
             lib-ver={library_version} tot-cmds={commands}\n",
            id = self.id,
            peer = self.peer,
            local = self.local,
            name = label(&self.name),
            age = seconds_since(self.created_us),
            idle = seconds_since(self.last_us),
            flags = if self.transaction.is_open() { 'x' } else { 'N' },
            queued = self.transaction.queued(),
            cmd = self.last_command.map_or("NULL", table::name),
            resp = self.protocol.number(),
            library = label(&self.library),
            library_version = label(&self.library_version),
            commands = self.commands,
        )
    }

    pub(super) fn get_name(&self) -> Value {
        if self.name.is_empty() { Value::Nil } else { Value::bulk(self.name.clone()) }
    }

    /// An empty name takes the name away.
    pub(super) fn set_name(&mut self, name: &[u8]) -> Result<(), Value> {
        check_label("Client names", name)?;
        self.name = name.to_vec();
        Ok(())
    }

    pub(super) fn set_info(&mut self, option: &[u8], text: &[u8]) -> Value {
        let (field, what) = match option.to_ascii_lowercase().as_slice() {
            b"lib-name" => (&mut self.library, "lib-name"),
            b"lib-ver" => (&mut self.library_version, "lib-ver"),
            _ => return Value::error(format!("ERR Unrecognized option '{}'", quoted(option))),
        };
        match check_label(what, text) {
            Ok(()) => {
                *field = text.to_vec();
                Value::ok()
            }
            Err(error) => error,
        }
    }
}
