//! Tasks in virtual time: an executor whose clock stands still while anybody can run.
//!
//! A world of events ([`crate::world`]) is driven from outside, one event at a time. Scripts that wait, and wait
//! for one another, read better as futures. [`Sim::run`] polls them on one thread, and this is all of its rule:
//!
//! | step | what happens |
//! |---|---|
//! | 1 | tasks that were woken run, in the order in which they were woken, until none is left |
//! | 2 | the earliest timer wakes its task, and it is now that time; of one instant, the first registered |
//! | 3 | without a timer nothing could ever happen again: the run has failed |
//!
//! So whatever follows from one timer has followed before the next one fires, even at the same instant, and
//! the same tasks make the same run on every machine.
//!
//! Tasks hold handles of the executor that holds them. The circle is broken when [`Sim::run`] returns, or
//! unwinds because a task has panicked: every task and timer is dropped then.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A future on the heap that stays on its thread.
pub type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// How many polls one instant may take. A loop that waits without time passing would go on for ever; the
/// largest scenarios need a few thousand.
const POLLS_AN_INSTANT: u64 = 1_000_000;

/// A handle of the executor, for those who run in it.
///
/// After [`Sim::run`] has returned a handle that is left over still tells the time; tasks that are spawned with
/// it are dropped at once, and its sleeps never end.
#[derive(Clone)]
pub struct Sim(Rc<Executor>);

/// Why a run did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When, since the beginning of the run.
    pub at: Duration,
    /// What was told to [`Sim::fail`], or what the executor itself found.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.6} s: {}", self.at.as_secs_f64(), self.what)
    }
}

impl std::error::Error for Failure {}

struct Executor {
    now: Cell<Duration>,
    /// Those who sleep, by the time at which they wake and the order in which they went to sleep.
    timers: RefCell<BTreeMap<TimerKey, Waker>>,
    registered: Cell<u64>,
    tasks: RefCell<Tasks>,
    woken: Arc<Woken>,
    /// How often tasks were polled since it became this time.
    polls: Cell<u64>,
    /// Nothing is polled any more.
    over: Cell<bool>,
    failure: RefCell<Option<Failure>>,
}

type TimerKey = (Duration, u64);

/// All tasks, each in a place of its own. A place is used again, so a task is known by a number too.
#[derive(Default)]
struct Tasks {
    places: Vec<Place>,
    free: Vec<usize>,
    spawned: u64,
}

struct Place {
    number: u64,
    /// Absent while it is polled, and when it is done.
    job: Option<Job>,
}

struct Job {
    future: LocalBoxFuture<()>,
    waker: Waker,
    wake_up: Arc<WakeUp>,
}

#[derive(Clone, Copy)]
struct TaskId {
    place: usize,
    number: u64,
}

/// The tasks that are to run. Wakers must be able to leave the thread, whether or not they do.
#[derive(Default)]
struct Woken(Mutex<VecDeque<TaskId>>);

struct WakeUp {
    task: TaskId,
    /// It is in line already.
    queued: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for WakeUp {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.woken.push(self.task);
        }
    }
}

impl Woken {
    fn push(&self, task: TaskId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(task);
    }

    /// Exchanges those in line for an empty line; whether there were any.
    fn take(&self, line: &mut VecDeque<TaskId>) -> bool {
        std::mem::swap(line, &mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        !line.is_empty()
    }
}

impl Sim {
    /// Runs `main` and all that it spawns, until it is done or somebody has called [`Sim::fail`]. What is not
    /// done by then is dropped.
    ///
    /// # Errors
    ///
    /// The first failure that was told; or that nothing is left that could happen, since every task waits for
    /// another one; or that tasks run without end at one instant.
    ///
    /// # Panics
    ///
    /// If a task panics: the panic unwinds through here.
    pub fn run<T: 'static, F: Future<Output = T> + 'static>(
        main: impl FnOnce(Sim) -> F,
    ) -> Result<T, Failure> {
        let sim = Self(Rc::new(Executor::new()));
        let _end = End(sim.clone());
        let (future, handle) = (main(sim.clone()), sim.clone());
        let main = sim.spawn(async move {
            let value = future.await;
            handle.0.over.set(true);
            value
        });
        sim.0.turn();
        match sim.0.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(main.value().expect("a run without a failure ends with its first task")),
        }
    }

    /// The time since the beginning of the run.
    pub fn now(&self) -> Duration {
        self.0.now.get()
    }

    /// Waits until `time` has passed since this call. Even a sleep of no time lets all those run who can.
    pub fn sleep(&self, time: Duration) -> Sleep {
        let until = self.now().saturating_add(time);
        Sleep { sim: self.clone(), state: SleepState::New(until) }
    }

    /// Begins a task. It runs after those that were woken before, and is not stopped by dropping its handle.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        let outcome = Rc::new(RefCell::new(Outcome::Running(None)));
        let told = outcome.clone();
        self.0.begin(Box::pin(async move {
            let value = future.await;
            let before = told.replace(Outcome::Done(value));
            if let Outcome::Running(Some(waker)) = before {
                waker.wake();
            }
        }));
        Task(outcome)
    }

    /// Ends the run with a failure, as soon as the task that runs now waits or is done. The first one counts.
    pub fn fail(&self, what: impl Into<String>) {
        self.0.fail(what.into());
    }

    /// Whether somebody has called [`Sim::fail`].
    pub fn is_failed(&self) -> bool {
        self.0.failure.borrow().is_some()
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Executor {
    fn new() -> Self {
        Self {
            now: Cell::default(),
            timers: RefCell::default(),
            registered: Cell::default(),
            tasks: RefCell::default(),
            woken: Arc::default(),
            polls: Cell::default(),
            over: Cell::default(),
            failure: RefCell::default(),
        }
    }

    /// Runs until it is over.
    fn turn(&self) {
        let mut line = VecDeque::new();
        while !self.over.get() {
            if let Some(task) = line.pop_front() {
                self.poll(task);
            } else if !self.woken.take(&mut line) && !self.advance() {
                self.fail("nothing is left that could happen: every task waits for another one".to_owned());
            }
        }
    }

    /// Lets the earliest timer fire; whether there was one.
    fn advance(&self) -> bool {
        let Some(((at, _), waker)) = self.timers.borrow_mut().pop_first() else { return false };
        if self.now.replace(at) < at {
            self.polls.set(0);
        }
        waker.wake();
        true
    }

    /// Polls a task, unless it is done.
    fn poll(&self, id: TaskId) {
        let Some(mut job) = self.tasks.borrow_mut().take(id) else { return };
        self.polls.set(self.polls.get() + 1);
        if self.polls.get() > POLLS_AN_INSTANT {
            self.fail(format!("time stands still: {POLLS_AN_INSTANT} polls at one instant"));
        }
        job.wake_up.queued.store(false, Ordering::Relaxed);
        let progress = job.future.as_mut().poll(&mut Context::from_waker(&job.waker));
        if progress.is_pending() {
            self.tasks.borrow_mut().put_back(id, job);
        } else {
            // What it owned may spawn and wake when it is dropped.
            drop(job);
            self.tasks.borrow_mut().free.push(id.place);
        }
    }

    fn begin(&self, future: LocalBoxFuture<()>) {
        if self.over.get() {
            return;
        }
        let mut tasks = self.tasks.borrow_mut();
        let id = tasks.reserve();
        let wake_up = Arc::new(WakeUp { task: id, queued: AtomicBool::new(true), woken: self.woken.clone() });
        let waker = Waker::from(wake_up.clone());
        tasks.put_back(id, Job { future, waker, wake_up });
        self.woken.push(id);
    }

    fn fail(&self, what: String) {
        let mut failure = self.failure.borrow_mut();
        failure.get_or_insert_with(|| Failure { at: self.now.get(), what });
        self.over.set(true);
    }
}

impl Tasks {
    /// A place for a new task.
    fn reserve(&mut self) -> TaskId {
        self.spawned += 1;
        let number = self.spawned;
        let place = self.free.pop().unwrap_or(self.places.len());
        if place == self.places.len() {
            self.places.push(Place { number, job: None });
        }
        self.places[place].number = number;
        TaskId { place, number }
    }

    fn take(&mut self, id: TaskId) -> Option<Job> {
        let place = &mut self.places[id.place];
        if place.number == id.number { place.job.take() } else { None }
    }

    fn put_back(&mut self, id: TaskId, job: Job) {
        self.places[id.place].job = Some(job);
    }
}

/// Drops everything that a run has left, however it ends.
struct End(Sim);

impl Drop for End {
    fn drop(&mut self) {
        let executor = &self.0.0;
        executor.over.set(true);
        // A task that is dropped may drop others' wakers and sleeps, which look into the executor: nothing of
        // it may be borrowed meanwhile.
        let tasks = std::mem::take(&mut executor.tasks.borrow_mut().places);
        drop(tasks);
        let timers = std::mem::take(&mut *executor.timers.borrow_mut());
        drop(timers);
        executor.woken.take(&mut VecDeque::new());
    }
}

/// A time to wait, from [`Sim::sleep`].
#[must_use = "nobody sleeps unless it is awaited"]
pub struct Sleep {
    sim: Sim,
    state: SleepState,
}

enum SleepState {
    /// Until then; no timer yet.
    New(Duration),
    Waiting(TimerKey),
    Over,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.state {
            SleepState::New(until) => {
                let executor = &self.sim.0;
                let order = executor.registered.get();
                executor.registered.set(order + 1);
                // It may have been kept unused beyond its time, and time does not go back.
                let key = (until.max(executor.now.get()), order);
                executor.timers.borrow_mut().insert(key, context.waker().clone());
                self.state = SleepState::Waiting(key);
                Poll::Pending
            }
            SleepState::Waiting(key) => {
                if let Some(waker) = self.sim.0.timers.borrow_mut().get_mut(&key) {
                    waker.clone_from(context.waker());
                    return Poll::Pending;
                }
                self.state = SleepState::Over;
                Poll::Ready(())
            }
            SleepState::Over => Poll::Ready(()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let SleepState::Waiting(key) = self.state {
            self.sim.0.timers.borrow_mut().remove(&key);
        }
    }
}

/// What a task that was spawned comes to. Dropping it does not stop the task.
#[derive(Debug)]
pub struct Task<T>(Rc<RefCell<Outcome<T>>>);

#[derive(Debug)]
enum Outcome<T> {
    /// And who waits for it.
    Running(Option<Waker>),
    Done(T),
    /// The value has been handed out.
    Taken,
}

impl<T> Task<T> {
    /// The value, if it is there; it is there once.
    fn value(&self) -> Option<T> {
        let mut outcome = self.0.borrow_mut();
        match std::mem::replace(&mut *outcome, Outcome::Taken) {
            Outcome::Done(value) => Some(value),
            other => {
                *outcome = other;
                None
            }
        }
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let Some(value) = self.value() {
            return Poll::Ready(value);
        }
        match &mut *self.0.borrow_mut() {
            Outcome::Running(Some(waker)) => waker.clone_from(context.waker()),
            Outcome::Running(none) => *none = Some(context.waker().clone()),
            _ => panic!("the value of a task is handed out once"),
        }
        Poll::Pending
    }
}

/// Which of two futures was the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First<A, B> {
    /// The left one.
    Left(A),
    /// The right one.
    Right(B),
}

/// Waits for the first of two, the left one if both are there. The other one is dropped, so pass a `&mut` to
/// what is to go on.
pub async fn race<A: Future, B: Future>(left: A, right: B) -> First<A::Output, B::Output> {
    let (mut left, mut right) = (std::pin::pin!(left), std::pin::pin!(right));
    std::future::poll_fn(|context| {
        if let Poll::Ready(value) = left.as_mut().poll(context) {
            return Poll::Ready(First::Left(value));
        }
        right.as_mut().poll(context).map(First::Right)
    })
    .await
}
