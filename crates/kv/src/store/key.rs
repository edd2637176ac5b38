//! A key as the store keeps it.

use std::cmp::Ordering;
use std::ops::Deref;

/// How many bytes a key may have to be kept in place. What fits beside the length in the room of three
/// pointers; most keys do.
const SHORT_BYTES: usize = 22;

/// A key's bytes. A short one lies where the key itself lies, which saves an allocation, and at each look-up a
/// step through memory.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Short { length: u8, bytes: [u8; SHORT_BYTES] },
    Long(Box<[u8]>),
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Self {
        match u8::try_from(key.len()) {
            Ok(length) if key.len() <= SHORT_BYTES => {
                let mut bytes = [0; SHORT_BYTES];
                bytes[..key.len()].copy_from_slice(key);
                Self::Short { length, bytes }
            }
            _ => Self::Long(key.into()),
        }
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(bytes) => bytes,
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// By their bytes: the same order on every replica.
impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_length_comes_back() {
        assert_eq!(size_of::<Key>(), 3 * size_of::<usize>());
        for length in [0, 1, SHORT_BYTES - 1, SHORT_BYTES, SHORT_BYTES + 1, 255, 256, 257, 65536] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            assert_eq!(*Key::from(bytes.as_slice()), *bytes);
        }
    }
}
