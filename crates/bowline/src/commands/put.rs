//! `bowline put`: a value under a key.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use super::{Effect, ask, print, unexpected};
use crate::args::PutArgs;
use crate::resp_client::Reply;

pub(crate) fn run(args: &PutArgs) -> anyhow::Result<ExitCode> {
    let command: [&[u8]; 3] = [b"SET", args.key.as_bytes(), args.value.as_bytes()];
    match ask(&args.at.addresses, Effect::Writes, &command)? {
        Reply::Simple(text) if text == "OK" => print(b"OK").map(|()| ExitCode::SUCCESS),
        other => Err(unexpected(&other)),
    }
}
