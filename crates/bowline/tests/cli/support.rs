//! What the tests of the binary share: running it, and a server that answers from a script.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

/// The binary, with nothing of this environment that would change what it prints.
pub(crate) fn bowline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
    command.stdin(Stdio::null()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.env_remove("BOWLINE_PASSWORD");
    command
}

/// Runs the binary to its end.
pub(crate) fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    bowline().args(arguments).output().expect("the binary starts")
}

/// What was printed, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("what is printed for people is UTF-8")
}

/// A temporary directory on the disk of the target directory.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

/// An address where nobody listens: a port that was free a moment ago.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

/// A server that reads whole commands and answers each by what `script` makes of it; `None` closes the
/// connection without an answer.
pub(crate) struct FakeServer {
    pub(crate) addr: String,
    commands: Receiver<Vec<Vec<u8>>>,
}

impl FakeServer {
    pub(crate) fn start(script: impl Fn(&[Vec<u8>]) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener.local_addr().expect("its address").to_string();
        let (sender, commands) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.expect("a connection"));
                while let Some(command) = read_command(&mut stream) {
                    let answer = script(&command);
                    // The test may have ended without looking.
                    let _ = sender.send(command);
                    let Some(answer) = answer else { break };
                    if stream.get_mut().write_all(&answer).is_err() {
                        break;
                    }
                }
            }
        });
        Self { addr, commands }
    }

    /// Answers every command by the same bytes.
    pub(crate) fn answering(reply: &'static [u8]) -> Self {
        Self::start(move |_| Some(reply.to_vec()))
    }

    /// The commands so far.
    pub(crate) fn commands(&self) -> Vec<Vec<Vec<u8>>> {
        self.commands.try_iter().collect()
    }
}

/// A command as clients send it; `None` at the end of the connection.
fn read_command(stream: &mut BufReader<TcpStream>) -> Option<Vec<Vec<u8>>> {
    let number = |kind: char, stream: &mut BufReader<TcpStream>| -> Option<usize> {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line.trim_end().strip_prefix(kind).expect("the kind that follows").parse().expect("a length"))
    };
    let count = number('*', stream)?;
    (0..count)
        .map(|_| {
            let mut argument = vec![0; number('$', stream)? + 2];
            stream.read_exact(&mut argument).ok()?;
            assert_eq!(argument.split_off(argument.len() - 2), b"\r\n");
            Some(argument)
        })
        .collect()
}
