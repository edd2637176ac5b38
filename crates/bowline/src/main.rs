//! `bowline`: the one binary. A server, a cluster of servers on one machine, and what asks them.
//!
//! The exit code is the answer: 0 it is so, 1 it is not, 2 wrong usage. A server ends with 3 when its disk
//! failed to keep what it was given: it must not be started again before somebody has looked at the disk.

mod args;
mod commands;
mod json;
mod node_info;
mod password;
mod table;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Dev(args) => commands::dev::run(&args),
        Command::Server(args) => commands::server::run(args),
        Command::Status(args) => commands::status::run(&args),
        Command::Get(args) => commands::get::run(&args),
        Command::Put(args) => commands::put::run(&args),
        Command::Append(args) => commands::append::run(&args),
        Command::Lab(args) => commands::lab::run(&args),
        Command::Bench(args) => commands::bench::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        // That nobody reads what is printed, as behind `| head`, is no mistake to tell anybody of.
        let is_read =
            error.downcast_ref::<io::Error>().is_none_or(|error| error.kind() != ErrorKind::BrokenPipe);
        if is_read {
            commands::complain(&format!("error: {error:#}"));
        }
        ExitCode::FAILURE
    })
}
