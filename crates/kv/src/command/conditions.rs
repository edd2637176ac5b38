//! What commands are conditional on, and what they ask about.

/// When SET sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// In any case.
    Always,
    /// NX: only if the key has no value.
    IfAbsent,
    /// XX: only if the key has one.
    IfPresent,
    /// IFEQ, IFNE: only if its value compares so. A key without a value has another one than any.
    If(Comparison<'a>),
}

/// What the value of a key must be for SET and DELEX of Redis 8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison<'a> {
    /// IFEQ: this one.
    Equal(&'a [u8]),
    /// IFNE: another one.
    NotEqual(&'a [u8]),
}

impl<'a> Comparison<'a> {
    /// The value that is compared with.
    pub fn value(&self) -> &'a [u8] {
        match self {
            Self::Equal(value) | Self::NotEqual(value) => value,
        }
    }
}

/// What OBJECT says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// ENCODING: in what form Redis would hold such a value.
    Encoding,
    /// REFCOUNT: 1.
    RefCount,
    /// FREQ: an error, since nobody counts.
    Frequency,
}
