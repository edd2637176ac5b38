//! Several commands as one, on conditions: MULTI ... EXEC behind WATCH.

use super::{MAX_ARGUMENTS, MAX_COMMAND_BYTES};
use crate::reply::Reply;

/// The most commands of one transaction. A constant of the format.
pub const MAX_TRANSACTION_COMMANDS: usize = 64 * 1024;

/// The most keys that one transaction may be conditional on. A constant of the format.
pub const MAX_CONDITIONS: usize = 64 * 1024;

/// How large a transaction is that is being put together. What it takes, an entry can hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransactionSize {
    commands: usize,
    bytes: usize,
    arguments: usize,
}

impl TransactionSize {
    /// That of one without commands, on conditions about keys of so many bytes together.
    ///
    /// # Errors
    ///
    /// The reply to send instead, if that is too much.
    pub fn beside(condition_bytes: usize) -> Result<Self, Reply> {
        Self { bytes: condition_bytes, ..Self::default() }.checked()
    }

    /// Counts a command that has so many bytes, encoded, and so many arguments, its name included.
    ///
    /// # Errors
    ///
    /// The reply to send instead, if that is too much.
    pub fn add(&mut self, bytes: usize, arguments: usize) -> Result<(), Reply> {
        let Self { commands, bytes: so_far, arguments: others } = *self;
        let more = Self { commands: commands + 1, bytes: so_far + bytes, arguments: others + arguments };
        *self = more.checked()?;
        Ok(())
    }

    fn checked(self) -> Result<Self, Reply> {
        if self.bytes > MAX_COMMAND_BYTES || self.arguments > MAX_ARGUMENTS {
            return Err(Reply::error(format!(
                "ERR transaction exceeds maximum allowed size ({MAX_COMMAND_BYTES} bytes, {MAX_ARGUMENTS} arguments)"
            )));
        }
        if self.commands > MAX_TRANSACTION_COMMANDS {
            return Err(Reply::error(format!(
                "ERR transaction exceeds maximum of {MAX_TRANSACTION_COMMANDS} commands"
            )));
        }
        Ok(self)
    }
}

/// A key must not have changed since somebody looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unchanged<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Whether it was there.
    pub existed: bool,
    /// The index of the log at which it was looked at.
    pub since: u64,
}

#[cfg(test)]
mod tests;
