use super::*;

const LIMITS: Limits =
    Limits { time: Duration::from_secs(60), enough: (u64::MAX, 0), patience: Duration::from_secs(50) };

fn run(kind: &'static str, label: u64, body: impl FnOnce() -> Vec<Finding> + Send + 'static) -> Run {
    Run { kind, label: label.to_string(), body: Box::new(body) }
}

fn finding(name: &str, what: &str) -> Finding {
    Finding { name: name.into(), what: what.into() }
}

#[test]
fn counts_what_was_found_among_the_runs_of_its_kind_or_among_all() {
    let runs = (0..12u64).map(|number| match number % 3 {
        0 => run("even", number, move || vec![finding("even", &format!("saw {number}"))]),
        1 => run("odd", number, Vec::new),
        _ => run("odd", number, move || vec![finding("property", "a\nb|c"), finding("odd", "")]),
    });
    let bag = hunt(runs, LIMITS);
    assert_eq!(bag.runs, 12);
    let lines: Vec<String> = bag.catches.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "CAUGHT even | 4 of 4 | 0 | saw 0",
            "CAUGHT odd | 4 of 8 | 2 | ",
            "CAUGHT property | 4 of 12 | 2 | a b c"
        ]
    );
}

#[test]
fn a_panic_is_found_and_the_hunt_goes_on() {
    let runs = (0..20u64).map(|number| {
        run("kind", number, move || {
            assert!(number != 7, "seven");
            Vec::new()
        })
    });
    let bag = hunt(runs, LIMITS);
    assert_eq!(bag.runs, 20);
    assert_eq!(bag.catches.len(), 1);
    assert_eq!(bag.catches[0].to_string(), "CAUGHT assertion | 1 of 20 | 7 | seven");
}

#[test]
fn a_run_that_never_ends_is_found_and_left_behind() {
    let runs = [run("kind", 0, || {
        loop {
            thread::sleep(Duration::from_secs(1));
        }
    })];
    let limits = Limits { time: Duration::from_millis(200), patience: Duration::from_millis(20), ..LIMITS };
    let bag = hunt(runs.into_iter(), limits);
    assert_eq!(bag.catches.len(), 1);
    assert_eq!(bag.catches[0].to_string(), "CAUGHT a run ends | 1 of 1 | 0 | kind has not ended after 20ms");
}

#[test]
fn enough_is_enough() {
    let runs = (0..).map(|number| run("kind", number, || vec![finding("a", ""), finding("b", "")]));
    assert_eq!(hunt(runs.clone(), Limits { enough: (20, 50), ..LIMITS }).runs, 50);
    assert_eq!(hunt(runs, Limits { enough: (200, 50), ..LIMITS }).runs, 100);
}
