//! What `dev` waits for.

use std::future::pending;
use std::time::Instant;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What has come.
#[derive(Clone, Copy)]
pub(super) enum Event {
    /// A signal, named, says to stop.
    Stop(&'static str),
    /// At least one node has ended; which is to be seen.
    ChildEnded,
    /// The time has come to do what was put off.
    Due,
    /// The time has come to ask the nodes how far they are.
    Probe,
}

/// The signals that concern `dev`.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    child: Signal,
}

impl Signals {
    /// The name of the signal that somebody at the terminal sends.
    pub(super) const CTRL_C: &'static str = "Ctrl-C";

    /// From here on those signals do nothing but be told by [`next`](Self::next).
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// The next signal, or the event of `timer` if its time comes first.
    pub(super) async fn next(&mut self, timer: Option<(Instant, Event)>) -> Event {
        let timer = async {
            match timer {
                None => pending().await,
                Some((at, event)) => {
                    tokio::time::sleep_until(at.into()).await;
                    event
                }
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Event::Stop(Self::CTRL_C),
            _ = self.terminate.recv() => Event::Stop("SIGTERM"),
            _ = self.hang_up.recv() => Event::Stop("SIGHUP"),
            _ = self.child.recv() => Event::ChildEnded,
            event = timer => event,
        }
    }
}
