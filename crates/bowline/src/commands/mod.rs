//! One file for each command.

pub(crate) mod append;
pub(crate) mod bench;
pub(crate) mod dev;
pub(crate) mod get;
pub(crate) mod lab;
pub(crate) mod put;
pub(crate) mod server;
pub(crate) mod status;

use std::io::{self, Write};

use anyhow::{bail, ensure};
use bowline_client::{Connection, Lost, Reply};
use clap::CommandFactory;
use clap::error::ErrorKind;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::args::{At, Cli, ParentArgs};
use crate::password;

/// A line for people. That nobody reads it any more (a closed terminal) is no reason to stop.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Ends with the exit code of wrong usage.
fn wrong_usage(reason: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, reason).exit()
}

/// Ties this process's life to that of its parent. By SIGKILL, since nobody reads the log any more, and the one
/// who would see to a server that does not end is gone; it costs nothing that was acknowledged.
fn die_with_parent(args: ParentArgs) -> anyhow::Result<()> {
    let Some(parent) = args.die_with_parent else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that died before the line above sends nothing.
    ensure!(getppid() == Pid::from_raw(parent), "process {parent}, which has started this one, is gone");
    Ok(())
}

/// What is done when nobody has said whether a command took effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// The command changes nothing: the next node is asked.
    Reads,
    /// The command may have taken effect, and is not sent a second time.
    Writes,
}

/// The first answer that one of the nodes gives. The next node is asked only when the command certainly did
/// not happen at the one before.
///
/// # Errors
/// Nobody could be reached; nobody has said whether it happened; or the cluster refused the command.
fn ask(at: &At, effect: Effect, command: &[&[u8]]) -> anyhow::Result<Reply> {
    let password = password::given(&at.password)?;
    let runtime = runtime()?;
    let mut reasons = Vec::new();
    for addr in &at.addresses {
        let connection = Connection::new(addr).with_password(password.as_deref());
        let answer = runtime.block_on(connection.call(command, None));
        match answer {
            Ok(Reply::Error(text)) => {
                let text = String::from_utf8_lossy(&text);
                if text.starts_with("UNCERTAIN") && effect == Effect::Writes {
                    bail!(unknown(addr, &text));
                }
                if let Some(text) = password::explained(&text) {
                    bail!("{addr}: {text}");
                }
                // Certainly not executed: a node that is cut off from the others says so too, and the next may not be.
                ensure!(text.starts_with("CLUSTERDOWN"), "{addr} refused: {text}");
                reasons.push(format!("{addr}: {text}"));
            }
            Ok(reply) => return Ok(reply),
            Err(Lost::Unanswered(reason)) if effect == Effect::Writes => bail!(unknown(addr, &reason)),
            Err(lost) => reasons.push(format!("{addr}: {lost}")),
        }
    }
    bail!(
        "no node could do it{}:\n  {}\n{}",
        if effect == Effect::Writes { ", and nothing was changed" } else { "" },
        reasons.join("\n  "),
        "Is a cluster running there? `bowline dev` starts one on this machine; --at HOST:PORT names another."
    );
}

/// What is said of a write that may have happened.
fn unknown(addr: &str, reason: &str) -> String {
    format!(
        "it is unknown whether the write happened: {addr}: {reason}\nLook with `bowline get` before you send it \
         again: a second `put` changes nothing more, a second `append` adds twice."
    )
}

/// What drives connections: one thread, this one.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// The error for a reply that the command does not have.
fn unexpected(reply: &Reply) -> anyhow::Error {
    anyhow::anyhow!(
        "the node gave an answer that does not fit the command: {}. Is it a Bowline server?",
        shown(reply)
    )
}

/// A reply for a message, short.
pub(crate) fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) | Reply::Simple(text) => String::from_utf8_lossy(text).into_owned(),
        Reply::Bulk(value) => format!("{} bytes", value.len()),
        Reply::Array(replies) | Reply::Map(replies) | Reply::Pairs(replies) => {
            format!("{} replies", replies.len())
        }
        Reply::Ok | Reply::Nil | Reply::Int(_) => format!("{reply:?}"),
    }
}

/// Prints an answer.
fn print(answer: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(answer).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush())?;
    Ok(())
}
