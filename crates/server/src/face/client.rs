//! CLIENT: who is connected, and by which names.

use super::connection::{Action, Connection};
use super::{quoted, syntax_error};
use crate::resp::{Value, canonical_integer};

/// The longest name of a client or a library, in bytes: a connection keeps three of them.
const MAX_LABEL_BYTES: usize = 1024;

/// Which connections `CLIENT LIST` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFilter {
    /// All of them.
    All,
    /// None: a kind that does not exist here, such as replicas.
    Nobody,
    /// Those with these ids.
    Ids(Vec<u64>),
}

impl ClientFilter {
    /// Whether a connection is shown.
    pub fn keeps(&self, connection: &Connection) -> bool {
        match self {
            Self::All => true,
            Self::Nobody => false,
            Self::Ids(ids) => ids.contains(&connection.id),
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
                _ => Value::error(format!("ERR Unknown client type '{}'", quoted(kind))).into(),
            }
        }
        [option, ids @ ..] if option.eq_ignore_ascii_case(b"ID") && !ids.is_empty() => {
            let ids = ids.iter().map(|id| u64::try_from(canonical_integer(id)?).ok().filter(|id| *id > 0));
            match ids.collect() {
                Some(ids) => Action::ClientList(ClientFilter::Ids(ids)),
                None => Value::error("ERR Invalid client ID").into(),
            }
        }
        _ => syntax_error().into(),
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
            cmd = self.last_command.shown(),
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
