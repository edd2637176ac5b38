//! How often what happens to a call, and how long it takes: distributions, over many calls at one moment.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_sim::executor::Sim;

use super::{Outcome, Setup, ms, run, us};

const MANY: usize = 20_000;

/// That a share is what it should be, within four standard deviations of that many draws.
fn assert_share(count: usize, of: usize, share: f64, what: &str) {
    let [count, of] = [count, of].map(|number| f64::from(u32::try_from(number).expect("few")));
    let deviation = (share * (1.0 - share) / of).sqrt();
    assert!((count / of - share).abs() < 4.0 * deviation, "{what}: {count} of {of}, and not {share} of them");
}

/// How often each number of whole milliseconds comes; every time must be one.
fn by_ms(times: impl Iterator<Item = Duration>) -> BTreeMap<u128, usize> {
    let mut count = BTreeMap::new();
    for time in times {
        assert_eq!(time.subsec_nanos() % 1_000_000, 0, "{time:?} is no whole number of milliseconds");
        *count.entry(time.as_millis()).or_default() += 1;
    }
    count
}

/// Each number of milliseconds up to `limit` comes, and about as often as any other.
fn assert_even(count: &BTreeMap<u128, usize>, limit: u128) {
    assert!(count.keys().copied().eq(0..=limit), "every one of 0 to {limit} ms: {count:?}");
    let mean = count.values().sum::<usize>() / count.len();
    assert!(count.values().all(|times| (mean / 2..mean * 2).contains(times)), "{count:?}");
}

/// Times that fill the whole of what they may be, to the microsecond.
fn assert_between(times: impl Iterator<Item = Duration>, least: Duration, most: Duration) {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    let (first, last) = (times[0], times[times.len() - 1]);
    assert!(first >= least && last <= most, "{first:?} to {last:?}, not {least:?} to {most:?}");
    let edge = (most - least) / 100;
    assert!(
        first < least + edge && last > most - edge,
        "only {first:?} to {last:?} of {least:?} to {most:?}"
    );
    let middle = times[times.len() / 2];
    assert!(
        middle > least + (most - least) * 9 / 20 && middle < least + (most - least) * 11 / 20,
        "{middle:?}"
    );
    assert!(times.iter().any(|time| time.subsec_nanos() % 1_000_000 != 0), "whole milliseconds only");
}

fn outcomes(change: impl FnOnce(&Setup) + 'static) -> Vec<Outcome> {
    run(|sim| async move {
        let setup = Setup::new(&sim, 1, Duration::ZERO);
        change(&setup);
        setup.calls(MANY).await
    })
}

#[test]
fn a_reliable_network_only_takes_its_time() {
    let calls = outcomes(|_| ());
    assert!(calls.iter().all(|call| call.is_replied));
    let arrived = |call: &Outcome| call.arrived.expect("all arrive");
    assert_between(calls.iter().map(arrived), ms(2), ms(6));
    assert_between(calls.iter().map(|call| call.told - arrived(call)), ms(2), ms(6));
}

#[test]
fn an_unreliable_network_loses_a_tenth_each_way_at_the_moment_when_it_does() {
    let calls = outcomes(|setup| setup.network.set_reliable(false));
    let (executed, lost): (Vec<&Outcome>, Vec<&Outcome>) =
        calls.iter().partition(|call| call.arrived.is_some());
    let (replied, suppressed): (Vec<&Outcome>, Vec<&Outcome>) =
        executed.into_iter().partition(|call| call.is_replied);
    assert_share(replied.len(), MANY, 0.81, "replied");
    assert_share(suppressed.len(), MANY, 0.09, "executed without a reply");
    assert_share(lost.len(), MANY, 0.10, "never executed");

    assert!(lost.iter().all(|call| !call.is_replied));
    assert_even(&by_ms(lost.iter().map(|call| call.told)), 26);
    assert!(suppressed.iter().all(|call| Some(call.told) == call.arrived), "a lost reply is known at once");
}

#[test]
fn an_unreliable_network_delays_a_request_before_its_transit_and_no_reply() {
    let calls = outcomes(|setup| setup.network.set_reliable(false));
    let arrived: Vec<Duration> = calls.iter().filter_map(|call| call.arrived).collect();
    assert!(arrived.iter().all(|time| (ms(2)..=ms(26 + 6)).contains(time)));
    assert!(arrived.iter().any(|time| *time < us(2_300)) && arrived.iter().any(|time| *time > us(31_700)));
    let mean = arrived.iter().sum::<Duration>() / u32::try_from(arrived.len()).expect("few");
    assert!(mean.abs_diff(ms(13 + 4)) < us(300), "{mean:?}");
    let back = calls.iter().filter(|call| call.is_replied);
    assert_between(back.map(|call| call.told - call.arrived.expect("executed")), ms(2), ms(6));
}

#[test]
fn a_call_that_leads_nowhere_fails_within_100_ms() {
    for change in [
        (|setup: &Setup| setup.network.enable(setup.end.id(), false)) as fn(&Setup),
        |setup| setup.network.delete_server(super::SERVER),
        |setup| setup.network.connect(setup.end.id(), bowline_sim::labrpc::ServerName(8)),
    ] {
        let calls = outcomes(change);
        assert!(calls.iter().all(|call| !call.is_replied && call.arrived.is_none()));
        assert_even(&by_ms(calls.iter().map(|call| call.told)), 99);
    }
}

#[test]
fn a_call_through_an_end_that_was_never_connected_leads_nowhere() {
    let told = run(|sim| async move {
        let mut setup = Setup::new(&sim, 1, Duration::ZERO);
        setup.end = setup.network.make_end();
        setup.network.enable(setup.end.id(), true);
        let calls = setup.calls(MANY).await;
        assert!(calls.iter().all(|call| !call.is_replied && call.arrived.is_none()));
        calls.into_iter().map(|call| call.told).collect::<Vec<_>>()
    });
    assert_even(&by_ms(told.into_iter()), 99);
}

#[test]
fn with_long_delays_a_call_that_leads_nowhere_fails_within_7_s() {
    let calls = outcomes(|setup| {
        setup.network.set_long_delays(true);
        setup.network.enable(setup.end.id(), false);
    });
    assert!(calls.iter().all(|call| !call.is_replied && call.arrived.is_none()));
    let count = by_ms(calls.iter().map(|call| call.told));
    let (least, most) = (count.keys().next().expect("many"), count.keys().next_back().expect("many"));
    assert!(*least < 10 && (6990..=6999).contains(most), "{least} to {most} ms");
    for second in 0..7 {
        let times = count.range(second * 1000..(second + 1) * 1000).map(|(_, times)| times).sum();
        assert_share(times, MANY, 1.0 / 7.0, "fail in one of the seconds");
    }
}

#[test]
fn long_delays_do_not_touch_a_call_that_leads_somewhere() {
    let calls = outcomes(|setup| setup.network.set_long_delays(true));
    assert!(calls.iter().all(|call| call.is_replied && call.told <= ms(12)));
}

/// How long replies are held back, among those that are.
fn held(calls: &[Outcome]) -> Vec<Duration> {
    let back =
        calls.iter().filter(|call| call.is_replied).map(|call| call.told - call.arrived.expect("executed"));
    let (held, other): (Vec<_>, Vec<_>) = back.partition(|time| *time > ms(6));
    assert_share(held.len(), held.len() + other.len(), 2.0 / 3.0, "held back");
    held
}

#[test]
fn long_reordering_holds_two_of_three_replies_for_up_to_2_2_s() {
    for reliable in [true, false] {
        let calls = outcomes(move |setup| {
            setup.network.set_reliable(reliable);
            setup.network.set_long_reordering(true);
        });
        let replied = calls.iter().filter(|call| call.is_replied).count();
        if reliable {
            assert_eq!(replied, MANY);
        } else {
            assert_share(replied, MANY, 0.81, "replied");
        }
        let held = held(&calls);
        assert!(held.iter().all(|time| (ms(202)..=ms(2199 + 6)).contains(time)));
        assert!(held.iter().any(|time| *time < ms(210)) && held.iter().any(|time| *time > ms(2100)));
        // The mean of 200 + U[0, U[0, 1999]] ms is 699.75 ms.
        let mean = held.iter().sum::<Duration>() / u32::try_from(held.len()).expect("few");
        assert!(mean.abs_diff(us(699_750 + 4_000)) < ms(20), "{mean:?}");
        // Of U[0, U[0, 1999]], (1 + ln 10) / 10 are below 200; of U[0, 999], which has that mean, a fifth.
        let short = held.iter().filter(|time| **time < ms(200 + 200 + 4)).count();
        assert_share(short, held.len(), 0.3303, "held back for less than 400 ms");
    }
}

#[test]
fn replies_overtake_one_another() {
    let told: Vec<Duration> = outcomes(|_| ()).iter().map(|call| call.told).collect();
    assert!(!told.is_sorted());
}

/// The switches are read when a call is made, and not again.
#[test]
fn a_switch_that_is_turned_does_not_touch_calls_under_way() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 2, ms(50));
        let reliable: Vec<_> = (0..1000).map(|call| setup.call(format!("reliable {call}"))).collect();
        setup.network.set_reliable(false);
        setup.network.set_long_reordering(true);
        let unreliable: Vec<_> = (0..1000).map(|call| setup.call(format!("unreliable {call}"))).collect();
        setup.network.set_reliable(true);
        sim.sleep(ms(45)).await;
        setup.network.set_long_reordering(false);
        for call in reliable {
            let call = call.await;
            assert!(call.is_replied && call.told <= ms(50 + 12));
        }
        let (mut replied, mut executed, mut held) = (0, 0, 0);
        for call in unreliable {
            let call = call.await;
            executed += usize::from(call.arrived.is_some());
            replied += usize::from(call.is_replied);
            held += usize::from(call.is_replied && call.told > ms(200));
        }
        assert!((850..950).contains(&executed) && (750..870).contains(&replied), "{executed}, {replied}");
        assert!((470..610).contains(&held), "{held} held back");
    });
}

#[test]
fn long_delays_are_for_calls_made_while_they_are_on() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 3, Duration::ZERO);
        setup.network.enable(setup.end.id(), false);
        let short: Vec<_> = (0..100).map(|call| setup.call(format!("short {call}"))).collect();
        setup.network.set_long_delays(true);
        let long: Vec<_> = (0..100).map(|call| setup.call(format!("long {call}"))).collect();
        setup.network.set_long_delays(false);
        for call in short {
            assert!(call.await.told < ms(100));
        }
        let mut later = 0;
        for call in long {
            later += usize::from(call.await.told >= ms(100));
        }
        assert!(later > 90, "{later} of 100 calls take longer");
    });
}

#[test]
fn one_seed_is_one_run_and_another_is_another() {
    let times = |seed| {
        run(move |sim: Sim| async move {
            let setup = Setup::new(&sim, seed, Duration::ZERO);
            setup.network.set_reliable(false);
            setup.network.set_long_reordering(true);
            setup.calls(200).await.iter().map(|call| (call.is_replied, call.told)).collect::<Vec<_>>()
        })
    };
    assert_eq!(times(5), times(5));
    assert_ne!(times(5), times(6));
}
