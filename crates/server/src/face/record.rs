//! What was counted of commands since the start or the last `CONFIG RESETSTAT`, and which were slow.

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use super::histogram::Histogram;
use super::slowlog::{Slow, SlowLog};
use super::table::{self, CommandNumber};
use crate::resp::Value;

/// So many kinds of errors are told apart.
const MAX_ERROR_KINDS: usize = 128;

/// Counters of commands. Nothing here takes a lock; only the first call of each command takes memory.
#[derive(Debug, Default)]
pub struct Record {
    /// By the commands' numbers.
    commands: RefCell<Vec<Calls>>,
    errors: RefCell<BTreeMap<Box<[u8]>, u64>>,
    slow: RefCell<SlowLog>,
}

#[derive(Clone, Debug, Default)]
struct Calls {
    calls: u64,
    total_us: u64,
    rejected: u64,
    failed: u64,
    times: Option<Histogram>,
}

impl Record {
    /// A command was answered, `took_us` microseconds after it was read; `failed`: by an error.
    pub fn called(&self, command: CommandNumber, took_us: u64, failed: bool) {
        self.change(command, |calls| {
            calls.calls += 1;
            calls.total_us += took_us;
            calls.failed += u64::from(failed);
            calls.times.get_or_insert_default().add(took_us);
        });
    }

    /// A command was refused before it was carried out.
    pub(super) fn rejected(&self, command: CommandNumber) {
        self.change(command, |calls| calls.rejected += 1);
    }

    fn change(&self, command: CommandNumber, change: impl FnOnce(&mut Calls)) {
        let mut commands = self.commands.borrow_mut();
        let place = command.place();
        if commands.len() <= place {
            commands.resize(table::count(), Calls::default());
        }
        change(&mut commands[place]);
    }

    /// An error with that text was sent.
    pub fn error(&self, text: &[u8]) {
        let kind = text.split(|&byte| byte == b' ').next().unwrap_or_default();
        let mut errors = self.errors.borrow_mut();
        if let Some(count) = errors.get_mut(kind) {
            *count += 1;
        } else if errors.len() < MAX_ERROR_KINDS {
            errors.insert(kind.into(), 1);
        }
    }

    /// Puts a command into the slow log, which keeps the last `max_len`.
    pub fn add_slow(&self, slow: &Slow<'_>, max_len: usize) {
        self.slow.borrow_mut().add(slow, max_len);
    }

    pub(super) fn slow(&self) -> Ref<'_, SlowLog> {
        self.slow.borrow()
    }

    pub(super) fn reset_slow(&self) {
        self.slow.borrow_mut().reset();
    }

    /// Sets the counters to zero. The slow log has a command of its own for that.
    pub(super) fn reset(&self) {
        self.commands.borrow_mut().clear();
        self.errors.borrow_mut().clear();
    }

    /// The lines of `INFO commandstats`.
    pub(super) fn command_lines(&self, out: &mut String) -> fmt::Result {
        for (name, calls) in self.named(|calls| calls.calls > 0 || calls.rejected > 0) {
            let Calls { calls, total_us, rejected, failed, .. } = calls;
            // A share for people: what is lost of a huge number is not seen.
            let each = if calls > 0 { total_us as f64 / calls as f64 } else { 0.0 };
            write!(
                out,
                "cmdstat_{name}:calls={calls},usec={total_us},usec_per_call={each:.2},rejected_calls={rejected},\
                 failed_calls={failed}\r\n"
            )?;
        }
        Ok(())
    }

    /// The lines of `INFO errorstats`.
    pub(super) fn error_lines(&self, out: &mut String) -> fmt::Result {
        self.errors.borrow().iter().try_for_each(|(kind, count)| {
            write!(out, "errorstat_{}:count={count}\r\n", String::from_utf8_lossy(kind))
        })
    }

    /// The lines of `INFO latencystats`.
    pub(super) fn latency_lines(&self, out: &mut String) -> fmt::Result {
        for (name, calls) in self.named(|calls| calls.times.is_some()) {
            let times = calls.times.unwrap_or_default();
            let [p50, p99, p999] = [500, 990, 999].map(|share| times.quantile(share));
            write!(out, "latency_percentiles_usec_{name}:p50={p50}.000,p99={p99}.000,p99.9={p999}.000\r\n")?;
        }
        Ok(())
    }

    /// `LATENCY HISTOGRAM [command ...]`: a container's name stands for its subcommands.
    pub(super) fn histograms(&self, names: &[&[u8]]) -> Value {
        let wanted: BTreeSet<&str> =
            names.iter().filter_map(|name| table::describe(name)).map(|facts| facts.name).collect();
        let is_wanted = |name: &str| {
            let container = name.split_once('|').map_or(name, |(container, _)| container);
            names.is_empty() || wanted.contains(name) || wanted.contains(container)
        };
        let int = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
        let of_command = |(name, calls): (&'static str, Calls)| {
            let powers = calls.times.unwrap_or_default().powers();
            let powers = powers.into_iter().map(|(power, count)| (int(power), int(count))).collect();
            let fields = vec![
                (Value::text("calls"), int(calls.calls)),
                (Value::text("histogram_usec"), Value::Map(powers)),
            ];
            (Value::text(name), Value::Map(fields))
        };
        let called = self.named(|calls| calls.calls > 0);
        Value::Map(called.into_iter().filter(|(name, _)| is_wanted(name)).map(of_command).collect())
    }

    /// The commands for which that holds.
    fn named(&self, is_wanted: impl Fn(&Calls) -> bool) -> Vec<(&'static str, Calls)> {
        let commands = self.commands.borrow();
        let names = table::numbers().map(table::name);
        names
            .zip(commands.iter())
            .filter(|(_, calls)| is_wanted(calls))
            .map(|(name, calls)| (name, calls.clone()))
            .collect()
    }
}
