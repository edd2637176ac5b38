//! Several commands as one, on conditions: MULTI ... EXEC behind WATCH.

/// The most commands of one transaction. A constant of the format.
pub const MAX_TRANSACTION_COMMANDS: usize = 64 * 1024;

/// The most keys that one transaction may be conditional on. A constant of the format.
pub const MAX_CONDITIONS: usize = 64 * 1024;

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
