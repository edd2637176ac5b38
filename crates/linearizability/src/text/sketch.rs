//! A text, as far as answers can show it.

use super::values::{Prefix, Values};
use crate::redis::{MAX_NUMBER_BYTES, Text, number};

/// What there is to know of the texts of a part.
pub(crate) struct Setting {
    pub(crate) values: Values,
    /// Whether answers tell the length of a text.
    pub(crate) keeps_length: bool,
    /// Whether calls want to know what number a text is.
    pub(crate) keeps_number: bool,
}

/// A text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sketch {
    /// The beginning of values that answers show.
    Seen(Prefix),
    /// Not the beginning of any, or of none that still matters.
    Hidden {
        /// How long it is; 0 if no answer tells.
        len: usize,
        /// What it is; none if no call wants to know, or it is too long for a number.
        text: Option<Short>,
    },
}

/// A text that may be a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Short {
    bytes: [u8; MAX_NUMBER_BYTES],
    len: usize,
}

impl Short {
    fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_NUMBER_BYTES];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() })
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn append(&self, more: &[u8]) -> Option<Self> {
        if self.len + more.len() > MAX_NUMBER_BYTES {
            return None;
        }
        Self::new(&[self.text(), more].concat())
    }
}

impl Setting {
    /// A text, of which it is known that it does not matter which values begin with it.
    pub(crate) fn hidden(&self, text: &[u8]) -> Sketch {
        let len = if self.keeps_length { text.len() } else { 0 };
        Sketch::Hidden { len, text: if self.keeps_number { Short::new(text) } else { None } }
    }
}

impl Text for Sketch {
    type Setting = Setting;

    fn new(setting: &Self::Setting, bytes: &[u8]) -> Self {
        setting.values.prefix(bytes).map_or_else(|| setting.hidden(bytes), Self::Seen)
    }

    fn append(&mut self, setting: &Self::Setting, bytes: &[u8]) {
        *self = match self {
            Self::Seen(prefix) => match setting.values.longer(*prefix, bytes) {
                Some(longer) => Self::Seen(longer),
                None => {
                    let mut hidden = setting.hidden(setting.values.text(*prefix));
                    hidden.append(setting, bytes);
                    hidden
                }
            },
            Self::Hidden { len, text } => Self::Hidden {
                len: if setting.keeps_length { *len + bytes.len() } else { 0 },
                text: text.as_ref().and_then(|text| text.append(bytes)),
            },
        };
    }

    fn len(&self) -> usize {
        match self {
            Self::Seen(prefix) => prefix.len,
            Self::Hidden { len, .. } => *len,
        }
    }

    fn number(&self, setting: &Self::Setting) -> Option<i64> {
        match self {
            Self::Seen(prefix) => number(setting.values.text(*prefix)),
            Self::Hidden { text, .. } => number(text.as_ref()?.text()),
        }
    }
}
