//! How much of what is made here there may be at once. A short command can ask for a long answer a million times,
//! and while one is made nobody else is served.

use bowline_kv::reply::MAX_REPLY_BYTES;

use crate::resp::Value;

/// So many commands about connection and server are carried out by one EXEC.
pub(super) const MAX_OWN_COMMANDS: usize = 1024;

/// What the values in one answer may still take.
pub(super) struct Room {
    bytes: usize,
    own_commands: usize,
}

impl Room {
    /// For one answer.
    pub(super) fn new() -> Self {
        Self { bytes: MAX_REPLY_BYTES, own_commands: MAX_OWN_COMMANDS }
    }

    /// The values, made one by one as long as there is room; or the error that says that there are too many.
    pub(super) fn collect<T>(
        &mut self,
        values: impl Iterator<Item = T>,
        bytes_of: impl Fn(&T) -> usize,
    ) -> Result<Vec<T>, Value> {
        let fitting = values.map(|value| {
            self.bytes = self.bytes.checked_sub(bytes_of(&value)).ok_or_else(too_large)?;
            Ok(value)
        });
        fitting.collect()
    }

    /// The answer of a command about the connection that EXEC carries out, if there is room for it. When there was
    /// none for one, those behind it are not carried out either.
    pub(super) fn carry_out(&mut self, command: impl FnOnce() -> Value) -> Value {
        let Some(own_commands) = self.own_commands.checked_sub(1) else {
            return Value::error(format!(
                "ERR EXEC carries out no more than {MAX_OWN_COMMANDS} commands about connection and server"
            ));
        };
        self.own_commands = own_commands;
        if self.bytes == 0 {
            return too_large();
        }
        let value = command();
        match self.bytes.checked_sub(value.memory_bytes()) {
            Some(bytes) => {
                self.bytes = bytes;
                value
            }
            None => {
                self.bytes = 0;
                too_large()
            }
        }
    }
}

/// What the store says, too.
fn too_large() -> Value {
    Value::error(format!("ERR reply exceeds maximum allowed size ({MAX_REPLY_BYTES} bytes)"))
}
