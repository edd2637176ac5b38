//! `lab`: what it prints, where, and with which exit code.

use std::process::Output;

use crate::support::{run, text};

fn lab(args: &[&str]) -> Output {
    run(&[&["lab"], args].concat())
}

fn lines(output: &Output) -> Vec<String> {
    text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_run_prints_what_the_seeds_print_and_their_figures_beside_it() {
    let output = lab(&["initial election", "--seed", "1"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = lines(&output);
    assert_eq!(lines[0], "seed 1");
    assert_eq!(lines[2], "Test (3A): initial election ...");
    assert!(lines[3].starts_with("  ... Passed --   3."), "{}", lines[3]);
    assert!(lines[3].ends_with("| seed 002: 3.5 3 58 16840 0 | seed 001: 4 3 32 9170 0"), "{}", lines[3]);
    assert_eq!(lines[4], "Test: initial election ...");
    assert!(lines[6].starts_with("2 of 2 passed, "), "{}", lines[6]);
    assert!(text(&output.stderr).ends_with("s of wall time\n"));
}

#[test]
fn one_seed_prints_the_same_bytes_whatever_the_machine_does_meanwhile() {
    let once = lab(&["raft-b", "--seed", "5", "--disk", "both"]);
    let again = lab(&["raft-b", "--seed", "5", "--disk", "both"]);
    assert_eq!(once.stdout, again.stdout);
    let other = lab(&["raft-b", "--seed", "6", "--disk", "both"]);
    assert_ne!(once.stdout, other.stdout);
}

#[test]
fn a_fresh_seed_is_printed_and_makes_the_same_run_again() {
    let fresh = lab(&["TestRejoin3B"]);
    let printed = lines(&fresh)[0].clone();
    let seed = printed.strip_prefix("seed ").expect("the seed stands first");
    assert_eq!(lab(&["TestRejoin3B", "--seed", seed]).stdout, fresh.stdout);
}

#[test]
fn many_runs_are_a_table_with_a_line_for_each_scenario_and_disk() {
    let output = lab(&["raft-a", "--seed", "1", "--runs", "3", "--disk", "both"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = lines(&output);
    assert!(lines[2].starts_with("scenario "), "{}", lines[2]);
    let runs: Vec<Vec<&str>> =
        lines[3..9].iter().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(runs[0], ["TestInitialElection3A", "fast", "3", "0"]);
    assert_eq!(runs[5], ["TestManyElections3A", "slow", "3", "0"]);
    assert_eq!(lines[9], "18 of 18 runs passed");
}

#[test]
fn a_filter_that_means_nothing_is_wrong_usage() {
    let output = lab(&["no such thing"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no such thing"));
    assert_eq!(lab(&["raft-a", "--runs", "0"]).status.code(), Some(2));
    assert_eq!(lab(&["raft-a", "--seed", "-1"]).status.code(), Some(2));
}

#[test]
fn a_trace_is_a_page_of_one_run() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let page = directory.path().join("page.html");
    let path = page.to_str().expect("a path");
    let output = lab(&["TestBasicAgree3B", "--seed", "1", "--trace", path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let html = std::fs::read_to_string(&page).expect("the page");
    assert!(html.starts_with("<!DOCTYPE html>") && html.contains("<svg") && html.contains("leader, term 1"));
    assert!(html.contains("bowline lab TestBasicAgree3B --seed 1"));

    let svg = directory.path().join("picture.svg");
    let output = lab(&[
        "TestBasicAgree3B",
        "--seed",
        "1",
        "--window",
        "0.2..2",
        "--trace",
        svg.to_str().expect("a path"),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let svg = std::fs::read_to_string(&svg).expect("the picture");
    assert!(svg.starts_with("<svg") && svg.contains("leader, term 1") && !svg.contains("starts, term 0"));
    assert_eq!(lab(&["TestBasicAgree3B", "--window", "0.2..2"]).status.code(), Some(2));

    let many = lab(&["raft-b", "--seed", "1", "--trace", path]);
    assert_eq!(many.status.code(), Some(2));
    let without_servers = lab(&["network", "--seed", "1", "--trace", path]);
    assert_ne!(without_servers.status.code(), Some(0));
    let nowhere = directory.path().join("missing").join("page.html");
    let nowhere = lab(&["TestBasicAgree3B", "--seed", "1", "--trace", nowhere.to_str().expect("a path")]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("cannot write"), "{}", text(&nowhere.stderr));
}

#[test]
fn a_script_of_the_store_prints_four_numbers_and_those_of_its_seed() {
    let output = lab(&["TestOnePartition3A", "--seed", "1"]);
    assert_eq!(output.status.code(), Some(0));
    let lines = lines(&output);
    assert_eq!(lines[2], "Test: progress in majority (3A) ...");
    assert!(lines[3].ends_with("| seed 003: 1.7 5 103 2"), "{}", lines[3]);
    assert_eq!(lines[6], "Test: completion after heal (3A) ...");
    assert_eq!(lines[3].split_whitespace().nth(4), Some("5"), "{}", lines[3]);
    assert!(lines[8].starts_with("1 of 1 passed, "), "{}", lines[8]);
}
