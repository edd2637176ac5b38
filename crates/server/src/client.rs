//! One client's connection: bytes in, commands out, replies in the order of the commands.
//!
//! A task a connection waits for bytes, takes all that are there, and hands every command in them
//! to the replica; the replies are written by the loop, at the end of its pass, all at once. The
//! task writes only what the socket did not take then.
//!
//! Who closes a socket with unread bytes in it makes the system reset the connection, and a reset takes
//! away from the other side what it has not read yet: above all the error that says why. So a connection
//! that is closed from here is first closed for writing, and what still comes is read and dropped for a
//! while.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use bowline_kv::{ClientId, Command, Reply};
use tokio::net::TcpStream;

use crate::face::{Action, Connection};
use crate::outbox::Outbox;
use crate::resp::{Protocol, Reader, Value};
use crate::shell::{self, Shell};
use crate::snapshot::Asked;

/// How many commands of one connection may be unanswered before it is not read any further, at most.
const MAX_UNANSWERED: usize = 1024;

/// How many at first. A few bytes may ask for a large value, and how large the answers are is seen only when
/// they come: so the number grows by one with every small answer, and a large one lowers it.
const FIRST_UNANSWERED: usize = 8;

/// An answer of more bytes is a large one.
const LARGE_ANSWER_BYTES: usize = 64 << 10;

/// As many large answers may be under way as make together about so many bytes.
const LARGE_UNANSWERED_BYTES: usize = 64 << 20;

/// How many bytes of replies may wait for the client to read them before it is not read, and before
/// further replies are put into form.
const MAX_UNREAD_BYTES: usize = 1 << 20;

/// A client that is owed more bytes of replies than this is disconnected: it has asked for large values behind
/// many small ones, and reads nothing.
const MAX_OWED_BYTES: usize = 256 << 20;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 16 << 10;

/// How often a connection reads before the others have their turn.
const READS_A_TURN: usize = 4;

/// How much is dropped from a client that is being told why its connection ends: as much as the longest
/// value that Redis takes, so that a client that sends one here gets to the end of it, and then reads.
const MAX_LINGER_BYTES: usize = 512 << 20;

/// How long that may take.
const LINGER_TIME: Duration = Duration::from_secs(5);

/// A client that is connected.
pub(crate) struct Client {
    pub(crate) id: ClientId,
    stream: TcpStream,
    outbox: Outbox,
    state: RefCell<State>,
    /// Whether something waits to be written by the loop.
    pub(crate) dirty: Cell<bool>,
}

struct State {
    connection: Connection,
    reader: Reader,
    /// One for each command that is not answered on the wire, in order.
    owed: VecDeque<Owed>,
    /// The token of the first of them.
    first_token: u64,
    /// What the replies among them take, in bytes.
    owed_bytes: usize,
    /// How many of them have no reply yet, and how many may have none.
    unanswered: usize,
    may_be_unanswered: usize,
    /// It was owed too much: whatever else comes is dropped.
    given_up: bool,
    /// Nothing more is read; the connection is closed when all that is owed is written.
    closing: bool,
    /// It waits for an answer that decides what becomes of what is behind.
    awaits: bool,
    /// It was not read because it is owed too much.
    full: bool,
}

/// What is made of a replica's answer.
#[derive(Clone, Copy)]
enum Form {
    /// It is sent as it is.
    Plain,
    /// It is EXEC's.
    Exec,
    /// The connection waits for it, and takes nothing more until then.
    Awaited,
}

enum Owed {
    /// The replica has it. The dialect is that of the moment in which the command came.
    Waiting(Protocol, Form),
    /// It is here.
    Ready(Protocol, Value),
}

impl Client {
    pub(crate) fn new(stream: TcpStream, connection: Connection) -> Self {
        Self {
            id: ClientId(connection.id()),
            stream,
            outbox: Outbox::default(),
            state: RefCell::new(State {
                connection,
                reader: Reader::new(),
                owed: VecDeque::new(),
                first_token: 0,
                owed_bytes: 0,
                unanswered: 0,
                may_be_unanswered: FIRST_UNANSWERED,
                given_up: false,
                closing: false,
                awaits: false,
                full: false,
            }),
            dirty: Cell::new(false),
        }
    }

    /// Carries the connection until it ends.
    pub(crate) async fn run(&self, shell: &Rc<Shell>) {
        // However it ends, there is nobody left to tell.
        let _ = self.carry(shell).await;
    }

    async fn carry(&self, shell: &Rc<Shell>) -> io::Result<()> {
        loop {
            if self.is_finished() {
                return self.linger(shell).await;
            }
            let may_read = self.may_read(shell);
            self.outbox.wait(&self.stream, may_read).await?;
            if may_read && !self.read(shell)? {
                return Ok(());
            }
            self.flush(shell)?;
            tokio::task::coop::consume_budget().await;
        }
    }

    /// Ends the connection so that the client can read all that it was sent.
    async fn linger(&self, shell: &Shell) -> io::Result<()> {
        if self.state.borrow().given_up {
            return Ok(());
        }
        socket2::SockRef::from(&self.stream).shutdown(Shutdown::Write)?;
        let mut left = MAX_LINGER_BYTES;
        let mut dropped = vec![0; READ_BYTES];
        let drop_input = async {
            while left > 0 {
                match self.stream.try_read(&mut dropped) {
                    Ok(0) => return Ok(()),
                    Ok(count) => left = left.saturating_sub(count),
                    // A stop waits for nobody who has been answered.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if shell.is_stopping() {
                            return Ok(());
                        }
                        self.outbox.wait(&self.stream, true).await?;
                    }
                    Err(error) => return Err(error),
                }
                tokio::task::coop::consume_budget().await;
            }
            Ok(())
        };
        tokio::time::timeout(LINGER_TIME, drop_input).await.unwrap_or(Ok(()))
    }

    /// Lets the task look again: whether it may read, or should end.
    pub(crate) fn ring(&self) {
        self.outbox.bell.notify_one();
    }

    /// Nothing more is to be read; what is owed is still answered.
    pub(crate) fn finish(&self) {
        self.state.borrow_mut().closing = true;
        self.ring();
    }

    pub(crate) fn describe(&self, filter: &crate::face::ClientFilter, now_us: u64) -> Option<String> {
        let state = self.state.borrow();
        filter.keeps(&state.connection).then(|| state.connection.describe(now_us))
    }

    /// Whether all is written that the client will ever get.
    pub(crate) fn is_finished(&self) -> bool {
        let state = self.state.borrow();
        state.closing && state.owed.is_empty() && self.outbox.is_empty()
    }

    fn may_read(&self, shell: &Shell) -> bool {
        let mut state = self.state.borrow_mut();
        state.full = !state.has_room();
        !state.closing && !state.full && self.outbox.len() < MAX_UNREAD_BYTES && shell.has_room(self.id)
    }

    /// Takes what has arrived. False at the end of the stream.
    fn read(&self, shell: &Rc<Shell>) -> io::Result<bool> {
        for _ in 0..READS_A_TURN {
            self.take_commands(shell);
            if !self.may_read(shell) {
                break;
            }
            let mut state = self.state.borrow_mut();
            let buffer = state.reader.buffer();
            buffer.reserve(READ_BYTES);
            match self.stream.try_read_buf(buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => shell.stats.input_bytes.set(shell.stats.input_bytes.get() + count as u64),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.take_commands(shell);
        Ok(true)
    }

    /// Hands over the commands that are complete, as far as there is room for them.
    fn take_commands(&self, shell: &Rc<Shell>) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        while !state.closing && state.has_room() && self.outbox.len() < MAX_UNREAD_BYTES {
            let frame = match state.reader.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    state.closing = true;
                    let protocol = state.connection.protocol();
                    state.owe(Owed::Ready(protocol, error.into()));
                    break;
                }
            };
            let args = frame.args();
            shell.stats.commands.set(shell.stats.commands.get() + 1);
            let action = state.connection.handle(&args, &shell.info, shell::unix_us());
            let protocol = state.connection.protocol();
            let token = state.first_token + state.owed.len() as u64;
            let owed = match action {
                Action::Data => match Command::parse(&args) {
                    Ok(command) => {
                        shell.submit(self.id, token, &command);
                        Owed::Waiting(protocol, Form::Plain)
                    }
                    Err(error) => Owed::Ready(protocol, error.into()),
                },
                Action::Exec(command) => {
                    self.submit_encoded(state, &command, shell);
                    Owed::Waiting(protocol, Form::Exec)
                }
                Action::Await(command) => {
                    self.submit_encoded(state, &command, shell);
                    state.awaits = true;
                    Owed::Waiting(protocol, Form::Awaited)
                }
                Action::Digest => {
                    shell.digest(self.id, token);
                    Owed::Waiting(protocol, Form::Plain)
                }
                Action::Close(value) => {
                    state.closing = true;
                    Owed::Ready(protocol, value)
                }
                Action::Drop => {
                    state.closing = true;
                    break;
                }
                action => Owed::Ready(protocol, self.value_of(&state.connection, action, shell)),
            };
            state.owe(owed);
            state.settle(&self.outbox, shell);
        }
        state.settle(&self.outbox, shell);
    }

    fn submit_encoded(&self, state: &State, command: &[u8], shell: &Shell) {
        let token = state.first_token + state.owed.len() as u64;
        shell.submit(self.id, token, &Command::decode(command).expect("the connection has encoded it"));
    }

    /// What an action answers that needs nobody else.
    fn value_of(&self, connection: &Connection, action: Action, shell: &Shell) -> Value {
        match action {
            Action::Reply(value) => value,
            Action::Info(sections) => shell.info_text(sections),
            Action::ClientList(filter) => {
                // This client's own line too, though its state is borrowed here.
                let own = filter.keeps(connection).then(|| connection.describe(shell::unix_us()));
                shell.client_list(&filter, self.id, own)
            }
            Action::Save => save(shell),
            Action::LastSave => last_save(shell),
            Action::ResetStats => {
                shell.stats.reset();
                Value::ok()
            }
            other => unreachable!("not an answer: {other:?}"),
        }
    }

    /// The replica's answer to one of this client's commands.
    pub(crate) fn answer(&self, token: u64, reply: Reply, shell: &Shell) {
        let mut state = self.state.borrow_mut();
        if state.given_up {
            return;
        }
        let at = token.checked_sub(state.first_token).and_then(|at| usize::try_from(at).ok());
        let Some(place) = at.filter(|at| *at < state.owed.len()) else {
            panic!("an answer to command {token} of client {:?}, which owes none", self.id)
        };
        let Owed::Waiting(protocol, form) = state.owed[place] else {
            panic!("two answers to command {token} of client {:?}", self.id)
        };
        let value = match form {
            Form::Plain => Value::from(reply),
            Form::Exec => Connection::exec_value(reply),
            Form::Awaited => {
                state.awaits = false;
                // What has arrived already may go on now.
                self.ring();
                let value_of = |connection: &Connection, action| self.value_of(connection, action, shell);
                state.connection.answered(reply, &shell.info, shell::unix_us(), value_of)
            }
        };
        let bytes = value.memory_bytes();
        state.owed[place] = Owed::Ready(protocol, value);
        state.owed_bytes += bytes;
        state.learn(bytes);
        state.settle(&self.outbox, shell);
        if state.owed_bytes > MAX_OWED_BYTES {
            self.give_up(&mut state);
        }
    }

    /// Ends the connection of a client that is owed too much.
    fn give_up(&self, state: &mut State) {
        tracing::warn!(
            "client {} is disconnected: replies of {} bytes wait for it, and the limit is {MAX_OWED_BYTES}; it must \
             read before it asks for more",
            self.stream.peer_addr().map_or_else(|_| "that is gone".to_owned(), |addr| addr.to_string()),
            state.owed_bytes
        );
        state.given_up = true;
        state.closing = true;
        state.owed.clear();
        state.owed_bytes = 0;
        self.outbox.clear();
        self.ring();
    }

    /// After answers: commands that had to wait for room in the queue may be taken.
    pub(crate) fn answered(&self) {
        let mut state = self.state.borrow_mut();
        if std::mem::take(&mut state.full) {
            self.ring();
        }
    }

    /// Writes what there is, and goes on with the replies for which there was no room.
    pub(crate) fn flush(&self, shell: &Shell) -> io::Result<()> {
        loop {
            let was_full = self.outbox.len() >= MAX_UNREAD_BYTES;
            let written = self.outbox.flush_or_ring(&self.stream)?;
            shell.stats.output_bytes.set(shell.stats.output_bytes.get() + written as u64);
            let has_room = self.outbox.len() < MAX_UNREAD_BYTES;
            if !(was_full && has_room) {
                return Ok(());
            }
            self.state.borrow_mut().settle(&self.outbox, shell);
            if self.outbox.is_empty() {
                // Commands that have arrived already may go on now.
                self.ring();
                return Ok(());
            }
        }
    }
}

fn save(shell: &Shell) -> Value {
    match shell.snapshots.ask() {
        Asked::Begins => Value::simple("Background saving started"),
        Asked::UnderWay => Value::error("ERR Background save already in progress"),
    }
}

fn last_save(shell: &Shell) -> Value {
    let seconds = shell.snapshots.figures().last_save_us / 1_000_000;
    Value::Int(i64::try_from(seconds).unwrap_or(i64::MAX))
}

impl State {
    /// Whether commands may be taken, for what is owed.
    fn has_room(&self) -> bool {
        !self.awaits
            && self.owed.len() < MAX_UNANSWERED
            && self.unanswered < self.may_be_unanswered
            && self.owed_bytes < MAX_UNREAD_BYTES
    }

    /// An answer of so many bytes has come.
    fn learn(&mut self, bytes: usize) {
        self.unanswered -= 1;
        self.may_be_unanswered = if bytes <= LARGE_ANSWER_BYTES {
            (self.may_be_unanswered + 1).min(MAX_UNANSWERED)
        } else {
            self.may_be_unanswered.min(LARGE_UNANSWERED_BYTES / bytes).max(1)
        };
    }

    fn owe(&mut self, owed: Owed) {
        match &owed {
            Owed::Ready(_, value) => self.owed_bytes += value.memory_bytes(),
            Owed::Waiting(..) => self.unanswered += 1,
        }
        self.owed.push_back(owed);
    }

    /// Puts the replies at the front that are there into form, as far as there is room.
    fn settle(&mut self, outbox: &Outbox, shell: &Shell) {
        while outbox.len() < MAX_UNREAD_BYTES {
            let Some(Owed::Ready(protocol, value)) = self.owed.pop_front_if(|o| matches!(o, Owed::Ready(..)))
            else {
                break;
            };
            self.first_token += 1;
            self.owed_bytes -= value.memory_bytes();
            if matches!(value, Value::Error(_)) {
                shell.stats.errors.set(shell.stats.errors.get() + 1);
            }
            outbox.push(|out| value.write(protocol, out));
        }
    }
}
