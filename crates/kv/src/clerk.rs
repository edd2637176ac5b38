//! The client's side: whom to ask, what to make of the answer, when to ask again. Pure: whoever drives it sends
//! what it wants sent, by whatever network, and reports what became of it.
//!
//! ```text
//! begin(command, deadline) ─┐   ┌───────┐   ┌─ Send   ask that server, then answered(...)
//!                           ├──▶│ Clerk │──▶├─ Wait   nothing to be sent until then
//! answered(answer)         ─┘   └───────┘   └─ Done   the call is over
//! ```
//!
//! A clerk makes one call at a time. It asks the server that led when it last heard of one, and goes on to another
//! one when that does not lead or says nothing, for ever or until the call's deadline. Each sending of a
//! call has the same session and number, so the call happens once: see [`once`](crate::session::once).
//! The session is opened by the first call that writes. Reads need none. The clerk keeps no command: whoever drives
//! it does, and is told how to send it ([`Sending`]).
//!
//! | a sending is answered by | then |
//! |---|---|
//! | a result | that is the call's |
//! | "I do not lead" | it had no effect; the next one goes to the leader that was named, or to the next server |
//! | "nobody leads", after a while | the same, unless the call's end is near |
//! | silence | it may have had an effect; the next one goes to the next server |
//! | a refusal: no such session, a stale number, no room in the log, a wrong password | this sending had no effect |
//!
//! A refusal says nothing of earlier sendings. So when one of a write was met by silence, the call ends as
//! [`CallError::Unknown`] whatever a later sending is refused by; only when none was, it ends as
//! [`CallError::NotExecuted`], or, if the session is gone, goes on in a new one.
//!
//! A server that finds nobody who leads says so after [`PATIENCE`] at the latest. A write that is sent when less than that
//! is left ends in silence, and nobody knows of it then what was known before: so when it was told that nobody leads, and
//! nothing is uncertain, the call ends before that.
//!
//! An answer to OPEN that is lost leaves a session behind that nobody knows of. It holds no record, is never
//! used, and ends by its time or to make room.

use std::time::Duration;

use bytes::Bytes;

use crate::command::{Command, Condition, SessionCommand, SetExpiry};
use crate::reply::Reply;

/// How long it waits when it has asked as many servers as there are without a result: long enough not to
/// burden them, short beside an election.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a server may take to answer before it is taken for silent. One that carries its clients' commands holds them
/// for five seconds while nobody leads, and then says so.
pub const PATIENCE: Duration = Duration::from_secs(6);

/// How the errors begin by which a server refuses what it has not looked at any further: there is no room for it, it
/// does not know who asks, or does not understand what. Whatever else a server answers is a result.
const REFUSALS: [&[u8]; 10] = [
    b"LOGFULL ",
    b"CROWDED ",
    b"NOAUTH ",
    b"WRONGPASS ",
    b"NOPERM ",
    b"EXECABORT ",
    b"ERR unknown command ",
    b"ERR command ",
    b"ERR option ",
    b"ERR Protocol error",
];

/// What a call of the course labs asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The value of a key; of a missing one the empty string.
    Get {
        /// The key.
        key: Bytes,
    },
    /// Gives a key a value.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Puts bytes behind the value of a key; a missing key has the empty string.
    Append {
        /// The key.
        key: Bytes,
        /// What comes behind its value.
        value: Bytes,
    },
}

impl Operation {
    /// As a command of the store.
    pub fn command(&self) -> Command<'_> {
        match self {
            Self::Get { key } => Command::Get { key },
            Self::Put { key, value } => {
                let (condition, expiry) = (Condition::Always, SetExpiry::Never);
                Command::Set { key, value, condition, get: false, expiry }
            }
            Self::Append { key, value } => Command::Append { key, value },
        }
    }
}

/// What became of one sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server answered with this.
    Result(Reply),
    /// The server does not lead, and the sending certainly has no effect. Which server it takes for the leader.
    NotLeader(Option<usize>),
    /// The server has looked for a leader as long as it holds a command, and the sending certainly has no effect.
    NoLeader,
    /// Nothing, or that the server does not know: the sending may have had an effect, or have one yet.
    Silence,
}

impl Answer {
    /// What a reply says. A server that carries its clients' commands says by an error that there is no leader, or
    /// that it lost the one which it had asked.
    pub fn of_reply(reply: Reply) -> Self {
        match &reply {
            Reply::Error(text) if text.starts_with(b"UNCERTAIN ") => Self::Silence,
            Reply::Error(text) if text.starts_with(b"CLUSTERDOWN ") => Self::NoLeader,
            _ => Self::Result(reply),
        }
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It certainly has no effect, now or later.
    #[error("the call was certainly not executed: {0}")]
    NotExecuted(String),
    /// It may have had its effect, once, or have it yet.
    #[error("it is unknown whether the call was executed: {0}")]
    Unknown(String),
    /// It was executed, and this error is its result.
    #[error("{0}")]
    Failed(String),
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the call's command to that server, and report to [`Clerk::answered`] what comes of it; silence, at the latest when
    /// the call's deadline is past.
    Send {
        /// Which.
        server: usize,
        /// How.
        what: Sending,
    },
    /// Come again at this time.
    Wait(Duration),
    /// The call is over, and this was answered: never an error. [`Reply::into_value`] is what a get has read.
    Done(Result<Reply, CallError>),
}

/// How a command is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Not yet: a session must be opened first.
    Open,
    /// As it is. It only reads.
    Plain,
    /// As a request of a session.
    Once {
        /// The session's id.
        session: u64,
        /// The request's number in it.
        number: u64,
    },
}

impl Sending {
    /// What is sent when the call's command is this one.
    pub fn of(self, command: Command<'_>) -> Command<'_> {
        match self {
            Self::Open => Command::Session(SessionCommand::Open),
            Self::Plain => command,
            Self::Once { session, number } => {
                Command::Session(SessionCommand::Run { session, number, command: Box::new(command) })
            }
        }
    }
}

/// A client of the store. See the module's own page.
#[derive(Debug)]
pub struct Clerk {
    servers: usize,
    /// Whom it asks next.
    server: usize,
    session: Option<Session>,
    call: Option<Call>,
}

#[derive(Debug)]
struct Session {
    id: u64,
    /// That of the last call which had one.
    number: u64,
}

#[derive(Debug)]
struct Call {
    writes: bool,
    deadline: Option<Duration>,
    /// Its number in the present session, once it has been sent there.
    number: Option<u64>,
    /// Whether a sending that writes was met by silence.
    is_uncertain: bool,
    /// Whether a server has said that nobody leads, and no result came since.
    found_no_leader: bool,
    /// Whether a sending is not answered yet.
    is_out: bool,
    /// How many sendings had no result, or lost the session, since the last pause.
    misses: usize,
    /// The end of a pause.
    pause_ends: Option<Duration>,
    outcome: Option<Result<Reply, CallError>>,
}

impl Clerk {
    /// A clerk that knows so many servers, numbered from 0, and has not asked any.
    ///
    /// # Panics
    ///
    /// Without a server.
    pub fn new(servers: usize) -> Self {
        assert!(servers > 0, "a clerk without a server");
        Self { servers, server: 0, session: None, call: None }
    }

    /// The same, which asks this server first.
    ///
    /// # Panics
    ///
    /// If there is no such server.
    pub fn starting_with(self, server: usize) -> Self {
        assert!(server < self.servers, "server {server} of {}", self.servers);
        Self { server, ..self }
    }

    /// Forgets its session, and says its id: whoever asks may close it.
    pub fn leave(&mut self) -> Option<u64> {
        self.session.take().map(|session| session.id)
    }

    /// Begins a call, with a time at which it is given up. A call that is not over is dropped: its number stays
    /// used, so what was sent of it has its effect before the next write of this clerk or never. If it was
    /// waiting for a server, that one has had its time, and the next one is asked.
    ///
    /// # Panics
    ///
    /// If the command is about sessions, or is WATCH: they cannot be in a session.
    pub fn begin(&mut self, command: &Command<'_>, deadline: Option<Duration>) {
        assert!(
            !matches!(command, Command::Session(_) | Command::Watch { .. }),
            "no command that a session runs: {command:?}"
        );
        if self.call.as_ref().is_some_and(|call| call.is_out) {
            self.server = (self.server + 1) % self.servers;
        }
        self.call = Some(Call {
            writes: command.is_write(),
            deadline,
            number: None,
            is_uncertain: false,
            found_no_leader: false,
            is_out: false,
            misses: 0,
            pause_ends: None,
            outcome: None,
        });
    }

    /// What is to be done at the time `now`. Times are counted from any fixed beginning.
    ///
    /// # Panics
    ///
    /// Without a call, or while a sending is not answered.
    pub fn next(&mut self, now: Duration) -> Step {
        let servers = self.servers;
        let call = self.call.as_mut().expect("a call was begun");
        assert!(!call.is_out, "a sending is not answered yet");
        if let Some(outcome) = call.outcome.take() {
            self.call = None;
            return Step::Done(outcome);
        }
        if let Some(error) = call.end(now) {
            self.call = None;
            return Step::Done(Err(error));
        }
        if call.misses >= servers {
            call.misses = 0;
            call.pause_ends = Some(now + PAUSE);
        }
        if let Some(end) = call.pause_ends.filter(|end| *end > now) {
            return Step::Wait(call.deadline.map_or(end, |deadline| deadline.min(end)));
        }
        call.pause_ends = None;
        call.is_out = true;
        Step::Send { server: self.server, what: self.sending() }
    }

    /// How the command is to be sent.
    fn sending(&mut self) -> Sending {
        let call = self.call.as_mut().expect("a call was begun");
        if !call.writes {
            return Sending::Plain;
        }
        let Some(session) = &mut self.session else { return Sending::Open };
        let number = *call.number.get_or_insert_with(|| {
            session.number += 1;
            session.number
        });
        Sending::Once { session: session.id, number }
    }

    /// What became of the last sending.
    ///
    /// # Panics
    ///
    /// If there was none.
    pub fn answered(&mut self, answer: Answer) {
        let servers = self.servers;
        let call = self.call.as_mut().filter(|call| call.is_out).expect("a sending is out");
        call.is_out = false;
        let next = (self.server + 1) % servers;
        match answer {
            Answer::Result(reply) => {
                call.found_no_leader = false;
                self.result(reply);
            }
            Answer::NotLeader(leader) => {
                call.misses += 1;
                self.server =
                    leader.filter(|&leader| leader < servers && leader != self.server).unwrap_or(next);
            }
            Answer::NoLeader => {
                call.misses += 1;
                call.found_no_leader = true;
                self.server = next;
            }
            Answer::Silence => {
                call.misses += 1;
                // An OPEN that took effect unseen has no effect on any key.
                call.is_uncertain |= call.number.is_some();
                self.server = next;
            }
        }
    }

    fn result(&mut self, reply: Reply) {
        let call = self.call.as_mut().expect("a call was begun");
        if call.writes && call.number.is_none() {
            match opened(&reply) {
                Some(id) => self.session = Some(Session { id, number: 0 }),
                None => call.outcome = Some(Err(call.no_effect_of_this(&told(&reply)))),
            }
            return;
        }
        let Reply::Error(text) = &reply else {
            call.outcome = Some(Ok(reply));
            return;
        };
        let is_gone = text.starts_with(b"NOSESSION ") || text.starts_with(b"ONCESTALE ");
        if is_gone {
            self.session = None;
        }
        if is_gone && !call.is_uncertain {
            call.number = None;
            // Where there is room for fewer sessions than there are clerks, the next one may end as soon.
            call.misses += 1;
        } else if is_gone || REFUSALS.iter().any(|refusal| text.starts_with(refusal)) {
            call.outcome = Some(Err(call.no_effect_of_this(&told(&reply))));
        } else {
            call.outcome = Some(Err(CallError::Failed(told(&reply))));
        }
    }
}

impl Call {
    /// Why it has to end at the time `now`, if it does.
    fn end(&self, now: Duration) -> Option<CallError> {
        let left = self.deadline?.saturating_sub(now);
        if left.is_zero() {
            return Some(self.no_effect_of_this("no result by the deadline"));
        }
        // It is a write that was sent, and none of its sendings can have had an effect.
        let certainly_not = self.number.is_some() && !self.is_uncertain;
        (certainly_not && self.found_no_leader && left < PATIENCE)
            .then(|| self.no_effect_of_this("nobody leads, and too little time is left to ask again"))
    }

    /// What is known when the last sending, or the lack of one, had no effect.
    fn no_effect_of_this(&self, why: &str) -> CallError {
        if self.is_uncertain {
            CallError::Unknown(why.to_owned())
        } else {
            CallError::NotExecuted(why.to_owned())
        }
    }
}

/// The id of the session that was opened, if this is the answer to OPEN.
fn opened(reply: &Reply) -> Option<u64> {
    let Reply::Int(id) = reply else { return None };
    u64::try_from(*id).ok().filter(|id| *id > 0)
}

/// An error's text, or what came instead of what was asked.
fn told(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => String::from_utf8_lossy(text).into_owned(),
        other => format!("ONCE OPEN was answered by {other:?}"),
    }
}

#[cfg(test)]
mod tests;
