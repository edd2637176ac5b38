//! What is counted, and when; and the end of a network.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bowline_sim::labrpc::Server;

use super::{Executed, SERVER, Setup, ms, run};

#[test]
fn a_call_is_counted_when_it_is_made_and_its_reply_when_it_is_delivered() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 1, ms(50));
        let call = setup.call("12345");
        assert_eq!((setup.network.total_calls(), setup.network.total_bytes()), (1, 5));
        assert_eq!(setup.network.server_calls(SERVER), 0, "it has not arrived");
        sim.sleep(ms(6)).await;
        assert_eq!(setup.network.server_calls(SERVER), 1);
        let done = setup.executed.arrived(b"12345").expect("it has") + ms(50);
        sim.sleep(done + ms(1) - sim.now()).await;
        assert_eq!(setup.network.total_bytes(), 5, "the reply is under way");
        call.await;
        assert_eq!((setup.network.total_calls(), setup.network.total_bytes()), (1, 15));
    });
}

#[test]
fn a_call_that_leads_nowhere_is_counted_with_its_arguments() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 2, Duration::ZERO);
        setup.network.enable(setup.end.id(), false);
        setup.call("12345").await;
        setup.network.enable(setup.end.id(), true);
        setup.network.delete_server(SERVER);
        setup.call("123").await;
        let unbound = setup.network.make_end();
        assert_eq!(unbound.call("Echo", "1".into()).await, None);
        assert_eq!((setup.network.total_calls(), setup.network.total_bytes()), (3, 9));
        assert_eq!(setup.network.calls_of("Echo"), 3);
    });
}

#[test]
fn calls_that_are_lost_count_for_the_network_and_not_for_the_server() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 3, Duration::ZERO);
        setup.network.set_reliable(false);
        let outcomes = (0..1000).map(|call| setup.call(format!("{call:4}"))).collect::<Vec<_>>();
        assert_eq!((setup.network.total_calls(), setup.network.total_bytes()), (1000, 4000));
        let mut replied = 0;
        for call in outcomes {
            replied += u64::from(call.await.is_replied);
        }
        let executed = setup.executed.count() as u64;
        assert_eq!(setup.network.server_calls(SERVER), executed);
        assert!(replied < executed && executed < 1000, "{replied} replies to {executed}");
        assert_eq!(setup.network.total_bytes(), 4000 + 8 * replied);
    });
}

#[test]
fn a_server_counts_for_itself_and_not_for_its_next_life() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 4, Duration::ZERO);
        for call in ["a", "b", "c"] {
            setup.call(call).await;
        }
        assert_eq!(setup.network.server_calls(SERVER), 3);
        let late = setup.call("late");
        setup.network.add_server(SERVER, Executed::default().server(&sim, Duration::ZERO));
        late.await;
        assert_eq!(setup.executed.count(), 4, "it has reached the first life");
        assert_eq!(setup.network.server_calls(SERVER), 0);
        setup.network.delete_server(SERVER);
        assert_eq!(setup.network.server_calls(SERVER), 0);
        assert_eq!(setup.network.total_calls(), 4);
    });
}

#[test]
fn calls_are_counted_by_what_they_are_for() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 5, Duration::ZERO);
        for (method, args) in [("AppendEntries", "1"), ("RequestVote", "2"), ("AppendEntries", "3")] {
            assert!(setup.end.call(method, args.into()).await.is_some());
        }
        let counts = ["AppendEntries", "RequestVote", "PreVote"].map(|name| setup.network.calls_of(name));
        assert_eq!(counts, [2, 1, 0]);
    });
}

#[test]
fn a_network_that_is_shut_down_fails_calls_at_once_and_counts_none() {
    run(|sim| async move {
        let setup = Setup::new(&sim, 6, ms(350));
        setup.network.set_long_delays(true);
        let under_way = setup.call("under way");
        sim.sleep(ms(150)).await;
        setup.network.shut_down();
        let counted = (setup.network.total_calls(), setup.network.total_bytes());
        let call = setup.call("afterwards").await;
        assert!(!call.is_replied && call.arrived.is_none());
        assert_eq!(call.told, Duration::ZERO);
        assert_eq!((setup.network.total_calls(), setup.network.total_bytes()), counted);
        assert_eq!(setup.network.server_calls(SERVER), 0);
        let under_way = under_way.await;
        assert!(
            !under_way.is_replied && under_way.told < ms(250),
            "its server is dead: {:?}",
            under_way.told
        );
    });
}

/// A server's handler commonly holds the network through its own ends.
#[test]
fn a_network_that_is_shut_down_drops_its_servers() {
    struct Looks(Setup, Rc<Cell<u64>>);
    impl Drop for Looks {
        fn drop(&mut self) {
            // It may look at the network, whose server it was.
            self.0.network.enable(self.0.end.id(), false);
            self.1.set(self.1.get() + 1 + self.0.network.server_calls(SERVER));
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let counted = dropped.clone();
    run(|sim| async move {
        let server = |setup: &Setup| {
            let held = Looks(setup.clone(), counted.clone());
            Server::new(move |call| {
                assert_eq!(held.1.get(), 0);
                Box::pin(async { call.args })
            })
        };
        let setup = Setup::new(&sim, 7, Duration::ZERO);
        setup.network.add_server(SERVER, server(&setup));
        setup.network.add_server(SERVER, server(&setup));
        assert_eq!(counted.get(), 1, "replaced");
        setup.network.delete_server(SERVER);
        assert_eq!(counted.get(), 2, "deleted");
        setup.network.add_server(SERVER, server(&setup));
        setup.network.shut_down();
        assert_eq!(counted.get(), 3, "shut down");
    });
    assert_eq!(dropped.get(), 3);
}
