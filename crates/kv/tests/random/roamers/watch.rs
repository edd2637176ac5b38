//! WATCH, a look at the keys, and EXEC on the condition that they have not changed.

use bowline_kv::Reply;
use bowline_kv::command::{Command, Keys, Unchanged};
use bowline_linearizability::{CallId, redis};
use bowline_testimony::translated;
use bytes::Bytes;
use rand::RngExt;

use super::{Scene, Todo, encoded, is_refusal, says};
use crate::cluster::MS;

const KEYS: [&str; 2] = ["w0", "w1"];

/// How many calls a client makes: the search for their order is one over whole states.
const MOST_CALLS: u64 = 120;

pub(super) struct WatchClient {
    number: u64,
    calls: u64,
    step: Step,
    /// The call that is out, if the history knows it.
    out: Option<CallId>,
    /// When the last request was sent, and when the last WATCH was answered, in microseconds.
    asked: u64,
    watched: u64,
    is_finished: bool,
}

/// What changed the keys, and what needed them unchanged: each from when until when, in microseconds.
#[derive(Default)]
pub(super) struct Spans {
    changes: Vec<(u64, u64)>,
    unchanged: Vec<(u64, u64)>,
}

impl Spans {
    /// No EXEC was carried out though a key had changed since WATCH, not even if the change was undone.
    pub(super) fn check(&self) {
        for &(watched, asked) in &self.unchanged {
            let inside = self.changes.iter().find(|(began, ended)| *began > watched && *ended < asked);
            assert_eq!(
                inside, None,
                "a key had changed between {watched} and {asked}, and EXEC was carried out"
            );
        }
    }
}

/// Where it is with a transaction.
enum Step {
    /// Nowhere.
    Idle,
    /// WATCH is out.
    Watching,
    /// WATCH has told the index and which keys there were.
    Watched(u64, Vec<bool>),
    /// The look is out.
    Looking(u64, Vec<bool>),
    /// The look has shown these values.
    Looked(u64, Vec<bool>, Vec<Option<Bytes>>),
    /// EXEC is out, and whether the look had shown that a key has changed since WATCH.
    Executing { has_changed: bool },
    /// Something else is out.
    Plain,
}

impl WatchClient {
    pub(super) fn new(number: u64) -> Self {
        Self { number, calls: 0, step: Step::Idle, out: None, asked: 0, watched: 0, is_finished: false }
    }

    pub(super) fn next(&mut self, scene: &mut Scene<'_>) -> Todo {
        if self.is_finished {
            return Todo::Nothing;
        }
        match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Watched(since, existed) => {
                self.step = Step::Looking(since, existed);
                self.look(scene)
            }
            Step::Looked(since, existed, values) => self.exec(since, &existed, values, scene),
            _ => self.begin(scene),
        }
    }

    fn begin(&mut self, scene: &mut Scene<'_>) -> Todo {
        if scene.have_stopped {
            self.step = Step::Plain;
            return self.look(scene);
        }
        if self.calls == MOST_CALLS {
            return Todo::Wait(scene.now + 100 * MS);
        }
        if scene.rng.random_ratio(1, 3) {
            return scene.think();
        }
        self.step = Step::Plain;
        match scene.rng.random_range(0..10) {
            0..6 => {
                self.step = Step::Watching;
                let keys = KEYS.iter().map(|key| key.as_bytes()).collect();
                scene.ask(&Command::Watch { keys: Keys::Many(keys) })
            }
            6..8 => {
                let line = self.write(scene);
                self.call(&line, scene)
            }
            _ => self.look(scene),
        }
    }

    fn look(&mut self, scene: &mut Scene<'_>) -> Todo {
        self.call(&format!("MGET {}", KEYS.join(" ")), scene)
    }

    /// A command that writes, with a value of its own.
    fn write(&mut self, scene: &mut Scene<'_>) -> String {
        let key = KEYS[scene.rng.random_range(0..KEYS.len())];
        let value = format!("{}.{}.{}", self.number, self.calls, scene.now);
        match scene.rng.random_range(0..8) {
            0 => format!("DEL {key}"),
            1 | 2 => format!("APPEND {key} ,{value}"),
            3 => format!("SET {key} {value} XX"),
            _ => format!("SET {key} {value}"),
        }
    }

    fn call(&mut self, line: &str, scene: &mut Scene<'_>) -> Todo {
        self.note(of_model(line), scene);
        scene.ask(&of_store(line))
    }

    fn note(&mut self, command: redis::Command, scene: &mut Scene<'_>) {
        self.calls += 1;
        self.asked = scene.now;
        self.out = Some(scene.records.transactions.invoked(self.number, command, scene.invoked_ns()));
    }

    fn exec(
        &mut self,
        since: u64,
        existed: &[bool],
        values: Vec<Option<Bytes>>,
        scene: &mut Scene<'_>,
    ) -> Todo {
        let mut lines: Vec<_> = (0..scene.rng.random_range(0..3)).map(|_| self.write(scene)).collect();
        lines.push(format!("MGET {}", KEYS.join(" ")));
        let has_changed = existed.iter().zip(&values).any(|(existed, value)| *existed != value.is_some());
        let keys = KEYS.iter().map(|key| Bytes::from_static(key.as_bytes()));
        self.note(
            redis::Command::Exec {
                unchanged: keys.zip(values).collect(),
                commands: lines.iter().map(|line| of_model(line)).collect(),
            },
            scene,
        );
        self.step = Step::Executing { has_changed };
        let conditions = KEYS.iter().zip(existed);
        let conditions = conditions.map(|(key, &existed)| Unchanged { key: key.as_bytes(), existed, since });
        let command = Command::Exec {
            conditions: conditions.collect(),
            commands: lines.iter().map(|line| of_store(line)).collect(),
        };
        let node = scene.rng.random_range(1..=scene.nodes);
        Todo::Ask { node, command: encoded(&command) }
    }

    pub(super) fn told(&mut self, reply: Option<Reply>, scene: &mut Scene<'_>) {
        let answered = reply.filter(|reply| !says(reply, b"UNCERTAIN "));
        let executed = answered.as_ref().filter(|reply| !is_refusal(reply));
        let is_exec = matches!(self.step, Step::Executing { .. });
        if let Some(call) = self.out.take() {
            let at_ns = scene.now_ns();
            let history = &mut scene.records.transactions;
            match (&answered, executed) {
                (_, Some(Reply::Nil)) if is_exec => history.not_executed(call),
                (_, Some(reply)) => history.returned(call, translated(reply), at_ns),
                (Some(_), None) => history.not_executed(call),
                (None, _) => {}
            }
        }
        self.step = match std::mem::replace(&mut self.step, Step::Idle) {
            Step::Watching => executed.map_or(Step::Idle, |reply| {
                let numbers = array(reply).iter().map(|reply| match reply {
                    Reply::Int(number) => u64::try_from(*number).expect("not negative"),
                    other => panic!("not a number: {other:?}"),
                });
                let numbers: Vec<_> = numbers.collect();
                self.watched = scene.now;
                Step::Watched(numbers[0], numbers[1..].iter().map(|number| *number == 1).collect())
            }),
            Step::Looking(since, existed) => executed.map_or(Step::Idle, |reply| {
                let values = array(reply).iter().map(|reply| match reply {
                    Reply::Bulk(value) => Some(value.clone()),
                    _ => None,
                });
                Step::Looked(since, existed, values.collect())
            }),
            Step::Executing { has_changed: is_late } => {
                match executed {
                    Some(Reply::Array(replies)) => {
                        assert!(!is_late, "a key had changed since WATCH, and EXEC was carried out");
                        scene.records.spans.unchanged.push((self.watched, self.asked));
                        if replies.iter().any(has_changed) {
                            scene.records.spans.changes.push((self.asked, scene.now));
                        }
                        scene.tally.execs_done += 1;
                    }
                    Some(Reply::Nil) => scene.tally.execs_refused += 1,
                    Some(other) => panic!("{other:?} to EXEC"),
                    None => {}
                }
                Step::Idle
            }
            Step::Plain => {
                if executed.is_some_and(has_changed) {
                    scene.records.spans.changes.push((self.asked, scene.now));
                }
                self.is_finished = scene.have_stopped && executed.is_some();
                Step::Idle
            }
            other => unreachable!("nothing was asked in {}", name(&other)),
        };
    }
}

fn name(step: &Step) -> &'static str {
    match step {
        Step::Idle => "idleness",
        Step::Watched(..) | Step::Looked(..) => "a transaction",
        _ => "a call",
    }
}

fn of_store(line: &str) -> Command<'_> {
    let words: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    Command::parse(&words).expect("a valid command")
}

fn of_model(line: &str) -> redis::Command {
    let words: Vec<_> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
    redis::Command::parse(&words).expect("the model knows it")
}

/// Whether a write alone has changed its key, by its reply.
fn has_changed(reply: &Reply) -> bool {
    matches!(reply, Reply::Ok) || matches!(reply, Reply::Int(number) if *number > 0)
}

fn array(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(replies) => replies,
        other => panic!("not an array: {other:?}"),
    }
}
