//! A digest of a state, for saying whether two replicas hold the same. It is the same on every machine and
//! in every run; it is not for use against an adversary.

/// Folds words and byte strings, in order, into 64 bits.
#[derive(Clone, Copy)]
pub(crate) struct Digest(u64);

impl Digest {
    /// An empty digest. A different `purpose` gives a different one for the same content, so that equal
    /// content in two places does not cancel out.
    pub(crate) fn new(purpose: u64) -> Self {
        Self(0x243f_6a88_85a3_08d3).word(purpose)
    }

    pub(crate) fn word(self, word: u64) -> Self {
        // An odd factor and a shift that brings the high half down: both can be undone, so two states that
        // differ before the same word differ after it.
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(mixed ^ (mixed >> 32))
    }

    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, tail) = bytes.as_chunks::<8>();
        let mut digest = self.word(bytes.len() as u64);
        for word in words {
            digest = digest.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        digest.word(u64::from_le_bytes(last))
    }

    pub(crate) fn finish(self) -> u64 {
        self.word(0).word(0).0
    }
}
