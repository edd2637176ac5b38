//! CONFIG: the settings that tools ask for, under Redis's names for them, with what is true here.

use bowline_kv::command::MAX_PATTERN_BYTES;
use bowline_kv::glob::{Case, Glob};
use bowline_kv::integer;

use super::settings::{MAX_SLOW_LOG_LEN, Password, Settings};
use super::{NodeInfo, quoted, syntax_error, too_long};
use crate::resp::{MAX_BULK_BYTES, Value};

/// What can be set, with the names for which there is something to change.
const CHANGEABLE: [(&str, Change); 4] = [
    ("maxclients", set_max_clients),
    ("requirepass", set_password),
    ("slowlog-log-slower-than", set_slower_than),
    ("slowlog-max-len", set_slow_log_len),
];

/// Checks a new text of a setting; hands back what puts it into force.
type Change = fn(&Settings, &[u8]) -> Result<Apply, String>;

type Apply = Box<dyn FnOnce(&Settings)>;

/// Every setting that there is, in the order of their names.
fn settings(node: &NodeInfo) -> [(&'static str, Vec<u8>); 20] {
    let text = |text: &str| text.as_bytes().to_vec();
    [
        // Every acknowledged write is synced, by a majority.
        ("appendfsync", text("always")),
        ("appendonly", text("yes")),
        ("bind", text(&node.listen.ip().to_string())),
        ("cluster-enabled", text("no")),
        ("databases", text("1")),
        ("dir", text(&node.data_dir)),
        ("latency-monitor-threshold", text("0")),
        ("latency-tracking", text("yes")),
        ("latency-tracking-info-percentiles", text("50 99 99.9")),
        ("maxclients", text(&node.settings.max_clients().to_string())),
        ("maxmemory", text("0")),
        ("maxmemory-policy", text("noeviction")),
        ("port", text(&node.listen.port().to_string())),
        ("proto-max-bulk-len", text(&MAX_BULK_BYTES.to_string())),
        ("requirepass", node.settings.password_text()),
        // The snapshots of the log are no RDB files and follow no such schedule.
        ("save", text("")),
        ("slowlog-log-slower-than", text(&node.settings.slower_than_us().to_string())),
        ("slowlog-max-len", text(&node.settings.slow_log_len().to_string())),
        ("tcp-keepalive", text("300")),
        ("timeout", text("0")),
    ]
}

/// `CONFIG GET pattern ...`: every setting that one of the patterns fits, once. All patterns together may be as long
/// as one of KEYS.
pub(super) fn get(patterns: &[&[u8]], node: &NodeInfo) -> Value {
    if patterns.iter().map(|pattern| pattern.len()).sum::<usize>() > MAX_PATTERN_BYTES {
        return too_long("pattern", MAX_PATTERN_BYTES);
    }
    let is_wanted = |name: &str| {
        patterns.iter().any(|pattern| Glob::new(pattern, Case::Insensitive).matches(name.as_bytes()))
    };
    let wanted = settings(node).into_iter().filter(|(name, _)| is_wanted(name));
    Value::Map(wanted.map(|(name, setting)| (Value::text(name), Value::bulk(setting))).collect())
}

/// `CONFIG SET name text ...`: all of it takes effect, or nothing. Settings that cannot be changed may be set to what
/// they are.
pub(super) fn set(args: &[&[u8]], node: &NodeInfo) -> Value {
    if !args.len().is_multiple_of(2) {
        return syntax_error();
    }
    let all = settings(node);
    let (mut seen, mut changes) = (Vec::new(), Vec::new());
    for pair in args.chunks(2) {
        let name = pair[0].to_ascii_lowercase();
        let failed = |why: &str| {
            Value::error(format!(
                "ERR CONFIG SET failed (possibly related to argument '{}') - {why}",
                quoted(&name)
            ))
        };
        if seen.contains(&name) {
            return failed("duplicate parameter");
        }
        let change = CHANGEABLE.iter().find(|(changeable, _)| changeable.as_bytes() == name);
        let present = all.iter().find(|(known, _)| known.as_bytes() == name);
        match (change, present) {
            (Some((_, change)), _) => match change(&node.settings, pair[1]) {
                Ok(apply) => changes.push(apply),
                Err(why) => return failed(&why),
            },
            // A directory's name is what it is; all others are words and numbers.
            (None, Some(("dir", text))) if text == pair[1] => {}
            (None, Some((known, text))) if *known != "dir" && text.eq_ignore_ascii_case(pair[1]) => {}
            (None, Some(_)) => return failed("can't set immutable config"),
            (None, None) => {
                return Value::error(format!(
                    "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                    quoted(pair[0])
                ));
            }
        }
        seen.push(name);
    }
    changes.into_iter().for_each(|apply| apply(&node.settings));
    Value::ok()
}

fn integer_between(text: &[u8], least: i64, most: i64) -> Result<i64, String> {
    let number = integer::parse(text).ok_or("argument couldn't be parsed into an integer")?;
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(format!("argument must be between {least} and {most} inclusive"))
    }
}

fn set_max_clients(settings: &Settings, text: &[u8]) -> Result<Apply, String> {
    let wanted = integer_between(text, 1, u32::MAX.into())?.unsigned_abs();
    let most = settings.most_clients();
    if wanted > most {
        return Err(format!(
            "The operating system is not able to handle the specified number of clients, try with {most}"
        ));
    }
    Ok(Box::new(move |settings| settings.set_max_clients(wanted)))
}

fn set_slower_than(_: &Settings, text: &[u8]) -> Result<Apply, String> {
    let us = integer_between(text, -1, i64::MAX)?;
    Ok(Box::new(move |settings| settings.set_slower_than_us(us)))
}

/// What the log holds too much of goes with the next command that is slow.
fn set_slow_log_len(_: &Settings, text: &[u8]) -> Result<Apply, String> {
    let len = usize::try_from(integer_between(text, 0, MAX_SLOW_LOG_LEN)?).expect("it is not negative");
    Ok(Box::new(move |settings| settings.set_slow_log_len(len)))
}

/// An empty one takes the password away.
fn set_password(_: &Settings, text: &[u8]) -> Result<Apply, String> {
    let password = match text {
        [] => None,
        text => Some(Password::new(text).map_err(|error| error.to_string())?),
    };
    Ok(Box::new(move |settings| settings.set_password(password)))
}

/// `FUNCTION FLUSH [ASYNC|SYNC]`: there are no functions, so after it there are none.
pub(super) fn function_flush(args: &[&[u8]]) -> Value {
    match &args[2..] {
        [] => Value::ok(),
        [mode] if mode.eq_ignore_ascii_case(b"ASYNC") || mode.eq_ignore_ascii_case(b"SYNC") => Value::ok(),
        _ => Value::error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
    }
}
