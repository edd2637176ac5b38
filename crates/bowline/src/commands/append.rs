//! `bowline append`: more at the end of a value.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use bowline_client::Reply;

use super::{Effect, ask, print, unexpected};
use crate::args::AppendArgs;

pub(crate) fn run(args: &AppendArgs) -> anyhow::Result<ExitCode> {
    let command: [&[u8]; 3] = [b"APPEND", args.key.as_bytes(), args.value.as_bytes()];
    match ask(&args.at, Effect::Writes, &command)? {
        Reply::Int(length) => print(length.to_string().as_bytes()).map(|()| ExitCode::SUCCESS),
        other => Err(unexpected(&other)),
    }
}
