//! What Redis's string commands do to one key.

use bytes::Bytes;

/// A command without its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// GET.
    Get,
    /// SET with NX, XX and GET; GETSET is SET with GET.
    Set {
        /// The new value.
        value: Bytes,
        /// When to set it.
        condition: Condition,
        /// Whether the old value is the answer.
        get: bool,
    },
    /// SETNX: the new value.
    SetNx(Bytes),
    /// APPEND: what comes behind the value.
    Append(Bytes),
    /// STRLEN.
    StrLen,
    /// INCR, DECR, INCRBY, DECRBY: what is added.
    IncrBy(i64),
    /// DEL of one key.
    Del,
    /// EXISTS of one key.
    Exists,
    /// TYPE.
    Type,
}

/// When SET sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// In any case.
    Always,
    /// NX: only if there is no value.
    IfAbsent,
    /// XX: only if there is one.
    IfPresent,
}

/// The value of a key, as exactly as somebody wants to know it.
pub(crate) trait Text: Clone {
    /// What it takes to understand one.
    type Setting: ?Sized;

    fn new(setting: &Self::Setting, bytes: &[u8]) -> Self;

    fn append(&mut self, setting: &Self::Setting, bytes: &[u8]);

    /// In bytes.
    fn len(&self) -> usize;

    /// The number that it is, if it is written as Redis writes numbers.
    fn number(&self, setting: &Self::Setting) -> Option<i64>;
}

/// What an action is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer<T> {
    Ok,
    Nil,
    Int(i64),
    Simple(&'static str),
    Value(T),
    Error(String),
}

/// Does an action to the value of its key, which has none if it is missing. No value may be longer than `max_bytes`.
pub(crate) fn apply<T: Text>(
    setting: &T::Setting,
    max_bytes: usize,
    value: &mut Option<T>,
    action: &Action,
) -> Answer<T> {
    match action {
        Action::Get => value.clone().map_or(Answer::Nil, Answer::Value),
        Action::Set { value: new, condition, get } => {
            let is_done = match condition {
                Condition::Always => true,
                Condition::IfAbsent => value.is_none(),
                Condition::IfPresent => value.is_some(),
            };
            let old = if *get { value.clone() } else { None };
            if is_done {
                *value = Some(T::new(setting, new));
            }
            match old {
                Some(old) => Answer::Value(old),
                None if is_done && !get => Answer::Ok,
                None => Answer::Nil,
            }
        }
        Action::SetNx(new) => {
            let is_done = value.is_none();
            if is_done {
                *value = Some(T::new(setting, new));
            }
            Answer::Int(is_done.into())
        }
        Action::Append(more) => {
            if value.as_ref().map_or(0, T::len) + more.len() > max_bytes {
                return Answer::Error(format!("ERR string exceeds maximum allowed size ({max_bytes} bytes)"));
            }
            let value = value.get_or_insert_with(|| T::new(setting, b""));
            value.append(setting, more);
            Answer::Int(length(value))
        }
        Action::StrLen => Answer::Int(value.as_ref().map_or(0, length)),
        Action::IncrBy(delta) => {
            let Some(old) = value.as_ref().map_or(Some(0), |value| value.number(setting)) else {
                return Answer::Error("ERR value is not an integer or out of range".into());
            };
            let Some(new) = old.checked_add(*delta) else {
                return Answer::Error("ERR increment or decrement would overflow".into());
            };
            *value = Some(T::new(setting, new.to_string().as_bytes()));
            Answer::Int(new)
        }
        Action::Del => Answer::Int(value.take().is_some().into()),
        Action::Exists => Answer::Int(value.is_some().into()),
        Action::Type => Answer::Simple(if value.is_some() { "string" } else { "none" }),
    }
}

/// The longest that a number can be.
pub(crate) const MAX_NUMBER_BYTES: usize = "-9223372036854775808".len();

/// The number that `text` writes as Redis would: no plus sign, no needless zero, no space.
pub(crate) fn number(text: &[u8]) -> Option<i64> {
    if text.len() > MAX_NUMBER_BYTES {
        return None;
    }
    let number: i64 = str::from_utf8(text).ok()?.parse().ok()?;
    (itoa::Buffer::new().format(number).as_bytes() == text).then_some(number)
}

fn length<T: Text>(value: &T) -> i64 {
    i64::try_from(value.len()).expect("a value is far below 2^63 bytes")
}

impl Text for Vec<u8> {
    type Setting = ();

    fn new((): &(), bytes: &[u8]) -> Self {
        bytes.to_vec()
    }

    fn append(&mut self, (): &(), bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn number(&self, (): &()) -> Option<i64> {
        number(self)
    }
}
