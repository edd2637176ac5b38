//! Which slot a key lives in: the same arithmetic as Redis Cluster.
//!
//! The slot is CRC16 of the key, modulo 16384. A key with a *hash tag*, `{...}` with something in it, is
//! placed by the tag alone, so that `{user1}.name` and `{user1}.mail` live together. Only the first `{` counts,
//! and the first `}` behind it; `{}` is no tag. (Redis Cluster specification, "Hash tags".)

use crate::command::Command;

/// How many slots there are. A constant of the format: it is in every snapshot.
pub const SLOT_COUNT: usize = 16384;

/// The slot of `key`, below [`SLOT_COUNT`].
pub fn slot_of(key: &[u8]) -> u16 {
    // 16384 divides 65536, so the low 14 bits are the remainder.
    crc16(hash_tag(key).unwrap_or(key)) & 0x3fff
}

/// The slots that a command touched: what a completion record keeps, so that the image of a slot that moves
/// can take along the records that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slots {
    /// Every slot, as FLUSHALL does.
    All,
    /// One slot, as most commands do.
    One(u16),
    /// Several, ascending, each once.
    Many(Box<[u16]>),
}

impl Slots {
    /// The slots of `command`'s keys; all of them for a command about the whole store.
    pub fn of(command: &Command<'_>) -> Self {
        // On the path of every write, on every replica.
        if let Some(key) = command.only_key() {
            return Self::One(slot_of(key));
        }
        if command.is_about_all() {
            return Self::All;
        }
        let mut keys = command.keys().map(slot_of);
        match (keys.next(), keys.next()) {
            (None, _) => Self::All,
            (Some(one), None) => Self::One(one),
            (Some(first), Some(second)) => {
                let mut slots: Vec<u16> = [first, second].into_iter().chain(keys).collect();
                slots.sort_unstable();
                slots.dedup();
                if slots.len() == 1 { Self::One(first) } else { Self::Many(slots.into()) }
            }
        }
    }

    /// The slots in order, for all but [`Slots::All`], which has none to name.
    pub(crate) fn listed(&self) -> &[u16] {
        match self {
            Self::All => &[],
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }
}

/// What stands between the first `{` and the first `}` after it, unless that is nothing.
fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let behind = &key[open + 1..];
    let length = behind.iter().position(|&byte| byte == b'}')?;
    (length > 0).then(|| &behind[..length])
}

/// CRC-16/XMODEM: polynomial 0x1021, nothing reflected, starting from zero.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, &byte| {
        let [high, low] = crc.to_be_bytes();
        (u16::from(low) << 8) ^ CRC16_TABLE[usize::from(high ^ byte)]
    })
}

const CRC16_TABLE: [u16; 256] = {
    let mut table = [0u16; 256];
    let mut index: u16 = 0;
    while index < 256 {
        let mut crc = index << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[index as usize] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_xmodem() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc16(b""), 0);
        assert_eq!(slot_of(b"123456789"), 0x31c3 & 0x3fff);
    }

    /// The numbers are the answers of redis-server 7.0.15 to CLUSTER KEYSLOT.
    #[test]
    fn slots_are_those_of_redis_cluster() {
        let known: &[(&[u8], u16)] = &[
            (b"", 0),
            (b"foo", 12182),
            (b"bar", 5061),
            (b"123456789", 12739),
            (b"{user1000}.following", 3443),
            (b"foo{}{bar}", 8363),
            (b"foo{{bar}}zap", 4015),
            (b"foo{bar}{zap}", 5061),
            (b"{}", 15257),
            (b"{", 4092),
            (b"a}b{c}", 7365),
            (b"\x00\xff\r\n", 6261),
            (&[b'x'; 1000], 3195),
        ];
        for &(key, slot) in known {
            assert_eq!(slot_of(key), slot, "{}", key.escape_ascii());
        }
    }

    #[test]
    fn a_hash_tag_places_the_key() {
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"user1000"));
        assert_eq!(slot_of(b"foo{bar}{zap}"), slot_of(b"bar"));
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }

    #[test]
    fn an_empty_or_open_tag_is_no_tag() {
        for key in [&b"foo{}{bar}"[..], b"{}", b"a{b", b"a}b{", b"{"] {
            assert_eq!(slot_of(key), crc16(key) & 0x3fff);
        }
    }

    #[test]
    fn a_command_touches_each_slot_once() {
        let parse = |args: &[&'static str]| {
            let args: Vec<_> = args.iter().map(|arg| arg.as_bytes()).collect();
            Slots::of(&Command::parse(&args).unwrap())
        };
        assert_eq!(parse(&["GET", "bar"]), Slots::One(5061));
        assert_eq!(parse(&["DEL", "{a}1", "{a}2", "a"]), Slots::One(15495));
        assert_eq!(parse(&["MSET", "foo", "1", "bar", "2", "{foo}", "3"]), Slots::Many([5061, 12182].into()));
        assert_eq!(parse(&["FLUSHALL"]), Slots::All);
        assert_eq!(parse(&["DBSIZE"]), Slots::All);
    }
}
