//! Ends that are disabled and servers that go while calls are under way.

use std::time::Duration;

use bowline_sim::labrpc::{Network, Server, ServerName};

use super::{Executed, SERVER, Setup, ms, run, us};

type Kill = fn(&Setup);

/// The three ways in which a call under way becomes dead.
const KILLS: [Kill; 3] = [
    |setup| setup.network.enable(setup.end.id(), false),
    |setup| setup.network.delete_server(SERVER),
    |setup| setup.network.add_server(SERVER, Executed::default().server(&setup.sim, Duration::ZERO)),
];

/// What is in its transit reaches the server object that was there when the call was made; the reply does not
/// leave it.
#[test]
fn a_request_on_its_way_is_executed_by_the_dead_and_its_reply_suppressed() {
    for kill in KILLS {
        run(move |sim| async move {
            let setup = Setup::new(&sim, 1, ms(1));
            let call = setup.call("late");
            sim.sleep(ms(1)).await;
            assert_eq!(setup.executed.count(), 0, "it is under way");
            kill(&setup);
            let call = call.await;
            assert!(!call.is_replied);
            let arrived = call.arrived.expect("it is executed all the same");
            assert_eq!(call.told, arrived + ms(1), "known when the handler has replied");
            assert_eq!(setup.executed.done(b"late"), Some(call.told), "and what it has done stays done");
            assert_eq!(setup.network.total_bytes(), 4, "no reply is counted");
        });
    }
}

/// The same, in the short delay of the unreliable network.
#[test]
fn a_request_in_its_short_delay_is_executed_by_the_dead() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 1, Duration::ZERO);
        setup.network.set_reliable(false);
        let calls: Vec<_> = (0..1000).map(|call| setup.call(call.to_string())).collect();
        setup.network.delete_server(SERVER);
        let mut executed = 0;
        for call in calls {
            let call = call.await;
            assert!(!call.is_replied);
            executed += usize::from(call.arrived.is_some());
        }
        assert!((870..930).contains(&executed), "{executed} of 1000");
    });
}

#[test]
fn a_call_whose_handler_takes_long_fails_within_100_ms_of_its_death() {
    for kill in KILLS {
        run(move |sim| async move {
            let setup = Setup::new(&sim, 2, ms(20_000));
            let call = setup.call("long");
            sim.sleep(ms(1037)).await;
            kill(&setup);
            let call = call.await;
            assert!(!call.is_replied);
            let arrived = call.arrived.expect("it was executed");
            let polls = call.told - arrived;
            assert_eq!(polls.as_nanos() % 100_000_000, 0, "asked every 100 ms from its beginning: {polls:?}");
            assert!(call.told >= ms(1037) && call.told < ms(1137), "{:?}", call.told);

            assert_eq!(setup.executed.done(b"long"), None);
            sim.sleep(ms(20_000)).await;
            assert_eq!(setup.executed.done(b"long"), Some(arrived + ms(20_000)), "it goes on to its end");
            assert_eq!(setup.network.total_bytes(), 4);
        });
    }
}

#[test]
fn a_handler_that_is_not_dead_takes_as_long_as_it_likes() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 2, Duration::from_secs(60));
        let call = setup.call("patience").await;
        assert!(call.is_replied && call.told > Duration::from_secs(60));
    });
}

/// Runs a call of 250 ms whose end is disabled for a while, in time since the handler began.
fn disabled_between(from: Duration, to: Duration) -> (bool, Duration) {
    run(move |sim| async move {
        let setup = Setup::new(&sim, 3, ms(250));
        let call = setup.call("x");
        while setup.executed.count() == 0 {
            sim.sleep(us(1)).await;
        }
        let began = setup.executed.arrived(b"x").expect("it has begun");
        sim.sleep(began + from - sim.now()).await;
        setup.network.enable(setup.end.id(), false);
        sim.sleep(to - from).await;
        setup.network.enable(setup.end.id(), true);
        let call = call.await;
        (call.is_replied, call.told - began)
    })
}

#[test]
fn the_dead_are_noticed_every_100_ms_and_at_the_end_and_at_no_other_time() {
    assert!(disabled_between(ms(110), ms(190)).0, "between two looks");
    assert!(disabled_between(ms(210), ms(240)).0, "between the last look and the end");
    assert_eq!(disabled_between(ms(190), ms(210)), (false, ms(200)), "at a look");
    assert_eq!(disabled_between(ms(210), ms(1000)), (false, ms(250)), "at the end");
}

/// A server is dead although another one, or the like, has its name.
#[test]
fn a_server_that_comes_back_under_its_name_is_another_one() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 4, ms(350));
        let call = setup.call("to the first life");
        sim.sleep(ms(30)).await;
        setup.network.delete_server(SERVER);
        let second = Executed::default();
        setup.network.add_server(SERVER, second.server(&sim, Duration::ZERO));
        let call = call.await;
        assert!(!call.is_replied && call.told < ms(130));
        assert_eq!(second.count(), 0);
        let call = setup.call("to the second life").await;
        assert!(call.is_replied && call.arrived.is_none());
        assert_eq!((setup.executed.count(), second.count()), (1, 1));
    });
}

#[test]
fn a_reply_that_has_left_is_delivered_whatever_happens() {
    for kill in KILLS {
        run(move |sim| async move {
            let setup = Setup::new(&sim, 5, Duration::ZERO);
            let call = setup.call("in transit");
            while setup.executed.count() == 0 {
                sim.sleep(us(100)).await;
            }
            kill(&setup);
            let call = call.await;
            assert!(call.is_replied && call.told <= ms(12), "{:?}", call.told);
        });
    }
}

#[test]
fn a_reply_that_is_held_back_is_delivered_whatever_happens() {
    for kill in KILLS {
        run(move |sim| async move {
            let setup = Setup::new(&sim, 6, Duration::ZERO);
            setup.network.set_long_reordering(true);
            let calls: Vec<_> = (100..200).map(|call| setup.call(call.to_string())).collect();
            sim.sleep(ms(100)).await;
            let before = setup.network.total_bytes();
            kill(&setup);
            let mut held = 0;
            for call in calls {
                let call = call.await;
                assert!(call.is_replied);
                held += u64::from(call.told > ms(100));
            }
            assert!((50..85).contains(&held), "{held} of 100 held back");
            assert_eq!(before, 300 + (100 - held) * 6);
            assert_eq!(setup.network.total_bytes(), 300 + 600);
        });
    }
}

#[test]
fn a_call_made_while_its_end_is_disabled_fails_although_it_is_enabled_soon() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 7, Duration::ZERO);
        setup.network.set_long_delays(true);
        setup.network.enable(setup.end.id(), false);
        let lost: Vec<_> = (0..20).map(|call| setup.call(call.to_string())).collect();
        setup.network.enable(setup.end.id(), true);
        let call = setup.call("not delayed by them").await;
        assert!(call.is_replied && call.told <= ms(12));
        for call in lost {
            assert!(!call.await.is_replied);
        }
        assert_eq!(setup.executed.count(), 1);
    });
}

#[test]
fn a_call_that_nobody_waits_for_is_executed() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 8, ms(10));
        drop(setup.end.call("Echo", "dropped".into()));
        sim.sleep(ms(30)).await;
        assert!(setup.executed.done(b"dropped").is_some());
        assert_eq!(setup.network.total_bytes(), 7 + 14);
    });
}

/// Two ends of one name are two links.
#[test]
fn disabling_an_end_does_not_touch_another() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 9, Duration::ZERO);
        let other = setup.network.make_end();
        assert_ne!(other.id(), setup.end.id());
        setup.network.connect(other.id(), SERVER);
        assert_eq!(other.call("Echo", "disabled at first".into()).await, None);
        setup.network.enable(other.id(), true);
        setup.network.enable(setup.end.id(), false);
        assert!(other.call("Echo", "enabled".into()).await.is_some());
        assert!(!setup.call("disabled").await.is_replied);
    });
}

#[test]
fn the_handler_is_told_through_which_end_and_for_what_it_is_called() {
    let seen = run(|sim| async move {
        let network = Network::new(&sim, 10);
        let echo = |server: u64| {
            Server::new(move |call| {
                let reply = format!("{server}: {}({:?}) from {:?}", call.method, call.args, call.end);
                Box::pin(async move { reply.into() })
            })
        };
        let mut replies = Vec::new();
        for name in 0..2 {
            network.add_server(ServerName(name), echo(name));
            let end = network.make_end();
            network.connect(end.id(), ServerName(name));
            network.enable(end.id(), true);
            replies.push(end.call("RequestVote", "args".into()).await.expect("reliable"));
        }
        replies
    });
    let expected = ["0: RequestVote(b\"args\") from EndId(0)", "1: RequestVote(b\"args\") from EndId(1)"];
    assert_eq!(seen, expected);
}

#[test]
#[should_panic(expected = "EndId(1) is an end of this network")]
fn an_end_of_another_network_is_refused() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 11, Duration::ZERO);
        let other = Network::new(&sim, 12);
        let end = (other.make_end(), other.make_end()).1;
        setup.network.enable(end.id(), true);
    });
}
