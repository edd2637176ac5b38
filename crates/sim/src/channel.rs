//! How the tasks of [`crate::executor`] hand values to each other.
//!
//! | channel | a value goes | the sender waits |
//! |---|---|---|
//! | [`oneshot`] | once | never |
//! | [`rendezvous`] | from hand to hand, nothing in between | until the receiver has taken it |

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A channel for one value.
pub fn oneshot<T>() -> (OneshotSender<T>, OneshotReceiver<T>) {
    let slot = Rc::new(RefCell::new(Slot { value: None, waker: None, sender_gone: false }));
    (OneshotSender(slot.clone()), OneshotReceiver(slot))
}

/// The end of [`oneshot`] into which the value goes.
#[derive(Debug)]
pub struct OneshotSender<T>(Rc<RefCell<Slot<T>>>);

/// The end of [`oneshot`] out of which the value comes: `None` if the sender was dropped without a value.
#[derive(Debug)]
pub struct OneshotReceiver<T>(Rc<RefCell<Slot<T>>>);

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
    sender_gone: bool,
}

impl<T> OneshotSender<T> {
    /// Hands the value over. If nobody waits for it any more it is dropped.
    pub fn send(self, value: T) {
        self.0.borrow_mut().value = Some(value);
    }
}

impl<T> Drop for OneshotSender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = self.0.borrow_mut();
            slot.sender_gone = true;
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for OneshotReceiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.0.borrow_mut();
        if slot.value.is_some() || slot.sender_gone {
            return Poll::Ready(slot.value.take());
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// A channel without room: a value goes from the hand of a sender into that of the receiver. Senders that wait
/// are served in the order in which they came.
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    let meeting = Rc::new(RefCell::new(Meeting {
        offers: VecDeque::new(),
        offered: 0,
        waiting: None,
        senders: 1,
        receiver_gone: false,
    }));
    (Sender(meeting.clone()), Receiver(meeting))
}

/// An end of [`rendezvous`] into which values go.
#[derive(Debug)]
pub struct Sender<T>(Rc<RefCell<Meeting<T>>>);

/// The end of [`rendezvous`] out of which values come.
#[derive(Debug)]
pub struct Receiver<T>(Rc<RefCell<Meeting<T>>>);

#[derive(Debug)]
struct Meeting<T> {
    offers: VecDeque<Offer<T>>,
    offered: u64,
    /// The receiver, if it waits.
    waiting: Option<Waker>,
    senders: usize,
    receiver_gone: bool,
}

#[derive(Debug)]
struct Offer<T> {
    number: u64,
    value: T,
    waker: Waker,
}

impl<T> Sender<T> {
    /// Waits until the receiver has taken `value`. Dropped before that, it takes the value back.
    ///
    /// # Errors
    ///
    /// The value, if the receiver is gone.
    pub fn send(&self, value: T) -> Sending<T> {
        Sending { meeting: self.0.clone(), state: SendState::New(Some(value)) }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.borrow_mut().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut meeting = self.0.borrow_mut();
        meeting.senders -= 1;
        let waker = if meeting.senders == 0 { meeting.waiting.take() } else { None };
        drop(meeting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A value that is held out, from [`Sender::send`].
#[must_use = "nothing is offered unless it is awaited"]
#[derive(Debug)]
pub struct Sending<T> {
    meeting: Rc<RefCell<Meeting<T>>>,
    state: SendState<T>,
}

#[derive(Debug)]
enum SendState<T> {
    New(Option<T>),
    Offered(u64),
    Over,
}

impl<T> Meeting<T> {
    /// Takes an offer out of the line, if it is still there.
    fn withdraw(&mut self, number: u64) -> Option<T> {
        let at = self.offers.iter().position(|offer| offer.number == number)?;
        self.offers.remove(at).map(|offer| offer.value)
    }
}

// Nothing in it refers to itself: the value is moved into the line and out of it.
impl<T> Unpin for Sending<T> {}

impl<T> Future for Sending<T> {
    type Output = Result<(), T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), T>> {
        let this = &mut *self;
        let mut meeting = this.meeting.borrow_mut();
        let number = match &mut this.state {
            SendState::New(value) => {
                let value = value.take().expect("a new offer has its value");
                let number = meeting.offered;
                meeting.offered += 1;
                meeting.offers.push_back(Offer { number, value, waker: context.waker().clone() });
                number
            }
            SendState::Offered(number) => *number,
            SendState::Over => panic!("a value is sent once"),
        };
        if meeting.receiver_gone {
            this.state = SendState::Over;
            return Poll::Ready(meeting.withdraw(number).map_or(Ok(()), Err));
        }
        let Some(offer) = meeting.offers.iter_mut().find(|offer| offer.number == number) else {
            this.state = SendState::Over;
            return Poll::Ready(Ok(()));
        };
        offer.waker.clone_from(context.waker());
        this.state = SendState::Offered(number);
        if let Some(waker) = meeting.waiting.take() {
            waker.wake();
        }
        Poll::Pending
    }
}

impl<T> Drop for Sending<T> {
    fn drop(&mut self) {
        if let SendState::Offered(number) = self.state {
            let value = self.meeting.borrow_mut().withdraw(number);
            // Dropped only now: what it owns may look at this channel.
            drop(value);
        }
    }
}

impl<T> Receiver<T> {
    /// Takes the next value; `None` when all senders are gone.
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        std::future::poll_fn(|context| {
            let mut meeting = self.0.borrow_mut();
            if let Some(offer) = meeting.offers.pop_front() {
                offer.waker.wake();
                return Poll::Ready(Some(offer.value));
            }
            if meeting.senders == 0 {
                return Poll::Ready(None);
            }
            meeting.waiting = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut meeting = self.0.borrow_mut();
        meeting.receiver_gone = true;
        let wakers: Vec<_> = meeting.offers.iter().map(|offer| offer.waker.clone()).collect();
        drop(meeting);
        wakers.into_iter().for_each(Waker::wake);
    }
}
