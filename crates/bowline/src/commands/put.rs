//! `bowline put`: a value under a key.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use bowline_client::Reply;

use super::{Effect, ask, print, unexpected};
use crate::args::PutArgs;

pub(crate) fn run(args: &PutArgs) -> anyhow::Result<ExitCode> {
    let command: [&[u8]; 3] = [b"SET", args.key.as_bytes(), args.value.as_bytes()];
    match ask(&args.at, Effect::Writes, &command)? {
        Reply::Ok => print(b"OK").map(|()| ExitCode::SUCCESS),
        other => Err(unexpected(&other)),
    }
}
