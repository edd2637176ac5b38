//! Where a password comes from: a file, or the environment.

use std::os::unix::ffi::OsStringExt;

use anyhow::Context;
use bowline_server::face::Password;

use crate::args::PasswordArgs;

/// The environment variable that holds it unless there is a file.
const VARIABLE: &str = "BOWLINE_PASSWORD";

/// What to do when a node asks for one.
pub(crate) const HOW_TO_GIVE: &str =
    "Give the cluster's password in the environment variable BOWLINE_PASSWORD, or by --password-file FILE.";

/// What to say of an error of a node that is about the password; none if it is about something else.
pub(crate) fn explained(error: &str) -> Option<String> {
    if error.starts_with("NOAUTH ") {
        return Some(format!("{error} {HOW_TO_GIVE}"));
    }
    error.starts_with("WRONGPASS ").then(|| format!("the password was refused: {error}"))
}

/// The password that was given, if one was. An empty variable gives none, an empty file is an error.
///
/// # Errors
///
/// The file cannot be read, or what stands there is no password.
pub(crate) fn given(args: &PasswordArgs) -> anyhow::Result<Option<Vec<u8>>> {
    let (text, source) = if let Some(path) = &args.password_file {
        let source = format!("--password-file {}", path.display());
        (first_line(std::fs::read(path).with_context(|| source.clone())?), source)
    } else {
        match std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
            Some(text) => (text.into_vec(), VARIABLE.to_owned()),
            None => return Ok(None),
        }
    };
    Password::new(&text).with_context(|| source)?;
    Ok(Some(text))
}

/// As an editor leaves it: without the end of the line.
fn first_line(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    bytes.truncate(end);
    if bytes.ends_with(b"\r") {
        bytes.pop();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password() {
        for (file, password) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            (" se cret \nand a comment\n", " se cret "),
            ("\nsecret", ""),
        ] {
            assert_eq!(first_line(file.into()), password.as_bytes(), "{file:?}");
        }
    }
}
