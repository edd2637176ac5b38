//! `bowline get`: the value of a key.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use bowline_client::Reply;

use super::{Effect, ask, complain, print, unexpected};
use crate::args::GetArgs;

pub(crate) fn run(args: &GetArgs) -> anyhow::Result<ExitCode> {
    match ask(&args.at, Effect::Reads, &[b"GET", args.key.as_bytes()])? {
        Reply::Bulk(value) => print(&value).map(|()| ExitCode::SUCCESS),
        Reply::Nil => {
            complain("(nil)");
            Ok(ExitCode::FAILURE)
        }
        other => Err(unexpected(&other)),
    }
}
