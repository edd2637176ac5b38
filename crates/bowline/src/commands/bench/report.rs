//! What came of a run under load, for people and for scripts.

use std::fmt::Write;

use hdrhistogram::Histogram;

use super::figures::{count, count_f64, ms, per_second, percent, time};
use super::load::Outcome;
use super::plan::{Plan, Span};
use super::record::Record;
use crate::args::BenchArgs;
use crate::json::quoted;
use crate::{password, table};

/// The latencies that are told, by name and share.
pub(super) const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// The longest bar.
const BAR_WIDTH: f64 = 40.0;

/// A generator that took so much of its threads' time may have been what was measured.
const BUSY: f64 = 0.9;

const WRITTEN: &str = "a string takes all that is written";

/// The value below which that share lies, in nanoseconds. Never above the maximum, which a bucket's upper end is.
pub(super) fn quantile(histogram: &Histogram<u64>, share: f64) -> u64 {
    histogram.value_at_quantile(share).min(histogram.max())
}

/// For people.
pub(super) fn text(args: &BenchArgs, plan: &Plan, outcome: &Outcome) -> String {
    let mut text = heading(args, plan, outcome);
    text.push_str(&latencies(outcome));
    text.push_str(&distribution(&outcome.record.all()));
    text.push_str(&errors(&outcome.record));
    text.push_str(&notes(args, outcome));
    text
}

fn heading(args: &BenchArgs, plan: &Plan, outcome: &Outcome) -> String {
    let nodes = match plan.nodes.as_slice() {
        [node] => node.name.clone(),
        nodes => format!("{} nodes", nodes.len()),
    };
    let pace = match &plan.schedule {
        None => "closed loop".to_owned(),
        Some(schedule) => format!("open loop of {}/s", count(schedule.rate())),
    };
    let measured = match (plan.span, outcome.interrupted) {
        (_, true) => "ended early: measured".to_owned(),
        (Span::For(_), false) => "measured".to_owned(),
        (Span::Requests(requests), false) => format!("measured {} requests in", count(requests)),
    };
    format!(
        "{} {} on {nodes}, {pace}, pipeline {}\n{} % GET, values of {} bytes, {} keys, {}\n{measured} {}, \
         after {} of warm-up\n\n",
        count(u64::from(args.clients)),
        if args.clients == 1 { "client" } else { "clients" },
        args.pipeline,
        args.reads,
        count(args.size as u64),
        count(args.keys),
        args.distribution.name(),
        time(outcome.elapsed),
        time(args.warm_up),
    )
}

/// A line for each kind of request, and one for both.
fn latencies(outcome: &Outcome) -> String {
    let record = &outcome.record;
    let all = record.all();
    let kinds = [("GET", &record.reads), ("SET", &record.writes), ("all", &all)];
    let is_mixed = !record.reads.is_empty() && !record.writes.is_empty();
    let shown = kinds.into_iter().filter(|(name, histogram)| match *name {
        "all" => is_mixed,
        _ => !histogram.is_empty(),
    });
    let row = |(name, histogram): (&str, &Histogram<u64>)| {
        let [p50, p90, p99, p999] = QUANTILES.map(|(_, share)| ms(quantile(histogram, share)));
        let rate = count_f64(per_second(histogram.len(), outcome.elapsed));
        [
            name.to_owned(),
            count(histogram.len()),
            rate,
            ms(mean(histogram)),
            p50,
            p90,
            p99,
            p999,
            ms(histogram.max()),
        ]
    };
    let rows: Vec<_> = shown.map(row).collect();
    if rows.is_empty() {
        return "no request was answered\n".to_owned();
    }
    let [p50, p90, p99, p999] = QUANTILES.map(|(name, _)| name);
    let titles = ["ms", "requests", "per second", "mean", p50, p90, p99, p999, "max"];
    table::render_figures(titles, &rows)
}

#[expect(clippy::cast_possible_truncation, reason = "a mean is no longer than the longest")]
pub(super) fn mean(histogram: &Histogram<u64>) -> u64 {
    histogram.mean().round() as u64
}

/// How many requests took how long: a line for each step of 1, 2, 5, 10 and so on, from the quickest to the slowest.
fn distribution(histogram: &Histogram<u64>) -> String {
    if histogram.is_empty() {
        return String::new();
    }
    let mut steps: Vec<(u64, u64)> = Vec::new();
    for value in histogram.iter_recorded() {
        let step = step_above(value.value_iterated_to());
        match steps.last_mut() {
            Some((last, requests)) if *last == step => *requests += value.count_since_last_iteration(),
            _ => steps.push((step, value.count_since_last_iteration())),
        }
    }
    let most = steps.iter().map(|(_, requests)| *requests).max().unwrap_or(1);
    let mut below = 0;
    let mut rows = Vec::new();
    for (step, requests) in steps {
        below += requests;
        let share = percent(requests, histogram.len());
        let bar = "#".repeat(bar_length(requests, most));
        rows.push([
            String::new(),
            ms(step),
            count(requests),
            format!("{share:.2} %"),
            format!("{:.2} %", percent(below, histogram.len())),
            format!("{bar:<40}"),
        ]);
    }
    format!("\n{}", table::render_figures(["", "up to, ms", "requests", "share", "in all", ""], &rows))
}

#[expect(clippy::cast_possible_truncation, reason = "no longer than the longest bar")]
fn bar_length(requests: u64, most: u64) -> usize {
    (BAR_WIDTH * requests as f64 / most as f64).ceil() as usize
}

/// The first of 1, 2, 5, 10, 20, 50 and so on microseconds, in nanoseconds, that is not below the value.
fn step_above(nanos: u64) -> u64 {
    let mut unit = 1000_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = unit.saturating_mul(factor);
            if step >= nanos {
                return step;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

fn errors(record: &Record) -> String {
    if record.errors.is_empty() {
        return "\nno errors\n".to_owned();
    }
    let share = percent(record.failures(), record.requests());
    let mut text = format!(
        "\n{} of {} requests failed, {share:.2} %:\n",
        count(record.failures()),
        count(record.requests())
    );
    let width = record.errors.values().map(|times| count(*times).len()).max().unwrap_or(0);
    for (kind, times) in &record.errors {
        writeln!(text, "  {:>width$}  {kind}", count(*times)).expect(WRITTEN);
    }
    if record.errors.contains_key("NOAUTH") {
        writeln!(text, "{}", password::HOW_TO_GIVE).expect(WRITTEN);
    }
    text
}

/// What one must know to read the figures right.
fn notes(args: &BenchArgs, outcome: &Outcome) -> String {
    let record = &outcome.record;
    let mut text = String::new();
    if outcome.unfinished > 0 {
        let answered = count_f64(per_second(record.answered(), outcome.elapsed));
        writeln!(
            text,
            "{} requests more were due and not {}: {answered}/s were answered of {}/s that were wanted",
            count(outcome.unfinished),
            if outcome.interrupted { "answered yet" } else { "even sent within a second of the end" },
            count(args.rate.unwrap_or(0)),
        )
        .expect(WRITTEN);
    }
    if record.misses > 0 {
        writeln!(
            text,
            "{} of {} GETs found no key; `bowline bench --reads 0` writes keys",
            count(record.misses),
            count(record.reads.len())
        )
        .expect(WRITTEN);
    }
    let cores = outcome.own_cpu.as_secs_f64() / outcome.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    if record.requests() > 0 && !outcome.elapsed.is_zero() {
        let each_us = outcome.own_cpu.as_secs_f64() * 1e6 / record.requests() as f64;
        writeln!(text, "this program took {cores:.2} cores, {each_us:.1} us a request").expect(WRITTEN);
    }
    if outcome.elapsed.as_millis() > 0 && cores > BUSY * outcome.threads as f64 {
        text.push_str("that is nearly all it could: the cluster may be faster than these figures\n");
    }
    text
}

/// For scripts: one object in one line.
pub(super) fn json(args: &BenchArgs, plan: &Plan, outcome: &Outcome) -> String {
    let record = &outcome.record;
    let nodes: Vec<_> = plan.nodes.iter().map(|node| quoted(&node.name)).collect();
    let errors: Vec<_> =
        record.errors.iter().map(|(kind, times)| format!("{}: {times}", quoted(kind))).collect();
    let (loop_kind, rate) = match &plan.schedule {
        None => ("closed", "null".to_owned()),
        Some(schedule) => ("open", schedule.rate().to_string()),
    };
    format!(
        "{{\"nodes\": [{}], \"loop\": \"{loop_kind}\", \"rate\": {rate}, \"clients\": {}, \"pipeline\": {}, \
         \"reads_percent\": {}, \"value_bytes\": {}, \"keys\": {}, \"distribution\": \"{}\", \"warm_up_s\": {:.3}, \
         \"interrupted\": {}, \"elapsed_s\": {:.6}, \"requests\": {}, \"answered\": {}, \"failed\": {}, \
         \"unfinished\": {}, \"answered_per_s\": {:.3}, \"own_cpu_s\": {:.6}, \"misses\": {}, \"get\": {}, \
         \"set\": {}, \"all\": {}, \"errors\": {{{}}}}}",
        nodes.join(", "),
        args.clients,
        args.pipeline,
        args.reads,
        args.size,
        args.keys,
        args.distribution.name(),
        args.warm_up.as_secs_f64(),
        outcome.interrupted,
        outcome.elapsed.as_secs_f64(),
        record.requests(),
        record.answered(),
        record.failures(),
        outcome.unfinished,
        per_second(record.answered(), outcome.elapsed),
        outcome.own_cpu.as_secs_f64(),
        record.misses,
        latency_json(&record.reads),
        latency_json(&record.writes),
        latency_json(&record.all()),
        errors.join(", ")
    )
}

/// A number of requests and their latencies in microseconds; null without any.
pub(super) fn latency_json(histogram: &Histogram<u64>) -> String {
    let us = |nanos: u64| format!("{:.1}", nanos as f64 / 1000.0);
    let is_empty = histogram.is_empty();
    let or_null = |text: String| if is_empty { "null".to_owned() } else { text };
    let mut text = format!("{{\"count\": {}, \"mean_us\": {}", histogram.len(), or_null(us(mean(histogram))));
    for (name, share) in QUANTILES {
        // `p999`: a point in a name is in the way of most programs that read JSON.
        let name = name.replace('.', "");
        write!(text, ", \"{name}_us\": {}", or_null(us(quantile(histogram, share)))).expect(WRITTEN);
    }
    write!(text, ", \"max_us\": {}}}", or_null(us(histogram.max()))).expect(WRITTEN);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::bench::record::histogram;

    #[test]
    fn the_distribution_holds_every_request_once() {
        let mut all = histogram();
        all.record_n(900, 1).expect("in range");
        all.record_n(60_000, 98).expect("in range");
        all.record_n(7_000_000, 1).expect("in range");
        let bar = |length: usize| "#".repeat(length);
        let expected = [
            "\n  up to, ms  requests    share    in all".to_owned(),
            format!("      0.001         1   1.00 %    1.00 %  {}", bar(1)),
            format!("      0.100        98  98.00 %   99.00 %  {}", bar(40)),
            format!("     10.000         1   1.00 %  100.00 %  {}", bar(1)),
        ];
        assert_eq!(distribution(&all), format!("{}\n", expected.join("\n")));
        assert_eq!(distribution(&histogram()), "");
    }

    #[test]
    fn the_steps_go_up_to_any_value() {
        let steps = [0, 1000, 1001, 2000, 2001, 5001, 60_000].map(step_above);
        assert_eq!(steps, [1000, 1000, 2000, 2000, 5000, 10_000, 100_000]);
        assert_eq!(step_above(u64::MAX), u64::MAX);
    }

    #[test]
    fn no_quantile_is_above_the_maximum() {
        let mut latencies = histogram();
        latencies.record(123_457).expect("in range");
        assert_eq!(quantile(&latencies, 0.999), latencies.max());
        assert_eq!(
            latency_json(&histogram()),
            "{\"count\": 0, \"mean_us\": null, \"p50_us\": null, \"p90_us\": null, \"p99_us\": null, \
             \"p999_us\": null, \"max_us\": null}"
        );
    }
}
