//! A reader of JSON (RFC 8259) for what the binary prints, strict where that could go wrong.

use std::collections::HashMap;

/// A value.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Json>),
    Object(HashMap<String, Json>),
}

impl Json {
    /// The one value that the text is. Fails the test if it is none, or more.
    pub(crate) fn parse(text: &str) -> Self {
        let mut rest = text;
        let value = value(&mut rest);
        assert_eq!(rest.trim(), "", "behind the value in {text}");
        value
    }

    /// A member of an object. Fails the test if there is none of that name.
    pub(crate) fn at(&self, name: &str) -> &Self {
        let Self::Object(members) = self else { panic!("no object: {self:?}") };
        members.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        match self.at(name) {
            Self::Number(number) => *number,
            other => panic!("{name} is no number: {other:?}"),
        }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        match self.at(name) {
            Self::Text(text) => text,
            other => panic!("{name} is no text: {other:?}"),
        }
    }

    pub(crate) fn list(&self, name: &str) -> &[Self] {
        match self.at(name) {
            Self::List(list) => list,
            other => panic!("{name} is no list: {other:?}"),
        }
    }

    /// The members of an object that are all numbers.
    pub(crate) fn numbers(&self, name: &str) -> HashMap<String, f64> {
        let object = self.at(name);
        let Self::Object(members) = object else { panic!("{name} is no object: {object:?}") };
        members.keys().map(|name| (name.clone(), object.number(name))).collect()
    }
}

fn eat(rest: &mut &str, token: &str) -> bool {
    let found = rest.trim_start().strip_prefix(token);
    *rest = found.unwrap_or(rest);
    found.is_some()
}

fn expect(rest: &mut &str, token: &str) {
    assert!(eat(rest, token), "`{token}` missing before {rest}");
}

fn value(rest: &mut &str) -> Json {
    for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
        if eat(rest, word) {
            return value;
        }
    }
    match rest.trim_start().chars().next().expect("a value") {
        '{' => Json::Object(members(rest)),
        '[' => Json::List(list(rest)),
        '"' => Json::Text(string(rest)),
        _ => number(rest),
    }
}

fn members(rest: &mut &str) -> HashMap<String, Json> {
    let mut members = HashMap::new();
    expect(rest, "{");
    while !eat(rest, "}") {
        if !members.is_empty() {
            expect(rest, ",");
        }
        let name = string(rest);
        expect(rest, ":");
        let value = value(rest);
        assert!(members.insert(name.clone(), value).is_none(), "{name} comes twice");
    }
    members
}

fn list(rest: &mut &str) -> Vec<Json> {
    let mut list = Vec::new();
    expect(rest, "[");
    while !eat(rest, "]") {
        if !list.is_empty() {
            expect(rest, ",");
        }
        list.push(value(rest));
    }
    list
}

fn string(rest: &mut &str) -> String {
    expect(rest, "\"");
    let mut text = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next().expect("the end of a string") {
            '"' => break,
            '\\' => match chars.next().expect("what is escaped") {
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&digits, 16).expect("four digits");
                    text.push(char::from_u32(code).expect("a character"));
                }
                c @ ('"' | '\\' | '/') => text.push(c),
                other => panic!("an escape that is not written here: {other}"),
            },
            c => {
                assert!(c >= ' ', "a control character as it is");
                text.push(c);
            }
        }
    }
    *rest = chars.as_str();
    text
}

fn number(rest: &mut &str) -> Json {
    let text = rest.trim_start();
    let end =
        text.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(text.len());
    let (digits, behind) = text.split_at(end);
    let begins_right = digits.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
    assert!(begins_right && !digits.ends_with('.'), "no number: {digits} in {text}");
    *rest = behind;
    Json::Number(digits.parse().unwrap_or_else(|_| panic!("no number: {digits}")))
}
