//! Tasks in virtual time run in one order, end together, and leave nothing behind.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowline_sim::executor::{First, Sim, race};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Diary(Rc<RefCell<Vec<String>>>);

impl Diary {
    fn note(&self, sim: &Sim, what: &str) {
        self.0.borrow_mut().push(format!("{} {what}", sim.now().as_millis()));
    }

    fn read(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

fn poll_once(future: impl Future<Output = ()>) -> Poll<()> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn tasks_run_in_the_order_of_their_waking_and_time_passes_only_when_none_can() {
    let diary = Diary::default();
    let written = diary.clone();
    let end = Sim::run(|sim| async move {
        for (name, wait) in [("c", 7), ("a", 5), ("b", 5), ("d", 0)] {
            let (diary, handle) = (diary.clone(), sim.clone());
            sim.spawn(async move {
                diary.note(&handle, name);
                handle.sleep(ms(wait)).await;
                diary.note(&handle, name);
                handle.sleep(ms(1)).await;
                diary.note(&handle, name);
            });
        }
        diary.note(&sim, "main");
        sim.sleep(ms(20)).await;
        sim.now()
    });
    assert_eq!(end, Ok(ms(20)));
    let expected =
        ["0 main", "0 c", "0 a", "0 b", "0 d", "0 d", "1 d", "5 a", "5 b", "6 a", "6 b", "7 c", "8 c"];
    assert_eq!(written.read(), expected);
}

#[test]
fn what_follows_from_a_timer_has_followed_before_the_next_of_that_instant() {
    let diary = Diary::default();
    let written = diary.clone();
    Sim::run(|sim| async move {
        let (first, handle) = (diary.clone(), sim.clone());
        let woken = sim.spawn(async move {
            handle.sleep(ms(5)).await;
            first.note(&handle, "first timer");
        });
        let (second, handle) = (diary.clone(), sim.clone());
        sim.spawn(async move {
            woken.await;
            second.note(&handle, "follows");
        });
        sim.sleep(ms(1)).await;
        sim.sleep(ms(4)).await;
        diary.note(&sim, "second timer");
    })
    .expect("it ends");
    assert_eq!(written.read(), ["5 first timer", "5 follows", "5 second timer"]);
}

#[test]
fn a_sleep_of_no_time_lets_others_run_and_does_not_last() {
    let order = Sim::run(|sim| async move {
        let seen = Rc::new(Cell::new(0));
        let other = seen.clone();
        sim.spawn(async move { other.set(1) });
        let before = seen.get();
        sim.sleep(Duration::ZERO).await;
        (before, seen.get(), sim.now())
    });
    assert_eq!(order, Ok((0, 1, Duration::ZERO)));
}

#[test]
fn a_sleep_lasts_from_its_call_and_time_never_goes_back() {
    let times = Sim::run(|sim| async move {
        let (late, early) = (sim.sleep(ms(10)), sim.sleep(ms(2)));
        sim.sleep(ms(4)).await;
        early.await;
        let after_early = sim.now();
        late.await;
        (after_early, sim.now())
    });
    assert_eq!(times, Ok((ms(4), ms(10))));
}

#[test]
fn a_task_outlives_its_handle_and_hands_its_value_to_who_waits() {
    let value = Sim::run(|sim| async move {
        let done = Rc::new(Cell::new(false));
        let (told, handle) = (done.clone(), sim.clone());
        drop(sim.spawn(async move {
            handle.sleep(ms(3)).await;
            told.set(true);
        }));
        let handle = sim.clone();
        let slow = sim.spawn(async move {
            handle.sleep(ms(5)).await;
            "slow"
        });
        let quick = sim.spawn(async { "quick" });
        (slow.await, quick.await, done.get())
    });
    assert_eq!(value, Ok(("slow", "quick", true)));
}

#[test]
fn the_first_failure_ends_the_run_at_once() {
    let diary = Diary::default();
    let written = diary.clone();
    let failure = Sim::run(|sim| async move {
        let (handle, noted) = (sim.clone(), diary.clone());
        sim.spawn(async move {
            handle.sleep(ms(5)).await;
            assert!(!handle.is_failed());
            handle.fail("first");
            handle.fail("second");
            assert!(handle.is_failed());
            noted.note(&handle, "goes on until it waits");
            handle.sleep(Duration::ZERO).await;
            noted.note(&handle, "never");
        });
        sim.sleep(ms(6)).await;
        diary.note(&sim, "never");
    })
    .expect_err("it fails");
    assert_eq!((failure.at, failure.what.as_str()), (ms(5), "first"));
    assert_eq!(failure.to_string(), "at 0.005000 s: first");
    assert_eq!(written.read(), ["5 goes on until it waits"]);
}

#[test]
fn a_failure_of_the_first_task_itself_counts_although_it_ends() {
    let failure = Sim::run(|sim| async move { sim.fail("too few") }).expect_err("it fails");
    assert_eq!(failure.what, "too few");
}

#[test]
fn a_run_in_which_nothing_can_happen_any_more_has_failed() {
    let failure = Sim::run(|sim| async move {
        sim.sleep(ms(8)).await;
        std::future::pending::<()>().await;
    })
    .expect_err("nobody wakes it");
    assert_eq!(failure.at, ms(8));
    assert!(failure.what.contains("nothing is left"), "{}", failure.what);
}

#[test]
fn a_run_in_which_time_stands_still_has_failed() {
    let failure = Sim::run(|sim| async move {
        sim.sleep(ms(8)).await;
        loop {
            sim.sleep(Duration::ZERO).await;
        }
    })
    .map(|()| unreachable!("it never ends"))
    .expect_err("no time passes");
    assert_eq!(failure.at, ms(8));
    assert!(failure.what.contains("time stands still"), "{}", failure.what);
}

#[test]
fn what_an_instant_may_take_does_not_run_out_over_many() {
    let end = Sim::run(|sim| async move {
        for step in 0..1_600_000 {
            sim.sleep(if step == 800_000 { ms(1) } else { Duration::ZERO }).await;
        }
    });
    assert_eq!(end, Ok(()));
}

/// With the sleep's timer gone nothing is left to wait for, so the run fails now and not after an hour.
#[test]
fn a_sleep_that_is_dropped_leaves_no_timer() {
    let failure = Sim::run(|sim| async move {
        let mut long = Box::pin(sim.sleep(Duration::from_secs(3600)));
        assert!(matches!(race(&mut long, sim.sleep(ms(1))).await, First::Right(())));
        drop(long);
        std::future::pending::<()>().await;
    })
    .expect_err("nobody wakes it");
    assert_eq!(failure.at, ms(1));
}

#[test]
fn a_sleep_wakes_who_polled_it_last() {
    let time = Sim::run(|sim| async move {
        let mut sleep = Box::pin(sim.sleep(ms(9)));
        assert_eq!(poll_once(&mut sleep), Poll::Pending);
        sim.spawn(sleep).await;
        sim.now()
    });
    assert_eq!(time, Ok(ms(9)));
}

#[test]
fn a_race_is_won_by_the_left_when_both_are_there() {
    let winners = Sim::run(|sim| async move {
        let both = race(async { 1 }, async { 2 }).await;
        let right = race(std::future::pending::<u8>(), sim.sleep(ms(1))).await;
        (both, right)
    });
    assert_eq!(winners, Ok((First::Left(1), First::Right(()))));
}

/// Counts how often it is polled, and is never done.
struct Polled(Rc<Cell<u32>>);

impl Future for Polled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.set(self.0.get() + 1);
        if self.0.get() == 1 {
            (0..5).for_each(|_| context.waker().wake_by_ref());
        }
        Poll::Pending
    }
}

#[test]
fn a_task_that_is_woken_several_times_runs_once_more() {
    let polls = Sim::run(|sim| async move {
        let polls = Rc::new(Cell::new(0));
        sim.spawn(Polled(polls.clone()));
        sim.sleep(ms(1)).await;
        polls.get()
    });
    assert_eq!(polls, Ok(2));
}

#[test]
fn a_late_waking_does_not_reach_the_next_task_in_the_same_place() {
    let polls = Sim::run(|sim| async move {
        let waker = sim.spawn(std::future::poll_fn(|context| Poll::Ready(context.waker().clone()))).await;
        let polls = Rc::new(Cell::new(0));
        sim.spawn(Polled(polls.clone()));
        sim.sleep(ms(1)).await;
        let before = polls.get();
        waker.wake();
        sim.sleep(ms(1)).await;
        polls.get() - before
    });
    assert_eq!(polls, Ok(0));
}

/// Something that a task owns, and that looks at the executor when it is dropped.
struct Owned {
    sim: Sim,
    alive: Rc<()>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        let alive = self.alive.clone();
        self.sim.spawn(async move { drop(alive) });
        assert_eq!(poll_once(self.sim.sleep(ms(1))), Poll::Pending);
    }
}

/// A world full of circles: tasks that never end and hold the handle, one another, and sleeps.
fn entangle(sim: &Sim, alive: &Rc<()>) {
    for wait in 0..10 {
        let owned = Owned { sim: sim.clone(), alive: alive.clone() };
        let child = sim.spawn(std::future::pending::<()>());
        let sim = sim.clone();
        sim.clone().spawn(async move {
            let mut sleep = Box::pin(sim.sleep(Duration::from_secs(wait)));
            race(&mut sleep, child).await;
            sim.sleep(Duration::MAX).await;
            drop(owned);
        });
    }
}

#[test]
fn nothing_is_left_when_a_run_has_ended() {
    let mut left: Option<Weak<()>> = None;
    let end = Sim::run(|sim| {
        let alive = Rc::new(());
        left = Some(Rc::downgrade(&alive));
        async move {
            entangle(&sim, &alive);
            sim.sleep(Duration::from_secs(5)).await;
            Rc::strong_count(&alive)
        }
    });
    assert_eq!(end, Ok(11), "all tasks are there until the end");
    assert!(left.expect("set").upgrade().is_none(), "and none is afterwards");
}

#[test]
fn a_panic_unwinds_out_of_the_run_and_nothing_is_left_either() {
    let alive = Rc::new(());
    let held = alive.clone();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        Sim::run(|sim| async move {
            entangle(&sim, &held);
            sim.sleep(ms(1)).await;
            let innocent = sim.spawn(std::future::pending::<()>());
            sim.spawn(async { panic!("the invariant") });
            innocent.await;
        })
    }))
    .expect_err("it unwinds");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the invariant"));
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn a_handle_that_is_left_over_does_no_harm() {
    let (sim, alive) = (Sim::run(|sim| async move { sim }).expect("it ends"), Rc::new(()));
    let held = alive.clone();
    let mut task = Box::pin(sim.spawn(async move { drop(held) }));
    assert_eq!(Rc::strong_count(&alive), 1, "the task was dropped at once");
    assert_eq!(poll_once(&mut task), Poll::Pending);
    assert_eq!(poll_once(sim.sleep(ms(1))), Poll::Pending);
    assert_eq!(sim.now(), Duration::ZERO);
}
