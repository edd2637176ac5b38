//! When a key expires, as a command says it.
//!
//! A time from now on is counted from the stamp of the entry that carries it, when that is applied: so it is the
//! same on all replicas, whoever's clock is wrong.

/// When a key is to expire, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// From now on; negative: it is over already. At most [`MAX_AFTER_MS`].
    After(i64),
    /// Since 1970; negative: it is over already.
    At(i64),
}

/// The longest time that may be given from now on, in milliseconds: 292 million years, less by so much that the sum
/// with the log's time is an `i64` until the year 2109. (Redis refuses a sum that is none. Here the log's
/// time is not known yet when a command is parsed.) A constant of the format.
pub const MAX_AFTER_MS: i64 = i64::MAX - (1 << 42);

impl Moment {
    /// In milliseconds since 1970, said at `now_ms`.
    pub(crate) fn resolve(self, now_ms: u64) -> u64 {
        match self {
            Self::After(ms) => now_ms.saturating_add_signed(ms),
            Self::At(ms) => u64::try_from(ms).unwrap_or(0),
        }
    }
}

/// What becomes of a key's expiry when SET gives it a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetExpiry {
    /// It has none from then on.
    Never,
    /// KEEPTTL: it stays as it was.
    Keep,
    /// EX, PX, EXAT, PXAT: from then on it is this one.
    To(Moment),
}

/// When EXPIRE takes effect. GT alone says the same as GT with XX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpireCondition {
    /// In any case.
    Always,
    /// NX: if the key has no expiry.
    IfNone,
    /// XX: if it has one.
    IfAny,
    /// GT: if the new one is later than the old. None is later than any.
    IfLater,
    /// LT: if the new one is earlier than the old. None is later than any.
    IfEarlier,
    /// LT and XX: if there is an old one, and the new one is earlier.
    IfEarlierThanAny,
}

impl ExpireCondition {
    /// Whether it lets `new` take the place of `old`, in milliseconds since 1970.
    pub(crate) fn holds(self, old: Option<u64>, new: u64) -> bool {
        match self {
            Self::Always => true,
            Self::IfNone => old.is_none(),
            Self::IfAny => old.is_some(),
            Self::IfLater => old.is_some_and(|old| new > old),
            Self::IfEarlier => old.is_none_or(|old| new < old),
            Self::IfEarlierThanAny => old.is_some_and(|old| new < old),
        }
    }
}
