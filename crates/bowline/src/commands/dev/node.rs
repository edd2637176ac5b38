//! One node of a `dev` cluster: its process, and what became of it.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tracing_subscriber::filter::LevelFilter;

use super::directory::Directory;
use super::log::{Log, last_lines};
use crate::args::PasswordArgs;

/// A server ends with this code when its disk failed to keep what it was given.
const BROKEN_DISK: i32 = 3;

/// How many lines of its log are shown when a node ends by itself.
const LAST_LINES: usize = 10;

/// A node.
pub(super) struct Node {
    id: u64,
    port: u16,
    directory: PathBuf,
    program: PathBuf,
    /// All but where its data is, and whether this is the first boot.
    arguments: Vec<OsString>,
    state: State,
}

enum State {
    Running {
        child: Child,
        /// Ends when the process has.
        log: JoinHandle<()>,
    },
    Down {
        /// When to start it again; `None`: never.
        restart_at: Option<Instant>,
    },
}

#[cfg(test)]
impl Node {
    /// Runs a script of the shell in the place of the server.
    pub(super) fn run_instead(&mut self, script: &str) {
        self.program = "/bin/sh".into();
        self.arguments = ["-c", script, "sh"].map(OsString::from).to_vec();
    }
}

/// How a process ended.
pub(super) struct End {
    pid: u32,
    status: ExitStatus,
}

impl Node {
    /// The nodes with those ports for clients, none of them started.
    pub(super) fn plan(
        directory: &Directory,
        ports: &[u16],
        level: LevelFilter,
        password: &PasswordArgs,
    ) -> anyhow::Result<Vec<Self>> {
        let program = std::env::current_exe().context("the path of this program")?;
        let members: Vec<_> =
            (1..).zip(ports).map(|(id, port): (u64, _)| format!("{id}=127.0.0.1:{port}")).collect();
        let peers = members.join(",");
        let node = |(id, port): (u64, &u16)| {
            let options = [
                ("--id", id.to_string()),
                ("--listen", format!("127.0.0.1:{port}")),
                ("--peers", peers.clone()),
                ("--log", level.to_string().to_lowercase()),
                ("--die-with-parent", std::process::id().to_string()),
            ];
            let options = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
            let mut arguments: Vec<_> =
                ["server".to_owned()].into_iter().chain(options).map(Into::into).collect();
            // What stands in the environment they inherit.
            if let Some(path) = &password.password_file {
                arguments.extend(["--password-file".into(), path.clone().into_os_string()]);
            }
            Self {
                id,
                port: *port,
                directory: directory.of_node(id),
                program: program.clone(),
                arguments,
                state: State::Down { restart_at: None },
            }
        };
        Ok((1..).zip(ports).map(node).collect())
    }

    /// Starts the process. `is_first_boot`: the directory is empty, and is to be.
    pub(super) fn start(&mut self, is_first_boot: bool) -> anyhow::Result<()> {
        let log =
            Log::open(self.log_path()).with_context(|| format!("file {}", self.log_path().display()))?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg("--data").arg(self.directory.join("data"));
        command.args(is_first_boot.then_some("--new"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("node {} cannot be started", self.id))?;
        let stderr = child.stderr.take().expect("it was asked for");
        let log = thread::spawn(move || log.take_all(stderr));
        self.state = State::Running { child, log };
        Ok(())
    }

    /// If the process has ended since it was last looked at: how. Its log is then complete.
    pub(super) fn reap(&mut self) -> anyhow::Result<Option<End>> {
        let State::Running { child, .. } = &mut self.state else { return Ok(None) };
        let Some(status) = child.try_wait()? else { return Ok(None) };
        let pid = child.id();
        self.finish_log();
        Ok(Some(End { pid, status }))
    }

    /// The process has ended: its log is complete when its thread has come to the end of the pipe.
    fn finish_log(&mut self) {
        if let State::Running { log, .. } =
            std::mem::replace(&mut self.state, State::Down { restart_at: None })
        {
            log.join().expect("the thread of a log does not panic");
        }
    }

    /// Asks the process to end.
    pub(super) fn ask_to_stop(&self) {
        if let State::Running { child, .. } = &self.state {
            // Not waited for yet, so the number is still its own, even if it has ended.
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
    }

    /// Ends the process, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        if let State::Running { child, .. } = &mut self.state {
            let _ = child.kill();
            let _ = child.wait();
            self.finish_log();
        }
    }

    /// Sets when a node that is down is to be started again.
    pub(super) fn restart_in(&mut self, delay: Duration) {
        self.state = State::Down { restart_at: Some(Instant::now() + delay) };
    }

    /// When it is to be started again, if it is.
    pub(super) fn restart_at(&self) -> Option<Instant> {
        match self.state {
            State::Down { restart_at } => restart_at,
            State::Running { .. } => None,
        }
    }

    /// The end of its log, if it ended by itself: it says why.
    pub(super) fn last_words(&self, end: &End) -> String {
        if end.was_killed() {
            return String::new();
        }
        let lines = last_lines(&self.log_path(), LAST_LINES);
        if lines.is_empty() {
            return format!(". Its log, {}, says nothing", self.log_path().display());
        }
        format!(". The end of its log, {}:\n  {}", self.log_path().display(), lines.join("\n  "))
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The port for clients.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The process's number, for people.
    pub(super) fn pid_text(&self) -> String {
        match &self.state {
            State::Running { child, .. } => child.id().to_string(),
            State::Down { .. } => "down".to_owned(),
        }
    }

    /// Where its data and its log are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl End {
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it ended as one that was asked to.
    pub(super) fn is_clean(&self) -> bool {
        self.status.success()
    }

    /// Whether its disk failed to keep what it was given: it must not be started again.
    pub(super) fn is_broken_disk(&self) -> bool {
        self.status.code() == Some(BROKEN_DISK)
    }

    /// Whether somebody else has ended it, of which its log knows nothing.
    fn was_killed(&self) -> bool {
        let by = self.status.signal().and_then(Signal::from_named_raw);
        matches!(by, Some(Signal::KILL | Signal::TERM | Signal::INT))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => write!(f, "ended with exit code {code}"),
            (None, Some(9)) => f.write_str("was killed by signal 9 (SIGKILL)"),
            (None, Some(signal)) => write!(f, "was ended by signal {signal}"),
            (None, None) => write!(f, "ended: {}", self.status),
        }
    }
}
