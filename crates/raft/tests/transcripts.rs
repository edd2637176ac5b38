//! The rules of the core, each shown by a transcript in `tests/scripts/<topic>/<what_would_break>.txt`.
//!
//! A script's first lines say which rule it is about and what would go wrong without it; then come
//! commands (the language is described in `harness/mod.rs`) and, behind `---`, exactly what the
//! nodes want done. A change of the protocol shows up as a difference that can be read. With
//! UPDATE_GOLDENFILES=1 the scripts are written anew: read the difference before you keep it.

mod harness;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use harness::Cluster;

fn scripts_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// All scripts, as `topic/name`.
fn scripts() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for topic in fs::read_dir(scripts_dir()).expect("the scripts' directory") {
        let topic = topic.expect("a topic").path();
        for script in fs::read_dir(&topic).expect("a topic is a directory") {
            let script = script.expect("a script").path();
            assert!(script.extension().is_some_and(|e| e == "txt"), "not a script: {}", script.display());
            let name = script.strip_prefix(scripts_dir()).expect("a path below the scripts");
            found.insert(name.with_extension("").to_str().expect("a readable name").replace('\\', "/"));
        }
    }
    assert!(!found.is_empty(), "there are no scripts");
    found
}

/// Runs one script; says what is wrong with it.
fn run(name: &str) -> Result<(), String> {
    let path = scripts_dir().join(name).with_extension("txt");
    let expected = fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let generate = || goldenscript::generate(&mut Cluster::default(), &expected);
    let output = match catch_unwind(AssertUnwindSafe(generate)) {
        Ok(output) => output.map_err(|error| error.to_string())?,
        Err(_) => return Err("a panic, see above".to_owned()),
    };
    if output == expected {
        return Ok(());
    }
    if std::env::var_os("UPDATE_GOLDENFILES").is_some_and(|v| v == "1") {
        return fs::write(&path, output).map_err(|error| error.to_string());
    }
    let differs = |(was, is): &(&str, &str)| was != is;
    let (line, (was, is)) = (1..)
        .zip(expected.lines().chain([""]).zip(output.lines().chain([""])))
        .find(|(_, pair)| differs(pair))
        .unwrap_or((0, ("", "")));
    Err(format!("line {line}\n    expected  {was}\n    found     {is}"))
}

#[test]
fn every_script_is_followed_to_the_letter() {
    let failures: Vec<_> = scripts()
        .into_iter()
        .filter_map(|name| run(&name).err().map(|why| format!("{name}: {why}")))
        .collect();
    assert!(failures.is_empty(), "{} scripts differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_script_says_its_rule_first() {
    for name in scripts() {
        let path = scripts_dir().join(&name).with_extension("txt");
        let text = fs::read_to_string(path).expect("a script");
        assert!(text.starts_with("# Rule: "), "{name} does not begin with its rule");
        assert!(text.contains("\n# Without it: "), "{name} does not say what would break");
    }
}

#[test]
fn the_table_of_rules_lists_every_script_and_no_other() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    let table = fs::read_to_string(table).expect("docs/rules.md");
    // A script is named as `topic/name` in backquotes, in the second column.
    let rows = table.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let listed: BTreeSet<String> = rows
        .filter_map(|row| row.split('|').nth(2))
        .flat_map(|column| column.split('`').skip(1).step_by(2).map(str::to_owned))
        .collect();
    let existing = scripts();
    let missing: Vec<_> = existing.difference(&listed).collect();
    let dangling: Vec<_> = listed.difference(&existing).collect();
    assert!(missing.is_empty(), "not in docs/rules.md: {missing:?}");
    assert!(dangling.is_empty(), "in docs/rules.md, but not there: {dangling:?}");
}
