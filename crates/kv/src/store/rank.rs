//! In which order SCAN goes through the keys of a slot.
//!
//! Each key has a *rank*, a number made of its bytes alone: so the order is the same on every replica, in every
//! version and after a restart, however the tables are cut and seeded, and a key keeps its rank as long as it is
//! there. A cursor is a slot and a rank. Nearly always a rank is one key's; keys of the same rank come together.
//!
//! The number is SipHash-1-3 of the key (Aumasson, Bernstein: "SipHash: a fast short-input PRF"), with a key of zeros.
//! Who tries long enough finds keys whose ranks are near each other, but not many of the very same rank, all of which
//! one call of SCAN would have to answer with.

/// How many bits a rank has. With the 14 bits of a slot in front they are 53: a cursor is also exact in a client
/// that reads it as a floating-point number. A constant of the protocol.
pub(super) const RANK_BITS: u32 = 39;

/// What a key's rank is the highest bits of.
pub(super) fn spread(key: &[u8]) -> u64 {
    let mut state =
        [0x736f_6d65_7073_6575_u64, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];
    let (words, tail) = key.as_chunks::<8>();
    for word in words {
        absorb(&mut state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..tail.len()].copy_from_slice(tail);
    // The length, modulo 256, in the highest byte.
    absorb(&mut state, u64::from_le_bytes(last) | (key.len() as u64) << 56);
    state[2] ^= 0xff;
    (0..3).for_each(|_| round(&mut state));
    state.into_iter().fold(0, |sum, word| sum ^ word)
}

/// The key's rank, below 2 to the power of [`RANK_BITS`].
pub(super) fn rank_of(key: &[u8]) -> u64 {
    spread(key) >> (u64::BITS - RANK_BITS)
}

fn absorb(state: &mut [u64; 4], word: u64) {
    state[3] ^= word;
    round(state);
    state[0] ^= word;
}

fn round([a, b, c, d]: &mut [u64; 4]) {
    *a = a.wrapping_add(*b);
    *b = b.rotate_left(13) ^ *a;
    *a = a.rotate_left(32);
    *c = c.wrapping_add(*d);
    *d = d.rotate_left(16) ^ *c;
    *a = a.wrapping_add(*d);
    *d = d.rotate_left(21) ^ *a;
    *c = c.wrapping_add(*b);
    *b = b.rotate_left(17) ^ *c;
    *c = c.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cursors go between nodes, and clients keep them: a rank never changes.
    #[test]
    fn ranks_stay_as_they_are() {
        for (key, spread_of) in VECTORS {
            assert_eq!(spread(key.as_bytes()), spread_of, "{key}");
            assert_eq!(rank_of(key.as_bytes()), spread_of >> 25, "{key}");
        }
    }

    /// As the hasher of the standard library had them in 2026, which was SipHash-1-3 with a key of zeros.
    const VECTORS: [(&str, u64); 6] = [
        ("", 0xd1fb_a762_150c_532c),
        ("a", 0x4074_48d2_b89b_1813),
        ("1234567", 0xa33d_6515_94fd_ae81),
        ("12345678", 0x3489_9824_3056_0a87),
        ("123456789", 0x0fbc_0f00_0796_5fcf),
        ("user:1000:a long name of many bytes", 0x53fa_e546_73f1_5920),
    ];
}
