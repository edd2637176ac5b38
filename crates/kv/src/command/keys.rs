//! Which keys a command names.

use std::slice;

use super::{Command, Pair, SessionCommand, Unchanged};

/// A command's keys: one or two, or several, or those of pairs.
type NamedKeys<'c, 'a> = ([Option<&'a [u8]>; 2], &'c [&'a [u8]], &'c [Pair<'a>]);

impl<'a> Command<'a> {
    /// Its keys, in the order in which they were named; those of a transaction's conditions first.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        let command = match self {
            Self::Session(SessionCommand::Run { command, .. }) => command,
            other => other,
        };
        let (conditions, commands): (&[Unchanged<'a>], &[Self]) = match command {
            Self::Exec { conditions, commands } => (conditions, commands),
            single => (&[], slice::from_ref(single)),
        };
        conditions.iter().map(|condition| condition.key).chain(commands.iter().flat_map(Self::own_keys))
    }

    fn own_keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        let (named, many, pairs) = self.named_keys();
        named.into_iter().flatten().chain(many.iter().copied()).chain(pairs.iter().map(|(key, _)| *key))
    }

    /// Its key, if it is of a kind that has one and no more, as most are.
    pub(crate) fn only_key(&self) -> Option<&'a [u8]> {
        let ([one, None], [], []) = self.named_keys() else { return None };
        one
    }

    fn named_keys(&self) -> NamedKeys<'_, 'a> {
        match self {
            Self::Get { key }
            | Self::Set { key, .. }
            | Self::SetNx { key, .. }
            | Self::Append { key, .. }
            | Self::StrLen { key }
            | Self::IncrBy { key, .. }
            | Self::Type { key }
            | Self::GetEx { key, .. }
            | Self::Expire { key, .. }
            | Self::Persist { key }
            | Self::Hash { key, .. }
            | Self::Ttl { key, .. }
            | Self::GetRange { key, .. }
            | Self::SetRange { key, .. }
            | Self::IncrByFloat { key, .. }
            | Self::GetDel { key }
            | Self::DelIf { key, .. }
            | Self::Object { key, .. }
            | Self::MemoryUsage { key } => ([Some(*key), None], &[], &[]),
            Self::Rename { key, to, .. } | Self::Copy { key, to, .. } => ([Some(*key), Some(*to)], &[], &[]),
            Self::Del { keys } | Self::Exists { keys } | Self::MGet { keys } | Self::Watch { keys } => {
                ([None; 2], keys.as_slice(), &[])
            }
            Self::MSet { pairs } | Self::MSetNx { pairs } => ([None; 2], &[], pairs),
            Self::DbSize
            | Self::FlushAll
            | Self::RandomKey { .. }
            | Self::Keys { .. }
            | Self::Scan { .. }
            | Self::Session(_)
            | Self::Exec { .. } => ([None; 2], &[], &[]),
        }
    }
}
