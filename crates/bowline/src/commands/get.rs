//! `bowline get`: the value of a key.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use super::{Effect, ask, complain, print, unexpected};
use crate::args::GetArgs;
use crate::resp_client::Reply;

pub(crate) fn run(args: &GetArgs) -> anyhow::Result<ExitCode> {
    match ask(&args.at.addresses, Effect::Reads, &[b"GET", args.key.as_bytes()])? {
        Reply::Bulk(Some(value)) => print(&value).map(|()| ExitCode::SUCCESS),
        Reply::Bulk(None) => {
            complain("(nil)");
            Ok(ExitCode::FAILURE)
        }
        other => Err(unexpected(&other)),
    }
}
