//! What may stand behind a command's name, for the `arguments` of `COMMAND DOCS`: redis-cli makes its hints of them.
//!
//! It is written as in Redis's documentation. `WORD` is said as it is, `word` is a value, `WORD word` a value behind a
//! token, and `[...]` may be left out. Of `a | b` one is meant, `<a b>` goes together, and what stands in front of `...` may
//! come several times.

use std::iter::Peekable;

use crate::resp::Value;

/// Commands and what may stand behind their names. Those without a row take nothing, or are the subcommands' containers.
#[rustfmt::skip]
static ROWS: &[(&str, &str)] = &[
    ("append", "key value"),
    ("auth", "[username] password"),
    ("bgsave", "[SCHEDULE]"),
    ("client|kill", "<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | [ADDR ip:port] | [LADDR ip:port] | [SKIPME yes/no]> ...>"),
    ("client|list", "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID <client-id ...>]"),
    ("client|maint_notifications", "<ON | OFF>"),
    ("client|no-evict", "<ON | OFF>"),
    ("client|no-touch", "<ON | OFF>"),
    ("client|pause", "timeout [WRITE | ALL]"),
    ("client|setinfo", "<LIB-NAME libname | LIB-VER libver>"),
    ("client|setname", "connection-name"),
    ("command|docs", "[command-name ...]"),
    ("command|getkeys", "command [arg ...]"),
    ("command|info", "[command-name ...]"),
    ("command|list", "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]"),
    ("config|get", "<parameter> ..."),
    ("config|set", "<parameter value> ..."),
    ("copy", "source destination [DB destination-db] [REPLACE]"),
    ("decr", "key"),
    ("decrby", "key decrement"),
    ("del", "key ..."),
    ("delex", "key [IFEQ value | IFNE value]"),
    ("echo", "message"),
    ("exists", "key ..."),
    ("expire", "key seconds [NX | XX | GT | LT]"),
    ("expireat", "key unix-time-seconds [NX | XX | GT | LT]"),
    ("expiretime", "key"),
    ("flushall", "[ASYNC | SYNC]"),
    ("flushdb", "[ASYNC | SYNC]"),
    ("function|flush", "[ASYNC | SYNC]"),
    ("get", "key"),
    ("getdel", "key"),
    ("getex", "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]"),
    ("getrange", "key start end"),
    ("getset", "key value"),
    ("hdel", "key field ..."),
    ("hello", "[protover [AUTH <username password>] [SETNAME clientname]]"),
    ("hexists", "key field"),
    ("hget", "key field"),
    ("hgetall", "key"),
    ("hincrby", "key field increment"),
    ("hincrbyfloat", "key field increment"),
    ("hkeys", "key"),
    ("hlen", "key"),
    ("hmget", "key field ..."),
    ("hmset", "key <field value> ..."),
    ("hrandfield", "key [count [WITHVALUES]]"),
    ("hscan", "key cursor [MATCH pattern] [COUNT count]"),
    ("hset", "key <field value> ..."),
    ("hsetnx", "key field value"),
    ("hstrlen", "key field"),
    ("hvals", "key"),
    ("incr", "key"),
    ("incrby", "key increment"),
    ("incrbyfloat", "key increment"),
    ("info", "[section ...]"),
    ("keys", "pattern"),
    ("latency|graph", "event"),
    ("latency|histogram", "[command ...]"),
    ("latency|history", "event"),
    ("latency|reset", "[event ...]"),
    ("memory|usage", "key [SAMPLES count]"),
    ("mget", "key ..."),
    ("mset", "<key value> ..."),
    ("msetnx", "<key value> ..."),
    ("object|encoding", "key"),
    ("object|freq", "key"),
    ("object|refcount", "key"),
    ("once", "<OPEN | CLOSE session | LIMITS most idle-seconds | session number command [arg ...]>"),
    ("persist", "key"),
    ("pexpire", "key milliseconds [NX | XX | GT | LT]"),
    ("pexpireat", "key unix-time-milliseconds [NX | XX | GT | LT]"),
    ("pexpiretime", "key"),
    ("ping", "[message]"),
    ("psetex", "key milliseconds value"),
    ("pttl", "key"),
    ("rename", "key newkey"),
    ("renamenx", "key newkey"),
    ("scan", "cursor [MATCH pattern] [COUNT count] [TYPE type]"),
    ("select", "index"),
    ("set", "key value [NX | XX | IFEQ comparison-value | IFNE comparison-value] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]"),
    ("setex", "key seconds value"),
    ("setnx", "key value"),
    ("setrange", "key offset value"),
    ("slowlog|get", "[count]"),
    ("strlen", "key"),
    ("substr", "key start end"),
    ("touch", "key ..."),
    ("ttl", "key"),
    ("type", "key"),
    ("unlink", "key ..."),
    ("wait", "numreplicas timeout"),
    ("watch", "key ..."),
];

/// The `arguments` of a command's documentation; none if it takes nothing.
pub(super) fn arguments(name: &str) -> Option<Value> {
    let (_, syntax) = ROWS.iter().find(|(known, _)| *known == name)?;
    let mut tokens = tokens(syntax).into_iter().peekable();
    Some(Value::Array(sequence(&mut tokens).into_iter().map(Argument::into_value).collect()))
}

/// One argument, or several that belong together.
#[derive(Debug, Default)]
struct Argument {
    name: String,
    kind: &'static str,
    token: Option<&'static str>,
    is_optional: bool,
    is_multiple: bool,
    parts: Vec<Argument>,
}

impl Argument {
    /// A field that has nothing to say is left out, as Redis does.
    fn into_value(self) -> Value {
        let mut fields = vec![
            (Value::text("name"), Value::bulk(self.name)),
            (Value::text("type"), Value::text(self.kind)),
        ];
        if let Some(token) = self.token {
            fields.push((Value::text("token"), Value::text(token)));
        }
        let flags = [("optional", self.is_optional), ("multiple", self.is_multiple)];
        let flags: Vec<_> =
            flags.into_iter().filter(|(_, is_so)| *is_so).map(|(flag, _)| Value::simple(flag)).collect();
        if !flags.is_empty() {
            fields.push((Value::text("flags"), Value::Set(flags)));
        }
        if !self.parts.is_empty() {
            let parts = self.parts.into_iter().map(Self::into_value).collect();
            fields.push((Value::text("arguments"), Value::Array(parts)));
        }
        Value::Map(fields)
    }

    /// Several as one, named after them.
    fn of(mut parts: Vec<Self>, kind: &'static str) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let name = parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join("-");
        Self { name, kind, parts, ..Self::default() }
    }
}

/// Words, and the signs between them.
fn tokens(syntax: &'static str) -> Vec<&'static str> {
    let mut tokens = Vec::new();
    for mut word in syntax.split(' ') {
        while word.starts_with(['[', '<']) {
            tokens.push(&word[..1]);
            word = &word[1..];
        }
        let text = word.trim_end_matches([']', '>']);
        if !text.is_empty() {
            tokens.push(text);
        }
        tokens.extend(word[text.len()..].split("").filter(|sign| !sign.is_empty()));
    }
    tokens
}

/// Arguments one after the other, up to the end of what they stand in.
fn sequence(tokens: &mut Peekable<impl Iterator<Item = &'static str>>) -> Vec<Argument> {
    let mut found = Vec::<Argument>::new();
    while let Some(token) = tokens.next_if(|token| !matches!(*token, "|" | "]" | ">")) {
        match token {
            "..." => found.last_mut().expect("something to come several times").is_multiple = true,
            "[" => found.push(Argument { is_optional: true, ..group(tokens) }),
            "<" => found.push(group(tokens)),
            word if !is_token(word) => found.push(value(word)),
            word => match tokens.next_if(|next| *next == "<" || next.starts_with(char::is_lowercase)) {
                Some("<") => found.push(Argument { token: Some(word), ..group(tokens) }),
                Some(name) => found.push(Argument { token: Some(word), ..value(name) }),
                None => {
                    let (name, kind) = (word.to_ascii_lowercase(), "pure-token");
                    found.push(Argument { name, kind, token: Some(word), ..Argument::default() });
                }
            },
        }
    }
    found
}

/// What stands between brackets: arguments that belong together, or of which there is to be one.
fn group(tokens: &mut Peekable<impl Iterator<Item = &'static str>>) -> Argument {
    let mut choices = Vec::new();
    loop {
        choices.push(Argument::of(sequence(tokens), "block"));
        if tokens.next() != Some("|") {
            return Argument::of(choices, "oneof");
        }
    }
}

fn is_token(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
}

fn value(name: &str) -> Argument {
    let kind = match name {
        "key" | "newkey" | "source" | "destination" => "key",
        "pattern" => "pattern",
        "unix-time-seconds" | "unix-time-milliseconds" => "unix-time",
        "client-id" | "count" | "cursor" | "decrement" | "destination-db" | "end" | "idle-seconds"
        | "increment" | "index" | "milliseconds" | "most" | "number" | "numreplicas" | "offset"
        | "protover" | "seconds" | "session" | "start" | "timeout" => "integer",
        _ => "string",
    };
    Argument { name: name.to_owned(), kind, ..Argument::default() }
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;

    #[test]
    fn every_row_is_of_a_command_and_every_command_that_takes_something_has_one() {
        let all =
            || table::all().flat_map(|facts| std::iter::once(facts).chain(table::subcommands(facts.name)));
        for (name, _) in ROWS {
            assert!(all().any(|facts| facts.name == *name), "{name}");
        }
        for facts in all().filter(|facts| table::subcommands(facts.name).next().is_none()) {
            let words = 1 + usize::from(facts.subcommand().is_some());
            let takes_something = (words + 1..words + 8).any(|count| facts.takes(count));
            let says_so = arguments(facts.name).is_some();
            // Redis says that they take anything, and that there is nothing to take.
            let is_odd = facts.name == "quit" || facts.name.ends_with("|help");
            assert!(says_so == takes_something || is_odd, "{}: {takes_something}", facts.name);
        }
    }

    #[test]
    fn groups_and_choices_are_read() {
        let shown = |name| format!("{:?}", arguments(name).expect("a row"));
        let token = |name: &str, kind: &str, token: &str| {
            Value::Map(vec![
                (Value::text("name"), Value::bulk(name.to_owned())),
                (Value::text("type"), Value::bulk(kind.to_owned())),
                (Value::text("token"), Value::bulk(token.to_owned())),
            ])
        };
        let text = |name: &str, kind: &str| {
            Value::Map(vec![
                (Value::text("name"), Value::bulk(name.to_owned())),
                (Value::text("type"), Value::bulk(kind.to_owned())),
            ])
        };
        let Value::Array(parts) = arguments("client|pause").expect("a row") else {
            panic!("{}", shown("client|pause"))
        };
        assert_eq!(parts[0], text("timeout", "integer"));
        let choices = vec![token("write", "pure-token", "WRITE"), token("all", "pure-token", "ALL")];
        assert_eq!(
            parts[1],
            Value::Map(vec![
                (Value::text("name"), Value::bulk("write-all")),
                (Value::text("type"), Value::text("oneof")),
                (Value::text("flags"), Value::Set(vec![Value::simple("optional")])),
                (Value::text("arguments"), Value::Array(choices)),
            ])
        );
    }
}
