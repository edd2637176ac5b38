//! `bowline server`: one node.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use bowline_raft::NodeId;
use bowline_server::face::Password;
use bowline_server::{Access, Options};
use tracing_subscriber::filter::LevelFilter;

use super::{complain, die_with_parent, wrong_usage};
use crate::args::ServerArgs;
use crate::password;

/// How much log makes a snapshot due unless it is said, in bytes. About as much is read again at a start.
const SNAPSHOT_AFTER_BYTES: u64 = 64 << 20;

pub(crate) fn run(args: ServerArgs) -> anyhow::Result<ExitCode> {
    die_with_parent(args.parent)?;
    let members = bowline_server::parse_members(&args.peers)
        .unwrap_or_else(|reason| wrong_usage(&format!("--peers {}: {reason}", args.peers)));
    let access = access(&args)?;
    start_logging(args.log.level);
    end_on_panic();
    let snapshot_after_bytes = args.snapshot_after.unwrap_or(SNAPSHOT_AFTER_BYTES.min(args.log_limit / 2));
    let outcome = bowline_server::run(Options {
        id: NodeId(args.id),
        data: args.data,
        listen: args.listen,
        members,
        cluster: args.cluster,
        new: args.new,
        log_limit_bytes: args.log_limit,
        snapshot_after_bytes,
        max_clients: args.max_clients.into(),
        access,
    });
    Ok(outcome.map_or_else(
        |error| {
            complain(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        },
        |()| ExitCode::SUCCESS,
    ))
}

/// Who may come in, by the options and the environment.
fn access(args: &ServerArgs) -> anyhow::Result<Access> {
    if args.no_auth {
        return Ok(Access::Everybody);
    }
    let password = password::given(&args.password)?;
    Ok(match password {
        Some(text) => Access::Password(Password::new(&text)?),
        None => Access::LocalOnly,
    })
}

/// A broken invariant ends the process, whichever task or thread has found it: a server that goes on with
/// a part of itself gone answers nobody, and its peers keep waiting for it.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

/// One line an event, on the standard error.
fn start_logging(level: LevelFilter) {
    let has_no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal() && !has_no_color)
        .init();
}
