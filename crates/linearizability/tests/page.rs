//! The page of a violation: what stands in it, and where.

use std::collections::BTreeSet;

use bowline_linearizability::course::{Answer, Course, Operation};
use bowline_linearizability::page::{Heading, page};
use bowline_linearizability::{History, Verdict, Violation, check};

type CourseHistory = History<Operation, Answer>;

/// Three clients append and read in turns, so many times; then one reads what was there long before.
fn history(rounds: u64) -> CourseHistory {
    let mut history = History::new();
    let mut text = String::new();
    for round in 0..rounds {
        let at = round * 1000;
        let append = history.invoked(round % 3, Operation::append("k", format!("<{round}>")), at);
        let lost = history.invoked(7, Operation::put("k", "lost & gone"), at + 50);
        history.not_executed(lost);
        text.push_str(&format!("<{round}>"));
        let get = history.invoked((round + 1) % 3, Operation::get("k"), at + 100);
        history.returned(append, Answer::Done, at + 200);
        history.returned(get, Answer::value(text.clone()), at + 300);
    }
    history.invoked(8, Operation::append("k", "pending"), rounds * 1000 - 500);
    let stale = history.invoked(9, Operation::get("k"), rounds * 1000);
    history.returned(stale, Answer::value("<0>"), rounds * 1000 + 500);
    history
}

fn drawn(history: &CourseHistory) -> (String, Violation) {
    let Verdict::NotLinearizable(violations) = check::<Course>(history, &mut || true) else {
        panic!("the last read is stale");
    };
    let heading = Heading { title: "a <b> & c".into(), reproduce: "run \"it\"".into() };
    (page::<Course>(history, &violations[0], &heading), violations[0].clone())
}

/// The numbers that follow `mark` in the page.
fn numbers(page: &str, mark: &str) -> Vec<u64> {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
    page.split(mark).skip(1).map(|rest| digits(rest).parse().expect("a number")).collect()
}

#[test]
fn every_call_of_a_small_history_is_drawn_once() {
    let history = history(4);
    let (page, violation) = drawn(&history);
    let drawn = numbers(&page, "<g id=\"c");
    let expected: BTreeSet<u64> = violation.calls.iter().map(|id| id.0 as u64).collect();
    assert_eq!(drawn.len(), expected.len());
    assert_eq!(drawn.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn the_call_that_fits_nowhere_is_red_and_explained() {
    let history = history(4);
    let (page, violation) = drawn(&history);
    let red = format!("<g id=\"c{}\" class=\"call unplaced\">", violation.unplaced.0);
    assert_eq!(page.matches("class=\"call unplaced\"").count(), 1);
    assert!(page.contains(&red));
    assert!(
        page.contains(
            "<b>&quot;&lt;0&gt;&quot;</b> the last time behind 2, but that was over before it began"
        )
    );
    assert!(page.contains("<code>&quot;&lt;0&gt;&lt;1&gt;&lt;2&gt;&lt;3&gt;&quot;</code> behind 8"));
}

#[test]
fn of_a_long_history_the_end_is_drawn() {
    let (page, violation) = drawn(&history(300));
    assert_eq!(violation.order.len(), 600);
    let drawn = numbers(&page, "<g id=\"c");
    assert!((20..50).contains(&drawn.len()), "{}", drawn.len());
    assert!(drawn.iter().all(|call| *call > 800), "{drawn:?}");
    assert!(page.contains("The first 572 calls of the order are not shown."));
    assert!(page.len() < 60_000, "{}", page.len());
}

#[test]
fn time_never_goes_up_the_page() {
    let (page, _) = drawn(&history(300));
    let heights = numbers(&page, "<path class=\"tick\" d=\"M92 ");
    assert!(heights.len() > 40);
    assert!(heights.is_sorted_by(|a, b| a < b), "{heights:?}");
}

#[test]
fn no_box_covers_another() {
    let (page, _) = drawn(&history(300));
    let mut boxes = Vec::new();
    for call in page.split("<g id=\"c").skip(1) {
        let [x, y, _, height] =
            ["<rect x=\"", " y=\"", " width=\"", " height=\""].map(|mark| numbers(call, mark)[0]);
        boxes.push((x, y, y + height));
    }
    boxes.sort_unstable();
    assert!(boxes.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[0].2 < pair[1].1), "{boxes:?}");
    assert!(boxes.iter().all(|(_, top, bottom)| top + 30 < *bottom), "two lines fit into each: {boxes:?}");
}

#[test]
fn nothing_in_the_history_becomes_a_tag_and_nothing_is_loaded() {
    let (page, _) = drawn(&history(4));
    assert!(page.contains("<h1>a &lt;b&gt; &amp; c</h1>"));
    assert!(page.contains("<code>run &quot;it&quot;</code>"));
    assert!(!page.contains("<0>") && !page.contains("<1>"));
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !outside.contains("http")
            && !outside.contains("src=")
            && !outside.contains("@import")
            && !outside.contains("url(")
    );
}

#[test]
fn the_same_history_gives_the_same_page() {
    assert_eq!(drawn(&history(20)).0, drawn(&history(20)).0);
}
