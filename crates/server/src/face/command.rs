//! COMMAND: which commands there are.

use bowline_kv::glob::{Case, Glob};

use super::room::Room;
use super::table::{self, Facts};
use super::{data, syntax, syntax_error, too_long};
use crate::resp::Value;

/// The longest pattern of a command's name, in bytes: a few times as long as any name.
const MAX_NAME_PATTERN_BYTES: usize = 128;

/// `COMMAND`.
pub(super) fn all() -> Value {
    Value::Array(table::all().map(describe).collect())
}

/// `COMMAND COUNT`.
pub(super) fn count() -> Value {
    Value::Int(table::all().count().try_into().expect("the table is small"))
}

/// `COMMAND INFO [name ...]`: in the order of the names, nil for what is not known.
pub(super) fn info(names: &[&[u8]]) -> Value {
    if names.is_empty() {
        return all();
    }
    let described = names.iter().map(|name| table::describe(name).map_or(Value::Nil, describe));
    Room::new().collect(described, Value::memory_bytes).map_or_else(|error| error, Value::Array)
}

/// `COMMAND DOCS [name ...]`: what is not known is left out.
pub(super) fn docs(names: &[&[u8]]) -> Value {
    let document = |facts: Facts| (Value::text(facts.name), document(facts));
    if names.is_empty() {
        return Value::Map(table::all().map(document).collect());
    }
    let documents = names.iter().filter_map(|name| table::describe(name)).map(document);
    let bytes_of = |(name, document): &(Value, Value)| name.memory_bytes() + document.memory_bytes();
    Room::new().collect(documents, bytes_of).map_or_else(|error| error, Value::Map)
}

/// `COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]`.
pub(super) fn list(args: &[&[u8]]) -> Value {
    let is_wanted: Box<dyn Fn(&Facts) -> bool> = match args {
        [] => Box::new(|_| true),
        [filter, kind, wanted] if filter.eq_ignore_ascii_case(b"FILTERBY") => {
            match kind.to_ascii_uppercase().as_slice() {
                // There are no modules.
                b"MODULE" => Box::new(|_| false),
                b"ACLCAT" => Box::new(|facts| {
                    facts
                        .categories
                        .iter()
                        .any(|category| category.as_bytes()[1..].eq_ignore_ascii_case(wanted))
                }),
                b"PATTERN" if wanted.len() > MAX_NAME_PATTERN_BYTES => {
                    return too_long("pattern", MAX_NAME_PATTERN_BYTES);
                }
                b"PATTERN" => {
                    Box::new(|facts| Glob::new(wanted, Case::Insensitive).matches(facts.name.as_bytes()))
                }
                _ => return syntax_error(),
            }
        }
        _ => return syntax_error(),
    };
    let with_subcommands =
        table::all().flat_map(|facts| std::iter::once(facts).chain(table::subcommands(facts.name)));
    Value::Set(
        with_subcommands.filter(|facts| is_wanted(facts)).map(|facts| Value::text(facts.name)).collect(),
    )
}

/// `COMMAND GETKEYS name [argument ...]`.
pub(super) fn get_keys(command: &[&[u8]]) -> Value {
    let Some(facts) = table::describe_call(command) else {
        return Value::error("ERR Invalid command specified");
    };
    if !facts.takes(command.len()) {
        return Value::error("ERR Invalid number of arguments specified for command");
    }
    let [first, last, step] = facts.keys;
    let place =
        |position: i32| usize::try_from(position).unwrap_or(command.len() - position.unsigned_abs() as usize);
    if first == 0 {
        return Value::error("ERR The command has no key arguments");
    }
    let keys = command[place(first)..=place(last)].iter().step_by(place(step));
    Value::Array(keys.map(|key| Value::bulk(*key)).collect())
}

/// `CLIENT HELP` and its like.
pub(super) fn help(container: &'static str) -> Value {
    let mut lines = vec![Value::simple(container)];
    let name = container.to_ascii_lowercase();
    for facts in table::subcommands(&name) {
        let Some((_, subcommand)) = facts.subcommand() else { continue };
        let line = format!("{} - {}", subcommand.to_ascii_uppercase(), facts.summary);
        lines.push(Value::Simple(line.into()));
    }
    Value::Array(lines)
}

/// The ten elements by which Redis 7 describes a command.
fn describe(facts: Facts) -> Value {
    let [first, last, step] = facts.keys.map(|position| Value::Int(position.into()));
    Value::Array(vec![
        Value::text(facts.name),
        Value::Int(facts.arity.into()),
        statuses(facts.flags),
        first,
        last,
        step,
        statuses(facts.categories),
        // Tips are for proxies that would spread a command over the nodes of a sharded cluster.
        Value::Set(Vec::new()),
        Value::Set(key_specifications(&facts)),
        Value::Set(table::subcommands(facts.name).map(describe).collect()),
    ])
}

fn statuses(words: &[&'static str]) -> Value {
    Value::Set(words.iter().map(|word| Value::simple(word)).collect())
}

/// Where the keys are, said in the way that Redis 7 added.
fn key_specifications(facts: &Facts) -> Vec<Value> {
    let [first, last, step] = facts.keys;
    match data::second_key_flags(facts.name) {
        _ if first == 0 => Vec::new(),
        Some(flags) => {
            vec![key_specification(facts.key_flags, first, 0, 1), key_specification(flags, last, 0, 1)]
        }
        // The last is counted from the first key on; a negative one stays counted from the end.
        None => {
            let last = if last < 0 { last } else { last - first };
            vec![key_specification(facts.key_flags, first, last, step)]
        }
    }
}

fn key_specification(flags: &[&'static str], first: i32, last: i32, step: i32) -> Value {
    let number = |name, value: i32| (Value::text(name), Value::Int(value.into()));
    let search = |kind, places| {
        Value::Map(vec![(Value::text("type"), Value::text(kind)), (Value::text("spec"), Value::Map(places))])
    };
    Value::Map(vec![
        (Value::text("flags"), statuses(flags)),
        (Value::text("begin_search"), search("index", vec![number("index", first)])),
        (
            Value::text("find_keys"),
            search("range", vec![number("lastkey", last), number("keystep", step), number("limit", 0)]),
        ),
    ])
}

fn document(facts: Facts) -> Value {
    let field = |name, text| (Value::text(name), Value::text(text));
    let mut fields =
        vec![field("summary", facts.summary), field("since", facts.since), field("group", facts.group)];
    if let Some(arguments) = syntax::arguments(facts.name) {
        fields.push((Value::text("arguments"), arguments));
    }
    let subcommands: Vec<_> =
        table::subcommands(facts.name).map(|facts| (Value::text(facts.name), document(facts))).collect();
    if !subcommands.is_empty() {
        fields.push((Value::text("subcommands"), Value::Map(subcommands)));
    }
    Value::Map(fields)
}
