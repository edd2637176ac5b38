//! AUTH and HELLO: who the client is, and which protocol it speaks.
//!
//! There are no users but the one whom Redis calls `default`. If he has a password, a connection that was made since
//! may do nothing but say it, greet, or go; one that was made before may go on, as in Redis.

use bowline_kv::integer;

use super::connection::Connection;
use super::{NodeInfo, REDIS_VERSION, client, quoted, syntax_error};
use crate::resp::{Protocol, Value};

/// The answer to a command that came before the password.
pub(super) fn no_auth() -> Value {
    Value::error("NOAUTH Authentication required.")
}

/// The answer to an EXEC that did.
pub(super) fn exec_without_auth() -> Value {
    Value::error("EXECABORT Transaction discarded because of: NOAUTH Authentication required.")
}

fn wrong_password() -> Value {
    Value::error("WRONGPASS invalid username-password pair or user is disabled.")
}

impl Connection {
    /// Whether its commands are carried out: it has said the password, or needs none.
    pub fn is_trusted(&self, node: &NodeInfo) -> bool {
        self.is_authenticated || !node.settings.has_password()
    }

    /// `AUTH [user] password`.
    pub(super) fn auth(&mut self, args: &[&[u8]], node: &NodeInfo) -> Value {
        match args {
            [_, _password] if !node.settings.has_password() => Value::error(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            ),
            [_, password] => self.log_in(b"default", password, node),
            [_, user, password] => self.log_in(user, password, node),
            _ => syntax_error(),
        }
    }

    fn log_in(&mut self, user: &[u8], password: &[u8], node: &NodeInfo) -> Value {
        if !may_log_in(user, password, node) {
            return wrong_password();
        }
        self.is_authenticated = true;
        Value::ok()
    }

    /// `HELLO [version [AUTH user password] [SETNAME name]]`: all of it takes effect, or nothing.
    pub(super) fn hello(&mut self, args: &[&[u8]], node: &NodeInfo) -> Value {
        let protocol = match args.get(1).map(|version| integer::parse(version)) {
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
                [given_user, password, rest @ ..] if option.eq_ignore_ascii_case(b"AUTH") => {
                    user = Some((*given_user, *password));
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
        match user {
            Some((user, password)) if !may_log_in(user, password, node) => return wrong_password(),
            Some(_) => self.is_authenticated = true,
            None if self.is_trusted(node) => {}
            None => {
                return Value::error(
                    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
                     AUTH <user> <pass> option can be used to authenticate the client and select the RESP \
                     protocol version at the same time",
                );
            }
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

/// Without a password whatever the default user gives is right, in the forms that name him.
fn may_log_in(user: &[u8], password: &[u8], node: &NodeInfo) -> bool {
    let is_right = !node.settings.has_password() || node.settings.is_password(password);
    user == b"default" && is_right
}
