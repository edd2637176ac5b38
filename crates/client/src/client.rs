//! The handle: calls in, replies out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowline_kv::clerk::{Answer, CallError, Clerk, Sending, Step};
use bowline_kv::command::TransactionSize;
use bowline_kv::{Command, Reply};
use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use crate::connection::{Connection, Lost};
use crate::resp;

/// How long a call may take in all, unless it is said.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How long a node may take to close a session.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// A client of a cluster. See the [crate's page](crate).
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    clerk: Clerk,
    time_limit: Option<Duration>,
}

/// What a handle and its clones have together.
#[derive(Debug)]
struct Shared {
    /// One to each node.
    connections: Vec<Connection>,
    /// The clerks of handles that are gone. A new handle takes one of them, with its session.
    free: Mutex<Vec<Clerk>>,
    /// How many clerks were made: so that they do not all begin with the same node.
    made: AtomicUsize,
    /// Times are counted from here.
    begun: Instant,
}

/// A command of the user's, its name first.
type Words<'a> = &'a [&'a [u8]];

impl Client {
    /// A client of the cluster with these nodes, each HOST:PORT. All of them should be named; one that is not is never
    /// asked. Nothing is done before the first call.
    ///
    /// # Panics
    ///
    /// Without a node.
    pub fn new(nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::over(nodes.into_iter().map(Connection::new).collect())
    }

    /// The same, of a cluster that asks for this password. If it is wrong, no call is executed, and
    /// each says `WRONGPASS`.
    ///
    /// # Panics
    ///
    /// Without a node.
    pub fn with_password(
        nodes: impl IntoIterator<Item = impl Into<String>>,
        password: impl AsRef<[u8]>,
    ) -> Self {
        let connection = |node| Connection::new(node).with_password(Some(password.as_ref()));
        Self::over(nodes.into_iter().map(connection).collect())
    }

    fn over(connections: Vec<Connection>) -> Self {
        assert!(!connections.is_empty(), "a client needs the address of a node");
        let (free, made) = (Mutex::default(), AtomicUsize::new(0));
        let shared = Arc::new(Shared { connections, free, made, begun: Instant::now() });
        let clerk = shared.clerk();
        Self { shared, clerk, time_limit: Some(TIME_LIMIT) }
    }

    /// From now on calls of this handle, and of clones that it makes, end after so long; with none they try for ever.
    /// At first it is 30 seconds.
    #[must_use]
    pub fn with_time_limit(mut self, time_limit: Option<Duration>) -> Self {
        self.time_limit = time_limit;
        self
    }

    /// The value of a key; of a missing one it is empty. `call(["GET", key])` tells the two apart.
    ///
    /// # Errors
    ///
    /// As [`call`](Client::call).
    pub async fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Bytes, CallError> {
        self.command(&[b"GET", key.as_ref()]).await.map(Reply::into_value)
    }

    /// Gives a key a value.
    ///
    /// # Errors
    ///
    /// As [`call`](Client::call).
    pub async fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), CallError> {
        self.command(&[b"SET", key.as_ref(), value.as_ref()]).await.map(drop)
    }

    /// Puts bytes behind the value of a key, and answers how long it is then, in bytes. A missing key has the empty
    /// value.
    ///
    /// # Errors
    ///
    /// As [`call`](Client::call).
    pub async fn append(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<u64, CallError> {
        let reply = self.command(&[b"APPEND", key.as_ref(), value.as_ref()]).await?;
        match reply {
            Reply::Int(length) => Ok(length.unsigned_abs()),
            other => Err(CallError::Failed(format!("APPEND was answered by {other:?}"))),
        }
    }

    /// Carries out a command about keys, its name first, exactly once, and answers what Redis would. A command that only
    /// reads is simply asked again when it is not answered.
    ///
    /// ```no_run
    /// # async fn example(client: &mut bowline_client::Client) -> Result<(), bowline_client::CallError> {
    /// use bowline_client::Reply;
    ///
    /// let taken = client.call(["SET", "lock", "me", "NX", "PX", "10000"]).await?;
    /// assert!(matches!(taken, Reply::Ok | Reply::Nil));
    /// let visits = client.call(["INCR", "visits"]).await?;
    /// # let _ = visits; Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`CallError::NotExecuted`]: it certainly has no effect, now or later: the cluster had no leader or no room, or
    ///   does not know the password, or this is no command that can be sent.
    /// - [`CallError::Unknown`]: it may have had its effect, once, or have it yet.
    /// - [`CallError::Failed`]: this error is the answer, as when INCR meets a word.
    pub async fn call<A: AsRef<[u8]>>(
        &mut self,
        command: impl IntoIterator<Item = A>,
    ) -> Result<Reply, CallError> {
        let command: Vec<A> = command.into_iter().collect();
        let words: Vec<&[u8]> = command.iter().map(AsRef::as_ref).collect();
        self.command(&words).await
    }

    /// Carries out commands about keys as one, exactly once, and answers what each of them answers: `MULTI`, the commands,
    /// `EXEC`. Nobody sees a part of it. One that fails, by an error among the replies, stops none of the others, as in
    /// Redis.
    ///
    /// ```no_run
    /// # async fn example(client: &mut bowline_client::Client) -> Result<(), bowline_client::CallError> {
    /// client.transaction([["DECRBY", "alice", "10"], ["INCRBY", "bob", "10"]]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`call`](Client::call). One that is larger than a node takes is certainly not executed: all together may have as
    /// many bytes as one command.
    pub async fn transaction<C: IntoIterator<Item = A>, A: AsRef<[u8]>>(
        &mut self,
        commands: impl IntoIterator<Item = C>,
    ) -> Result<Vec<Reply>, CallError> {
        let commands: Vec<Vec<A>> =
            commands.into_iter().map(|command| command.into_iter().collect()).collect();
        let words: Vec<Vec<&[u8]>> =
            commands.iter().map(|command| command.iter().map(AsRef::as_ref).collect()).collect();
        let deadline = self.begin(&transaction(&words)?);
        let reply = self.run(deadline, |prefix| transaction_frame(&words, prefix)).await?;
        match reply {
            Reply::Array(replies) => Ok(replies),
            other => Err(CallError::Failed(format!("EXEC was answered by {other:?}"))),
        }
    }

    /// Ends the sessions of this handle and of clones that are gone, as far as a node is there that does it. Those that
    /// are not closed end by themselves, when they were unused for an hour or to make room for others.
    pub async fn close(mut self) {
        let mut free = std::mem::take(&mut *self.shared.free());
        let sessions: Vec<_> = free
            .iter_mut()
            .chain([&mut self.clerk])
            .filter_map(Clerk::leave)
            .map(|id| id.to_string())
            .collect();
        for session in sessions {
            for connection in &self.shared.connections {
                let deadline = Instant::now() + CLOSE_TIME;
                let closed = connection.call(&[b"ONCE", b"CLOSE", session.as_bytes()], Some(deadline)).await;
                match closed {
                    Ok(Reply::Ok) => break,
                    Ok(Reply::Error(text)) if text.starts_with(b"NOSESSION ") => break,
                    _ => {}
                }
            }
        }
    }

    async fn command(&mut self, words: Words<'_>) -> Result<Reply, CallError> {
        let deadline = self.begin(&parse(words)?);
        self.run(deadline, |prefix| command_frame(prefix, words)).await
    }

    /// Begins a call, and says until when it is tried: for ever, if the limit is beyond what a clock can show.
    fn begin(&mut self, command: &Command<'_>) -> Option<Instant> {
        let deadline = self.time_limit.and_then(|limit| Instant::now().checked_add(limit));
        self.clerk.begin(command, deadline.map(|deadline| deadline - self.shared.begun));
        deadline
    }

    /// Makes the call that was begun. `frame` makes what is sent of what has to stand in front of the command, and says
    /// how many replies that has.
    async fn run(
        &mut self,
        deadline: Option<Instant>,
        frame: impl Fn(Words<'_>) -> (Vec<u8>, usize),
    ) -> Result<Reply, CallError> {
        let begun = self.shared.begun;
        let mut trouble = None;
        loop {
            let (server, what) = match self.clerk.next(begun.elapsed()) {
                Step::Done(outcome) => return outcome.map_err(|error| with_trouble(error, trouble)),
                Step::Wait(until) => {
                    sleep_until(begun + until).await;
                    continue;
                }
                Step::Send { server, what } => (server, what),
            };
            let (frame, replies) = match what {
                Sending::Open => command_frame(&[], &[b"ONCE", b"OPEN"]),
                Sending::Plain => frame(&[]),
                Sending::Once { session, number } => {
                    let (session, number) = (session.to_string(), number.to_string());
                    frame(&[b"ONCE", session.as_bytes(), number.as_bytes()])
                }
            };
            let connection = &self.shared.connections[server];
            let answer = connection.ask(frame, replies, deadline).await;
            match &answer {
                Ok(Reply::Error(text)) => {
                    trouble = Some((connection.addr(), String::from_utf8_lossy(text).into_owned()));
                }
                Ok(_) => {}
                Err(lost) => trouble = Some((connection.addr(), lost.to_string())),
            }
            self.clerk.answered(match answer {
                Ok(reply) => Answer::of_reply(reply),
                Err(Lost::NotSent(_)) => Answer::NotLeader(None),
                Err(Lost::Unanswered(_)) => Answer::Silence,
            });
        }
    }
}

impl Clone for Client {
    /// A handle with a clerk of its own: the two can have calls out at the same time.
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), clerk: self.shared.clerk(), time_limit: self.time_limit }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let clerk = std::mem::replace(&mut self.clerk, Clerk::new(1));
        self.shared.free().push(clerk);
    }
}

impl Shared {
    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Clerk>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is free, or a new one.
    fn clerk(&self) -> Clerk {
        self.free().pop().unwrap_or_else(|| {
            let nodes = self.connections.len();
            Clerk::new(nodes).starting_with(self.made.fetch_add(1, Ordering::Relaxed) % nodes)
        })
    }
}

/// An error with what the last node that did not help has said.
fn with_trouble(error: CallError, trouble: Option<(&str, String)>) -> CallError {
    let with = |text: String| match &trouble {
        Some((_, said)) if *said == text => text,
        Some((addr, said)) => format!("{text}; the last trouble, with {addr}: {said}"),
        None => text,
    };
    match error {
        CallError::NotExecuted(text) => CallError::NotExecuted(with(text)),
        CallError::Unknown(text) => CallError::Unknown(with(text)),
        CallError::Failed(text) => CallError::Failed(text),
    }
}

/// The command that these words spell. Wrong ones are found before anything is sent.
fn parse<'a>(words: &[&'a [u8]]) -> Result<Command<'a>, CallError> {
    match Command::parse(words) {
        Ok(Command::Session(_)) => {
            Err(CallError::NotExecuted("ERR the client itself sends ONCE with what it is asked".to_owned()))
        }
        Ok(command) => Ok(command),
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// The transaction of these commands.
fn transaction<'a>(commands: &[Vec<&'a [u8]>]) -> Result<Command<'a>, CallError> {
    let (mut parsed, mut size, mut encoded) = (Vec::new(), TransactionSize::default(), Vec::new());
    for words in commands {
        let command = parse(words)?;
        encoded.clear();
        command.encode(&mut encoded);
        size.add(encoded.len(), words.len()).map_err(|refusal| refused(&refusal))?;
        parsed.push(command);
    }
    Ok(Command::Exec { conditions: Vec::new(), commands: parsed })
}

/// What nobody was asked, for this reason.
fn refused(refusal: &Reply) -> CallError {
    let Reply::Error(text) = refusal else { unreachable!("a refusal is an error: {refusal:?}") };
    CallError::NotExecuted(String::from_utf8_lossy(text).into_owned())
}

fn command_frame(prefix: Words<'_>, words: Words<'_>) -> (Vec<u8>, usize) {
    let mut frame = Vec::new();
    resp::encode([prefix, words].concat().iter(), &mut frame);
    (frame, 1)
}

fn transaction_frame(commands: &[Vec<&[u8]>], prefix: Words<'_>) -> (Vec<u8>, usize) {
    let mut frame = Vec::new();
    resp::encode([b"MULTI"].iter(), &mut frame);
    for words in commands {
        resp::encode(words.iter(), &mut frame);
    }
    let (exec, _) = command_frame(prefix, &[b"EXEC"]);
    frame.extend_from_slice(&exec);
    (frame, commands.len() + 2)
}

#[cfg(test)]
mod tests;
