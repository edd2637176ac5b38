//! Channels between tasks: nothing is lost, kept back or handed out twice, and who waits in vain is told.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bowline_sim::channel::{oneshot, rendezvous};
use bowline_sim::executor::{First, Sim, race};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_value_reaches_who_waits_for_it_already_and_who_comes_later() {
    let values = Sim::run(|sim| async move {
        let (sender, receiver) = oneshot();
        let handle = sim.clone();
        sim.spawn(async move {
            handle.sleep(ms(3)).await;
            sender.send("waited for");
        });
        let waited = (receiver.await, sim.now());
        let (sender, receiver) = oneshot();
        sender.send("kept");
        sim.sleep(ms(1)).await;
        (waited, receiver.await)
    });
    assert_eq!(values, Ok(((Some("waited for"), ms(3)), Some("kept"))));
}

#[test]
fn who_waits_for_a_sender_that_is_dropped_is_told() {
    let value = Sim::run(|sim| async move {
        let (sender, receiver) = oneshot::<u8>();
        let handle = sim.clone();
        sim.spawn(async move {
            handle.sleep(ms(3)).await;
            drop(sender);
        });
        (receiver.await, sim.now())
    });
    assert_eq!(value, Ok((None, ms(3))));
}

#[test]
fn a_value_that_nobody_waits_for_is_dropped() {
    let alive = Rc::new(());
    let (sender, receiver) = oneshot();
    drop(receiver);
    sender.send(alive.clone());
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn a_sender_waits_until_its_value_is_taken() {
    let times = Sim::run(|sim| async move {
        let (sender, mut receiver) = rendezvous();
        let handle = sim.clone();
        let sending = sim.spawn(async move {
            let mut sent = Vec::new();
            for value in 0..3 {
                sender.send(value).await.expect("it is taken");
                sent.push(handle.now());
            }
            sent
        });
        let mut received = Vec::new();
        sim.sleep(ms(5)).await;
        while let Some(value) = receiver.recv().await {
            received.push((value, sim.now()));
            sim.sleep(ms(5)).await;
        }
        (sending.await, received)
    })
    .expect("it ends");
    assert_eq!(times.0, [ms(5), ms(10), ms(15)]);
    assert_eq!(times.1, [(0, ms(5)), (1, ms(10)), (2, ms(15))]);
}

#[test]
fn a_receiver_that_waits_gets_the_value_at_once() {
    let times = Sim::run(|sim| async move {
        let (sender, mut receiver) = rendezvous();
        let handle = sim.clone();
        let receiving = sim.spawn(async move { (receiver.recv().await, handle.now()) });
        sim.sleep(ms(2)).await;
        let sent = sender.send(7).await;
        (sent, sim.now(), receiving.await)
    });
    assert_eq!(times, Ok((Ok(()), ms(2), (Some(7), ms(2)))));
}

#[test]
fn senders_are_served_in_the_order_in_which_they_came() {
    let received = Sim::run(|sim| async move {
        let (sender, mut receiver) = rendezvous();
        for value in 0..5 {
            let sender = sender.clone();
            sim.spawn(async move { sender.send(value).await });
        }
        drop(sender);
        sim.sleep(ms(1)).await;
        let mut received = Vec::new();
        while let Some(value) = receiver.recv().await {
            received.push(value);
        }
        received
    });
    assert_eq!(received, Ok(vec![0, 1, 2, 3, 4]));
}

#[test]
fn a_value_goes_back_to_its_sender_when_the_receiver_goes() {
    let outcome = Sim::run(|sim| async move {
        let (sender, receiver) = rendezvous();
        let handle = sim.clone();
        sim.spawn(async move {
            handle.sleep(ms(4)).await;
            drop(receiver);
        });
        let waited = (sender.send(1).await, sim.now());
        (waited, sender.send(2).await)
    });
    assert_eq!(outcome, Ok(((Err(1), ms(4)), Err(2))));
}

#[test]
fn a_receiver_is_told_when_the_last_sender_goes() {
    let outcome = Sim::run(|sim| async move {
        let (sender, mut receiver) = rendezvous::<u8>();
        let second = sender.clone();
        for (wait, sender) in [(2, sender), (6, second)] {
            let handle = sim.clone();
            sim.spawn(async move {
                handle.sleep(ms(wait)).await;
                drop(sender);
            });
        }
        (receiver.recv().await, sim.now())
    });
    assert_eq!(outcome, Ok((None, ms(6))));
}

#[test]
fn an_offer_that_is_dropped_is_not_received() {
    let received = Sim::run(|sim| async move {
        let (sender, mut receiver) = rendezvous();
        assert_eq!(race(sender.send(1), sim.sleep(ms(1))).await, First::Right(()));
        sim.spawn(async move { sender.send(2).await });
        (receiver.recv().await, receiver.recv().await)
    });
    assert_eq!(received, Ok((Some(2), None)));
}

/// A value that is in the hands of the receiver is sent, also if the receiver goes before the sender wakes.
#[test]
fn a_value_that_was_taken_is_sent() {
    let sent = Sim::run(|sim| async move {
        let (sender, mut receiver) = rendezvous();
        let sending = sim.spawn(async move { sender.send(1).await });
        sim.sleep(ms(1)).await;
        assert_eq!(receiver.recv().await, Some(1));
        drop(receiver);
        sending.await
    });
    assert_eq!(sent, Ok(Ok(())));
}

/// Two tasks on one channel, each waiting for the other to move: neither is forgotten.
#[test]
fn a_thousand_values_pass_between_tasks_that_sleep_as_they_like() {
    let sum = Sim::run(|sim| async move {
        let (sender, mut receiver) = rendezvous();
        let (sent, got) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
        let (handle, count) = (sim.clone(), sent.clone());
        sim.spawn(async move {
            for value in 0..1000_u64 {
                handle.sleep(ms(value * 7 % 5)).await;
                sender.send(value).await.expect("there is a receiver");
                count.set(count.get() + 1);
            }
        });
        while let Some(value) = receiver.recv().await {
            got.borrow_mut().push(value);
            assert!(sent.get() <= got.borrow().len(), "nothing is sent before it is taken");
            sim.sleep(ms(value * 3 % 4)).await;
        }
        got.take()
    });
    assert_eq!(sum, Ok((0..1000).collect()));
}
