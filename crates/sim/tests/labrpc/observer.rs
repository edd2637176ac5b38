//! Who observes the network is told of every step of every call.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bowline_sim::executor::Sim;
use bowline_sim::labrpc::{EndId, NetworkObserver, ServerName};
use bytes::Bytes;

use super::{SERVER, Setup, ms, run};

/// What was told of each call, by its number, and when.
struct Told {
    sim: Sim,
    steps: RefCell<BTreeMap<u64, Vec<(Duration, String)>>>,
}

impl Told {
    fn note(&self, call: u64, step: impl Into<String>) {
        let row = (self.sim.now(), step.into());
        self.steps.borrow_mut().entry(call).or_default().push(row);
    }

    /// The steps of a call, without the times.
    fn steps(&self, call: u64) -> String {
        let steps = self.steps.borrow();
        let words: Vec<&str> = steps.get(&call).into_iter().flatten().map(|row| row.1.as_str()).collect();
        words.join(", ")
    }

    fn last(&self, call: u64) -> Duration {
        self.steps.borrow()[&call].last().expect("it was told").0
    }
}

impl NetworkObserver for Told {
    fn called(&self, call: u64, end: EndId, to: ServerName, method: &'static str, args: &Bytes) {
        self.note(call, format!("{method}({}) {}->{}", args.len(), end.0, to.0));
    }

    fn request_lost(&self, call: u64) {
        self.note(call, "request lost");
    }

    fn request_arrived(&self, call: u64) {
        self.note(call, "arrived");
    }

    fn replied(&self, call: u64, reply: &Bytes) {
        self.note(call, format!("replied({})", reply.len()));
    }

    fn reply_lost(&self, call: u64) {
        self.note(call, "reply lost");
    }

    fn reply_arrived(&self, call: u64) {
        self.note(call, "reply arrived");
    }

    fn failed(&self, call: u64) {
        self.note(call, "failed");
    }
}

fn observed(sim: &Sim, work: Duration) -> (Setup, Rc<Told>) {
    let setup = Setup::new(sim, 1, work);
    let told = Rc::new(Told { sim: sim.clone(), steps: RefCell::default() });
    setup.network.observe(told.clone());
    (setup, told)
}

#[test]
fn each_fate_has_its_steps() {
    run(|sim| async move {
        let (setup, told) = observed(&sim, ms(250));
        assert!(setup.call("abc").await.is_replied);
        assert_eq!(told.steps(1), "Echo(3) 0->7, arrived, replied(6), reply arrived");

        let late = setup.call("late");
        sim.sleep(ms(240)).await;
        setup.network.enable(setup.end.id(), false);
        late.await;
        assert_eq!(told.steps(2), "Echo(4) 0->7, arrived, replied(8), reply lost, failed");

        setup.call("nowhere").await;
        assert_eq!(told.steps(3), "Echo(7) 0->7, request lost, failed");
        let times: Vec<Duration> = told.steps.borrow()[&3].iter().map(|row| row.0).collect();
        assert_eq!(times[0], times[1], "it is lost when it is made");
        assert!(times[2] > times[1], "and fails later");

        setup.network.enable(setup.end.id(), true);
        let dying = setup.call("dying");
        sim.sleep(ms(20)).await;
        setup.network.delete_server(SERVER);
        dying.await;
        sim.sleep(ms(1000)).await;
        assert_eq!(told.steps(4), "Echo(5) 0->7, arrived, failed", "nothing after a failure");

        let unbound = setup.network.make_end();
        assert_eq!(unbound.call("Echo", Bytes::new()).await, None);
        assert_eq!(setup.network.total_calls(), 5);
        assert_eq!(told.steps(5), "", "it goes nowhere");
    });
}

#[test]
fn every_call_has_one_of_three_lives_and_its_end_is_what_the_caller_is_told() {
    run(|sim| async move {
        let (setup, told) = observed(&sim, Duration::ZERO);
        setup.network.set_reliable(false);
        setup.network.set_long_reordering(true);
        let calls = setup.calls(1000).await;
        let mut lives = BTreeMap::<String, u32>::new();
        for (number, call) in (1..).zip(calls) {
            let steps = told.steps(number);
            assert_eq!(steps.ends_with("reply arrived"), call.is_replied, "{steps}");
            assert_eq!(steps.contains(" arrived, replied"), call.arrived.is_some(), "{steps}");
            assert_eq!(told.last(number), call.told);
            *lives
                .entry(steps.split_once(", ").expect("several").1.replace(|c: char| c.is_numeric(), ""))
                .or_default() += 1;
        }
        let expected = [
            "arrived, replied(), reply arrived",
            "arrived, replied(), reply lost, failed",
            "request lost, failed",
        ];
        assert!(lives.keys().eq(expected.iter()), "{lives:?}");
        assert!(lives.values().all(|times| *times > 50), "{lives:?}");
    });
}

#[test]
fn all_observers_are_told_and_none_after_the_end() {
    run(|sim| async move {
        let (setup, first) = observed(&sim, ms(150));
        let second = Rc::new(Told { sim: sim.clone(), steps: RefCell::default() });
        setup.call("before the second").await;
        setup.network.observe(second.clone());
        setup.call("for both").await;
        assert_eq!(second.steps(1), "");
        assert!(second.steps(2).ends_with("reply arrived"));
        assert_eq!(first.steps(2), second.steps(2));
        let dying = setup.call("under way");
        setup.network.shut_down();
        dying.await;
        setup.call("afterwards").await;
        assert_eq!(first.steps(3), "Echo(9) 0->7");
        assert_eq!(first.steps.borrow().len(), 3);
        assert_eq!((Rc::strong_count(&first), Rc::strong_count(&second)), (1, 1), "and dropped");
    });
}

/// An observer may look at what it observes.
#[test]
fn an_observer_can_ask_the_network() {
    struct Asks(Setup, RefCell<Vec<u64>>);
    impl NetworkObserver for Asks {
        fn called(&self, _: u64, _: EndId, _: ServerName, _: &'static str, _: &Bytes) {
            self.1.borrow_mut().push(self.0.network.total_calls());
            self.0.network.enable(self.0.end.id(), false);
        }
        fn request_lost(&self, _: u64) {}
        fn request_arrived(&self, _: u64) {}
        fn replied(&self, _: u64, _: &Bytes) {}
        fn reply_lost(&self, _: u64) {}
        fn reply_arrived(&self, _: u64) {}
        fn failed(&self, _: u64) {}
    }
    run(|sim| async move {
        let setup = Setup::new(&sim, 2, Duration::ZERO);
        let asks = Rc::new(Asks(setup.clone(), RefCell::default()));
        setup.network.observe(asks.clone());
        assert!(!setup.call("first").await.is_replied, "its end was disabled after it was made");
        assert_eq!(setup.executed.count(), 1);
        assert_eq!(asks.1.take(), [1]);
        setup.network.shut_down();
    });
}
