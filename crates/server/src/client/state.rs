//! What a connection has read, and what it owes.

use std::collections::VecDeque;
use std::time::Instant;

use crate::face::{CommandNumber, Connection};
use crate::outbox::Outbox;
use crate::resp::{Protocol, Reader, Value};
use crate::shell::{self, Shell};

/// How many commands of one connection may be unanswered before it is not read any further, at most.
pub(super) const MAX_UNANSWERED: usize = 1024;

/// How many at first. A few bytes may ask for a large value, and how large the answers are is seen only when
/// they come: so the number grows by one with every small answer, and a large one lowers it.
pub(super) const FIRST_UNANSWERED: usize = 8;

/// An answer of more bytes is a large one.
pub(super) const LARGE_ANSWER_BYTES: usize = 64 << 10;

/// As many large answers may be under way as make together about so many bytes.
pub(super) const LARGE_UNANSWERED_BYTES: usize = 64 << 20;

/// How many bytes of replies may wait for the client to read them before it is not read, and before
/// further replies are put into form.
pub(super) const MAX_UNREAD_BYTES: usize = 1 << 20;

/// The same for a client that has not said the password.
pub(super) const MAX_UNREAD_BYTES_OF_STRANGERS: usize = 64 << 10;

/// A client that is owed more bytes of replies than this is disconnected: it has asked for large values behind
/// many small ones, and reads nothing.
pub(super) const MAX_OWED_BYTES: usize = 256 << 20;

/// The briefs of commands that are under way may take so much, in bytes; a slow command without one shows nothing of
/// its arguments.
const MAX_BRIEFS_BYTES: usize = 16 << 10;

/// What an idle connection may keep of its tables: so many places, so many bytes.
const KEEP_OWED: usize = 32;
const KEEP_BRIEFS_BYTES: usize = 2048;

pub(super) struct State {
    pub(super) connection: Connection,
    pub(super) reader: Reader,
    /// One for each command that is not answered on the wire, in order.
    pub(super) owed: VecDeque<Owed>,
    /// The token of the first of them.
    pub(super) first_token: u64,
    /// What the replies among them take, in bytes.
    pub(super) owed_bytes: usize,
    /// How many of them have no reply yet, and how many may have none.
    pub(super) unanswered: usize,
    pub(super) may_be_unanswered: usize,
    /// It was owed too much: whatever else comes is dropped.
    pub(super) given_up: bool,
    /// Nothing more is read; the connection is closed when all that is owed is written.
    pub(super) closing: bool,
    /// It waits for an answer that decides what becomes of what is behind. That may take long: it is read all the same,
    /// so that its end is seen.
    pub(super) awaits: bool,
    /// It was not read because it is owed too much.
    pub(super) full: bool,
    /// A command that waits for the end of a pause.
    pub(super) held: Option<Vec<Vec<u8>>>,
    /// The beginnings of the commands that are under way, for the slow log.
    pub(super) briefs: Briefs,
}

/// What is made of a replica's answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// It is sent as it is.
    Plain,
    /// It is EXEC's.
    Exec,
    /// The connection waits for it, and takes nothing more until then.
    Awaited,
    /// The same, and it is sent as it is.
    Wait,
}

pub(super) enum Owed {
    /// The replica has it.
    Waiting(Waiting),
    /// It is here.
    Ready(Protocol, Value),
}

/// A command that has no reply yet.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    /// That of the moment in which the command came.
    pub(super) protocol: Protocol,
    pub(super) form: Form,
    pub(super) command: Option<CommandNumber>,
    pub(super) since: Instant,
    pub(super) brief: Brief,
}

/// Where the beginning of a command stands among the briefs.
#[derive(Clone, Copy, Default)]
pub(super) struct Brief {
    start: u16,
    length: u16,
}

/// The beginnings of commands, one behind the other.
#[derive(Default)]
pub(super) struct Briefs(Vec<u8>);

impl Briefs {
    /// Keeps what `put` appends. The first one may take the place of all that there are.
    pub(super) fn keep(&mut self, is_first: bool, put: impl FnOnce(&mut Vec<u8>)) -> Brief {
        if is_first {
            self.0.clear();
        }
        let start = self.0.len();
        if start < MAX_BRIEFS_BYTES {
            put(&mut self.0);
        }
        let narrow = |bytes: usize| u16::try_from(bytes).expect("a brief is short, and so are all of them");
        Brief { start: narrow(start), length: narrow(self.0.len() - start) }
    }

    fn get(&self, brief: Brief) -> &[u8] {
        let start = usize::from(brief.start);
        &self.0[start..start + usize::from(brief.length)]
    }
}

/// Two clocks, read together.
pub(super) struct Moment {
    pub(super) now: Instant,
    /// Microseconds since 1970.
    pub(super) unix_us: u64,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { now: Instant::now(), unix_us: shell::unix_us() }
    }

    /// Moves on to now, and says by how many microseconds.
    fn advance(&mut self) -> u64 {
        let now = Instant::now();
        let passed_us =
            u64::try_from(now.saturating_duration_since(self.now).as_micros()).unwrap_or(u64::MAX);
        self.now = now;
        self.unix_us += passed_us;
        passed_us
    }
}

impl State {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
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
            held: None,
            briefs: Briefs::default(),
        }
    }

    /// Nothing more is taken, and nothing of what is owed is sent.
    pub(super) fn drop_all(&mut self) {
        self.given_up = true;
        self.closing = true;
        self.held = None;
        self.owed.clear();
        self.owed_bytes = 0;
    }

    /// A command is answered at once, as far as there is nothing in front of it.
    pub(super) fn answer_here(&mut self, value: Value, brief: Brief, moment: &mut Moment, shell: &Shell) {
        let took_us = moment.advance();
        if let Some(command) = self.connection.called() {
            self.record(command, took_us, &value, brief, || moment.unix_us, shell);
        }
        self.owe(Owed::Ready(self.connection.protocol(), value));
    }

    /// A command will be answered later.
    pub(super) fn owe_later(&mut self, form: Form, brief: Brief, moment: &Moment) {
        self.awaits = matches!(form, Form::Awaited | Form::Wait);
        let command = self.connection.called();
        let protocol = self.connection.protocol();
        self.owe(Owed::Waiting(Waiting { protocol, form, command, since: moment.now, brief }));
    }

    /// Counts a command that has been answered.
    pub(super) fn record(
        &self,
        command: CommandNumber,
        took_us: u64,
        value: &Value,
        brief: Brief,
        unix_us: impl FnOnce() -> u64,
        shell: &Shell,
    ) {
        shell.info.record.called(command, took_us, matches!(value, Value::Error(_)));
        if shell.info.settings.is_slow(took_us) {
            self.connection.note_slow(&shell.info, self.briefs.get(brief), unix_us(), took_us);
        }
    }

    /// Gives back what an idle connection does not need.
    pub(super) fn rest(&mut self) {
        if self.owed.is_empty() {
            self.owed.shrink_to(KEEP_OWED);
            self.briefs.0.clear();
            self.briefs.0.shrink_to(KEEP_BRIEFS_BYTES);
        }
    }

    /// Whether it waits for something that may take as long as a client likes.
    pub(super) fn is_blocked(&self, shell: &Shell) -> bool {
        self.awaits || self.held.is_some() && shell.pause.is_on()
    }

    /// Whether commands may be taken, for what is owed.
    pub(super) fn has_room(&self) -> bool {
        !self.awaits
            && self.owed.len() < MAX_UNANSWERED
            && self.unanswered < self.may_be_unanswered
            && self.owed_bytes < MAX_UNREAD_BYTES
    }

    /// How many bytes of replies may be unread before nothing more is read.
    pub(super) fn max_unread_bytes(&self, shell: &Shell) -> usize {
        if self.connection.is_trusted(&shell.info) { MAX_UNREAD_BYTES } else { MAX_UNREAD_BYTES_OF_STRANGERS }
    }

    /// An answer of so many bytes has come.
    pub(super) fn learn(&mut self, bytes: usize) {
        self.unanswered -= 1;
        self.may_be_unanswered = if bytes <= LARGE_ANSWER_BYTES {
            (self.may_be_unanswered + 1).min(MAX_UNANSWERED)
        } else {
            self.may_be_unanswered.min(LARGE_UNANSWERED_BYTES / bytes).max(1)
        };
    }

    pub(super) fn owe(&mut self, owed: Owed) {
        match &owed {
            Owed::Ready(_, value) => self.owed_bytes += value.memory_bytes(),
            Owed::Waiting(_) => self.unanswered += 1,
        }
        self.owed.push_back(owed);
    }

    /// Puts the replies at the front that are there into form, as far as there is room.
    pub(super) fn settle(&mut self, outbox: &Outbox, shell: &Shell) {
        while outbox.len() < MAX_UNREAD_BYTES {
            let Some(Owed::Ready(protocol, value)) = self.owed.pop_front_if(|o| matches!(o, Owed::Ready(..)))
            else {
                break;
            };
            self.first_token += 1;
            self.owed_bytes -= value.memory_bytes();
            if let Value::Error(text) = &value {
                shell.count_error(text);
            }
            outbox.push(|out| value.write(protocol, out));
        }
    }
}
