//! One client's connection: bytes in, commands out, replies in the order of the commands.
//!
//! A task a connection waits for bytes, takes all that are there, and hands every command in them
//! to the replica; the replies are written by the loop, at the end of its pass, all at once. The
//! task writes only what the socket did not take then.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use bowline_kv::{ClientId, Command, Reply};
use tokio::net::TcpStream;

use crate::face::{Action, Connection};
use crate::outbox::Outbox;
use crate::resp::{Protocol, Reader, Value};
use crate::shell::Shell;

/// How many commands of one connection may be unanswered before it is not read any further.
const MAX_UNANSWERED: usize = 1024;

/// How many bytes of replies may wait for the client to read them before it is not read, and before
/// further replies are put into form.
const MAX_UNREAD_BYTES: usize = 1 << 20;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 16 << 10;

/// How often a connection reads before the others have their turn.
const READS_A_TURN: usize = 4;

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
    /// Nothing more is read; the connection is closed when all that is owed is written.
    closing: bool,
    /// It was not read because too many commands were unanswered.
    full: bool,
}

enum Owed {
    /// The replica has it. The dialect is that of the moment in which the command came.
    Waiting(Protocol),
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
                closing: false,
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
                return Ok(());
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

    /// Lets the task look again: whether it may read, or should end.
    pub(crate) fn ring(&self) {
        self.outbox.bell.notify_one();
    }

    /// Nothing more is to be read; what is owed is still answered.
    pub(crate) fn finish(&self) {
        self.state.borrow_mut().closing = true;
        self.ring();
    }

    /// Whether the replica still works for this client.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.state.borrow().owed.is_empty()
    }

    pub(crate) fn describe(&self, filter: &crate::face::ClientFilter, now_us: u64) -> Option<String> {
        let state = self.state.borrow();
        filter.keeps(&state.connection).then(|| state.connection.describe(now_us))
    }

    fn is_finished(&self) -> bool {
        let state = self.state.borrow();
        state.closing && state.owed.is_empty() && self.outbox.is_empty()
    }

    fn may_read(&self, shell: &Shell) -> bool {
        let mut state = self.state.borrow_mut();
        state.full = state.owed.len() >= MAX_UNANSWERED;
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
        while !state.closing && state.owed.len() < MAX_UNANSWERED && self.outbox.len() < MAX_UNREAD_BYTES {
            let frame = match state.reader.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    state.closing = true;
                    let protocol = state.connection.protocol();
                    state.owed.push_back(Owed::Ready(protocol, Value::error(error.to_string())));
                    break;
                }
            };
            let args = frame.args();
            shell.stats.commands.set(shell.stats.commands.get() + 1);
            let action = state.connection.handle(&args, &shell.info, shell.unix_us());
            let protocol = state.connection.protocol();
            let owed = match action {
                Action::Data => match Command::parse(&args) {
                    Ok(command) => {
                        let token = state.first_token + state.owed.len() as u64;
                        shell.submit(self.id, token, &command);
                        Owed::Waiting(protocol)
                    }
                    Err(error) => Owed::Ready(protocol, error.into()),
                },
                Action::Reply(value) => Owed::Ready(protocol, value),
                Action::Info(sections) => Owed::Ready(protocol, shell.info_text(sections)),
                Action::ClientList(filter) => {
                    // This client's own line too, though its state is borrowed here.
                    let own =
                        filter.keeps(&state.connection).then(|| state.connection.describe(shell.unix_us()));
                    Owed::Ready(protocol, shell.client_list(&filter, self.id, own))
                }
                Action::ResetStats => {
                    shell.stats.reset();
                    Owed::Ready(protocol, Value::ok())
                }
                Action::Close(value) => {
                    state.closing = true;
                    Owed::Ready(protocol, value)
                }
                Action::Drop => {
                    state.closing = true;
                    break;
                }
            };
            state.owed.push_back(owed);
            state.settle(&self.outbox, shell);
        }
        state.settle(&self.outbox, shell);
    }

    /// The replica's answer to one of this client's commands.
    pub(crate) fn answer(&self, token: u64, reply: Reply, shell: &Shell) {
        let mut state = self.state.borrow_mut();
        let at = token.checked_sub(state.first_token).and_then(|at| usize::try_from(at).ok());
        let owed = at.and_then(|at| state.owed.get_mut(at));
        let Some(owed) = owed else {
            panic!("an answer to command {token} of client {:?}, which owes none", self.id)
        };
        let Owed::Waiting(protocol) = *owed else {
            panic!("two answers to command {token} of client {:?}", self.id)
        };
        *owed = Owed::Ready(protocol, reply.into());
        state.settle(&self.outbox, shell);
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

impl State {
    /// Puts the replies at the front that are there into form, as far as there is room.
    fn settle(&mut self, outbox: &Outbox, shell: &Shell) {
        while outbox.len() < MAX_UNREAD_BYTES {
            let Some(Owed::Ready(protocol, value)) = self.owed.pop_front_if(|o| matches!(o, Owed::Ready(..)))
            else {
                break;
            };
            self.first_token += 1;
            if matches!(value, Value::Error(_)) {
                shell.stats.errors.set(shell.stats.errors.get() + 1);
            }
            outbox.push(|out| value.write(protocol, out));
        }
    }
}
