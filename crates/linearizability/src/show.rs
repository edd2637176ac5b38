//! Bytes in a line of text.

use std::fmt::{self, Display, Formatter, Write};

/// How many bytes of a long value are shown at its beginning and at its end.
const ENDS: (usize, usize) = (12, 20);

/// A value, in quotes; of a long one both ends and the length.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

/// A name, without quotes, whole.
pub(crate) struct Bare<'a>(pub(crate) &'a [u8]);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (head, tail) = ENDS;
        if self.0.len() <= head + tail {
            return write!(f, "\"{}\"", Bare(self.0));
        }
        let tail = &self.0[self.0.len() - tail..];
        write!(f, "\"{}…{}\" ({} bytes)", Bare(&self.0[..head]), Bare(tail), self.0.len())
    }
}

impl Display for Bare<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
        })
    }
}
