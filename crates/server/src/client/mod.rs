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

mod answers;
mod state;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use bowline_kv::{ClientId, Command};
use tokio::net::TcpStream;

use self::state::{Brief, Form, MAX_UNREAD_BYTES, Moment, Owed, State};
use crate::face::{Action, Connection, KillFilter};
use crate::outbox::{Outbox, Wanted};
use crate::resp::Args;
use crate::shell::Shell;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 16 << 10;

/// How much may be read and wait behind a command that is waited for, in bytes.
const MAX_AHEAD_BYTES: usize = 64 << 10;

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
    /// The connection ends when the command that is being carried out is answered.
    closes: Cell<bool>,
    /// Commands that have arrived may be taken, though nothing more arrives.
    goes_on: Cell<bool>,
}

impl Client {
    pub(crate) fn new(stream: TcpStream, connection: Connection) -> Self {
        Self {
            id: ClientId(connection.id()),
            stream,
            outbox: Outbox::frugal(),
            state: RefCell::new(State::new(connection)),
            dirty: Cell::new(false),
            closes: Cell::new(false),
            goes_on: Cell::new(false),
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
            let wanted = self.wanted(shell);
            let ready = self.outbox.wait(&self.stream, wanted).await?;
            let has_ended = match wanted {
                Wanted::Bytes => !self.read(shell)?,
                Wanted::End => ready.is_error() || ready.is_read_closed(),
                Wanted::Nothing => ready.is_error(),
            };
            if has_ended {
                return Ok(());
            }
            if self.goes_on.take() {
                self.take_commands(shell);
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
                        self.outbox.wait(&self.stream, Wanted::Bytes).await?;
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

    /// Lets the task take the commands that have arrived.
    pub(crate) fn go_on(&self) {
        self.goes_on.set(true);
        self.ring();
    }

    /// Ends the connection, at once: nothing of what is owed is sent.
    pub(crate) fn kill(&self) {
        self.state.borrow_mut().drop_all();
        self.outbox.clear();
        self.ring();
    }

    /// Whether a command of this client waits for the end of a pause. None does of one that is just being served.
    pub(crate) fn is_held(&self) -> bool {
        self.state.try_borrow().is_ok_and(|state| state.held.is_some())
    }

    /// Whether nothing in front of the command with that token waits for an answer.
    pub(crate) fn is_next(&self, token: u64) -> bool {
        let state = self.state.borrow();
        let waiting = state.owed.iter().position(|owed| matches!(owed, Owed::Waiting(_)));
        waiting.is_none_or(|place| state.first_token + place as u64 >= token)
    }

    pub(crate) fn is_killed_by(&self, filter: &KillFilter, asker: ClientId) -> bool {
        filter.keeps(&self.state.borrow().connection, asker.0)
    }

    /// Whether it may be read, and if not, whether its end matters all the same.
    fn wanted(&self, shell: &Shell) -> Wanted {
        let mut state = self.state.borrow_mut();
        state.full = !state.has_room();
        if state.closing || self.outbox.len() >= state.max_unread_bytes(shell) {
            return Wanted::Nothing;
        }
        // What comes behind a command that is waited for stays where it is; the end of the connection must be seen,
        // since nobody knows how long it waits.
        if state.is_blocked(shell) {
            let has_room = state.reader.pending_bytes() < MAX_AHEAD_BYTES;
            return if has_room { Wanted::Bytes } else { Wanted::End };
        }
        if !state.full && shell.has_room(self.id) { Wanted::Bytes } else { Wanted::Nothing }
    }

    /// Takes what has arrived. False at the end of the stream.
    fn read(&self, shell: &Rc<Shell>) -> io::Result<bool> {
        let mut spare = shell.spare.take();
        self.state.borrow_mut().reader.take_memory(&mut spare);
        let is_open = self.read_with_memory(shell);
        self.state.borrow_mut().reader.give_back_memory(&mut spare);
        shell.spare.set(spare);
        is_open
    }

    fn read_with_memory(&self, shell: &Rc<Shell>) -> io::Result<bool> {
        for _ in 0..READS_A_TURN {
            self.take_commands(shell);
            if self.wanted(shell) != Wanted::Bytes {
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
        // One reading of the clocks for all that has come; what is carried out here moves it on.
        let mut moment = None;
        while !state.closing && state.has_room() && self.outbox.len() < state.max_unread_bytes(shell) {
            if !self.take_command(state, &mut moment, shell) {
                break;
            }
            state.settle(&self.outbox, shell);
        }
        state.settle(&self.outbox, shell);
    }

    /// Takes the next command. False if there is none, or it has to wait.
    fn take_command(&self, state: &mut State, moment: &mut Option<Moment>, shell: &Rc<Shell>) -> bool {
        let held = state.held.take();
        let (frame_args, held_args): (Args<'_>, Vec<&[u8]>);
        let mut frame_bytes = None;
        let args: &[&[u8]] = if let Some(held) = &held {
            held_args = held.iter().map(Vec::as_slice).collect();
            &held_args
        } else {
            state.reader.trust(state.connection.is_trusted(&shell.info));
            match state.reader.next_frame() {
                Ok(Some(frame)) => {
                    frame_args = frame.args();
                    frame_bytes = frame.bytes();
                    &frame_args
                }
                Ok(None) => return false,
                Err(error) => {
                    state.closing = true;
                    let protocol = state.connection.protocol();
                    state.owe(Owed::Ready(protocol, error.into()));
                    return false;
                }
            }
        };
        if shell.pause.holds(args) {
            let copied = held.is_none().then(|| args.iter().map(|arg| arg.to_vec()).collect());
            state.held = copied.or(held);
            return false;
        }
        let moment = moment.get_or_insert_with(Moment::now);
        shell.stats.commands.set(shell.stats.commands.get() + 1);
        let action = state.connection.handle(args, &shell.info, moment.unix_us);
        let brief = if shell.info.settings.has_slow_log() {
            state.briefs.keep(state.unanswered == 0, |out| state.connection.put_brief(args, frame_bytes, out))
        } else {
            Brief::default()
        };
        let action = match action {
            Action::Data => match state.connection.parse(args) {
                Ok(command) => {
                    shell.submit(self.id, state.first_token + state.owed.len() as u64, &command);
                    state.owe_later(Form::Plain, brief, moment);
                    return true;
                }
                Err(error) => Action::Reply(error.into()),
            },
            action => action,
        };
        if let Some(form) = self.begin(state, &action, shell) {
            state.owe_later(form, brief, moment);
            return true;
        }
        match action {
            Action::Close(value) => {
                state.closing = true;
                state.owe(Owed::Ready(state.connection.protocol(), value));
            }
            Action::Drop => state.closing = true,
            action => {
                let value = self.value_of(&state.connection, action, shell);
                state.closing |= self.closes.take();
                state.answer_here(value, brief, moment, shell);
            }
        }
        true
    }

    /// Begins what cannot be answered at once, and says what is to be made of its answer.
    fn begin(&self, state: &State, action: &Action, shell: &Rc<Shell>) -> Option<Form> {
        let token = state.first_token + state.owed.len() as u64;
        match action {
            Action::Exec(command) => {
                self.submit_encoded(token, command, shell);
                Some(Form::Exec)
            }
            Action::Await(command) => {
                self.submit_encoded(token, command, shell);
                Some(Form::Awaited)
            }
            Action::Wait(count, time) => {
                shell.wait_for_copies(self.id, token, *count, *time);
                Some(Form::Wait)
            }
            Action::Digest => {
                shell.digest(self.id, token);
                Some(Form::Plain)
            }
            _ => None,
        }
    }

    fn submit_encoded(&self, token: u64, command: &[u8], shell: &Shell) {
        shell.submit(self.id, token, &Command::decode(command).expect("the connection has encoded it"));
    }

    /// Writes what there is, and goes on with the replies for which there was no room.
    pub(crate) fn flush(&self, shell: &Shell) -> io::Result<()> {
        loop {
            let was_full = self.outbox.len() >= MAX_UNREAD_BYTES;
            let written = self.outbox.flush_or_ring(&self.stream)?;
            shell.stats.output_bytes.set(shell.stats.output_bytes.get() + written as u64);
            let has_room = self.outbox.len() < MAX_UNREAD_BYTES;
            if !(was_full && has_room) {
                if self.outbox.is_empty() {
                    self.state.borrow_mut().rest();
                }
                return Ok(());
            }
            self.state.borrow_mut().settle(&self.outbox, shell);
            if self.outbox.is_empty() {
                // Commands that have arrived already may go on now.
                self.go_on();
                return Ok(());
            }
        }
    }
}
