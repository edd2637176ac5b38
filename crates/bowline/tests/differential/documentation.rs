//! What `COMMAND DOCS` says of arguments, as redis-cli makes hints of it.

use crate::wire::Reply;

/// The arguments of the one command that is documented, as they would be written by hand.
pub(crate) fn hint(documented: &Reply) -> String {
    let [_, document] = &documented.items[..] else { panic!("one command: {documented:?}") };
    field(document, "arguments").map_or_else(String::new, |arguments| joined(arguments, " "))
}

fn joined(arguments: &Reply, between: &str) -> String {
    arguments.items.iter().map(argument).collect::<Vec<_>>().join(between)
}

fn argument(described: &Reply) -> String {
    let text = |name| field(described, name).map(|reply| String::from_utf8_lossy(&reply.bytes).into_owned());
    let has = |flag: &str| {
        field(described, "flags")
            .is_some_and(|flags| flags.items.iter().any(|item| item.is(&format!("+{flag}"))))
    };
    let kind = text("type").expect("a type");
    let (between, parts) = (if kind == "oneof" { "|" } else { " " }, field(described, "arguments"));
    let mut shown = match parts {
        Some(parts) => joined(parts, between),
        None if kind == "pure-token" => String::new(),
        None => text("name").expect("a name"),
    };
    if has("multiple") {
        shown = format!("{shown} [{shown} ...]");
    }
    if let Some(token) = text("token") {
        shown = format!("{token} {shown}").trim_end().to_owned();
    }
    if has("optional") { format!("[{shown}]") } else { shown }
}

/// A field of a map, which RESP2 writes as an array.
fn field<'a>(map: &'a Reply, name: &str) -> Option<&'a Reply> {
    map.items.chunks(2).find(|pair| pair[0].bytes == name.as_bytes()).map(|pair| &pair[1])
}
