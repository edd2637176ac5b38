//! What Bowline answers otherwise on purpose. Each is shown by commands of one connection, the last of which is
//! answered as written; the random sequences keep clear of them.

use crate::wire::Reply;

/// A difference.
pub(crate) struct Listed {
    /// What a user has to know.
    pub(crate) what: &'static str,
    /// Where docs/commands.md says so: how the line begins, and what it says.
    page: (&'static str, &'static str),
    /// What shows it.
    pub(crate) commands: &'static [&'static [&'static str]],
    /// Bowline's answer to the last of them, as its first line.
    pub(crate) bowline: &'static str,
    /// That of Redis 7.0.
    pub(crate) redis: &'static str,
    /// The command of which replies like these two are taken for the same in random sequences. It has changed
    /// nothing then, on either side. None: the sequences keep clear of it.
    pub(crate) accepted: Option<&'static str>,
}

const LONG_NAME: &str = match str::from_utf8(&[b'n'; 1025]) {
    Ok(name) => name,
    Err(_) => unreachable!(),
};

#[rustfmt::skip]
pub(crate) static DIFFERENCES: &[Listed] = &[
    Listed {
        what: "A watched key that does not exist counts as changed also when another key of its slot is removed meanwhile.",
        page: ("| WATCH |", "another key of its slot"),
        commands: &[&["SET", "{t}1", "x"], &["WATCH", "{t}2"], &["DEL", "{t}1"], &["MULTI"], &["GET", "{t}2"], &["EXEC"]],
        bowline: "*-1",
        redis: "*1",
        accepted: None,
    },
    Listed {
        what: "HELLO is refused between MULTI and EXEC.",
        page: ("| HELLO |", "Refused between MULTI and EXEC."),
        commands: &[&["MULTI"], &["HELLO", "3"]],
        bowline: "-ERR Command not allowed inside a transaction",
        redis: "+QUEUED",
        accepted: None,
    },
    Listed {
        what: "There is one database, 0.",
        page: ("| SELECT |", "There is one database, 0."),
        commands: &[&["SELECT", "1"]],
        bowline: "-ERR DB index is out of range",
        redis: "+OK",
        accepted: None,
    },
    Listed {
        what: "DBSIZE does not count keys whose time is over. Redis counts them until it comes upon them.",
        page: ("| DBSIZE |", "Keys whose time is over are not counted."),
        commands: &[&["SET", "a", "1", "PXAT", "1"], &["DBSIZE"]],
        bowline: ":0",
        redis: ":1",
        // Compared by a rule of its own.
        accepted: None,
    },
    Listed {
        what: "A client's name has at most 1024 bytes.",
        page: ("| CLIENT SETNAME |", "At most 1024 bytes."),
        commands: &[&["CLIENT", "SETNAME", LONG_NAME]],
        bowline: "-ERR Client names cannot be longer than 1024 bytes",
        redis: "+OK",
        accepted: None,
    },
    Listed {
        what: "GETEX with a time that is refused is refused also when the key does not exist.",
        page: ("| GETEX |", "A time that is refused is refused also when the key does not exist or holds no string."),
        commands: &[&["GETEX", "missing", "EX", "0"]],
        bowline: "-ERR invalid expire time in 'getex' command",
        redis: "$-1",
        accepted: Some("getex"),
    },
    Listed {
        what: "GETEX with a time that is refused is refused also when the key does not exist.",
        page: ("| GETEX |", "A time that is refused is refused also when the key does not exist or holds no string."),
        commands: &[&["GETEX", "missing", "EX", "x"]],
        bowline: "-ERR value is not an integer or out of range",
        redis: "$-1",
        accepted: Some("getex"),
    },
    Listed {
        what: "GETEX with a time that is refused is refused also when the key holds no string.",
        page: ("| GETEX |", "A time that is refused is refused also when the key does not exist or holds no string."),
        commands: &[&["HSET", "h", "f", "v"], &["GETEX", "h", "EX", "0"]],
        bowline: "-ERR invalid expire time in 'getex' command",
        redis: "-WRONGTYPE Operation against a key holding the wrong kind of value",
        accepted: Some("getex"),
    },
    Listed {
        what: "GETEX with a time that is refused is refused also when the key holds no string.",
        page: ("| GETEX |", "A time that is refused is refused also when the key does not exist or holds no string."),
        commands: &[&["HSET", "h", "f", "v"], &["GETEX", "h", "EX", "x"]],
        bowline: "-ERR value is not an integer or out of range",
        redis: "-WRONGTYPE Operation against a key holding the wrong kind of value",
        accepted: Some("getex"),
    },
    Listed {
        what: "HSCAN with wrong options is refused also when the key does not exist, or holds no hash.",
        page: ("| HSCAN |", "Wrong options are refused also when the key does not exist or holds no hash."),
        commands: &[&["HSCAN", "missing", "0", "FOO", "BAR"]],
        bowline: "-ERR syntax error",
        redis: "*2",
        accepted: Some("hscan"),
    },
    Listed {
        what: "HSCAN with wrong options is refused also when the key does not exist, or holds no hash.",
        page: ("| HSCAN |", "Wrong options are refused also when the key does not exist or holds no hash."),
        commands: &[&["HSCAN", "missing", "0", "COUNT", "x"]],
        bowline: "-ERR value is not an integer or out of range",
        redis: "*2",
        accepted: Some("hscan"),
    },
    Listed {
        what: "HSCAN with wrong options is refused also when the key does not exist, or holds no hash.",
        page: ("| HSCAN |", "Wrong options are refused also when the key does not exist or holds no hash."),
        commands: &[&["SET", "s", "v"], &["HSCAN", "s", "0", "FOO", "BAR"]],
        bowline: "-ERR syntax error",
        redis: "-WRONGTYPE Operation against a key holding the wrong kind of value",
        accepted: Some("hscan"),
    },
    Listed {
        what: "HSCAN with wrong options is refused also when the key does not exist, or holds no hash.",
        page: ("| HSCAN |", "Wrong options are refused also when the key does not exist or holds no hash."),
        commands: &[&["SET", "s", "v"], &["HSCAN", "s", "0", "COUNT", "x"]],
        bowline: "-ERR value is not an integer or out of range",
        redis: "-WRONGTYPE Operation against a key holding the wrong kind of value",
        accepted: Some("hscan"),
    },
];

/// Whether these replies to the command of this name show a difference that is listed.
pub(crate) fn is_listed(name: &[u8], ours: &Reply, theirs: &Reply) -> bool {
    let is_nil = |reply: &Reply| reply.is("$-1") || reply.is("_");
    DIFFERENCES.iter().any(|listed| {
        let same =
            ours.is(listed.bowline) && (theirs.is(listed.redis) || (listed.redis == "$-1" && is_nil(theirs)));
        same && listed.accepted.is_some_and(|accepted| accepted.as_bytes().eq_ignore_ascii_case(name))
    })
}

#[cfg(test)]
mod tests {
    use super::DIFFERENCES;

    #[test]
    fn each_difference_is_on_the_page_of_the_commands() {
        let page = include_str!("../../../../docs/commands.md");
        for listed in DIFFERENCES {
            let (begins, says) = listed.page;
            let is_said = page.lines().any(|line| line.starts_with(begins) && line.contains(says));
            assert!(is_said, "docs/commands.md does not say behind {begins:?}: {}", listed.what);
        }
    }
}
