//! One server process: started, signalled, waited for.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::until;

/// How long a process may take to be gone after a signal: a server promises 10 s for SIGTERM.
const END_PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Node {
    pub(crate) id: u64,
    /// Where it listens for clients.
    pub(crate) addr: String,
    /// Its log, over all its lives.
    pub(crate) log: PathBuf,
    /// How it is started, without `--new`.
    arguments: Vec<String>,
    child: Option<Child>,
    pub(crate) is_stopped: bool,
    /// How many files its process may have open, if that is to be less than usual.
    pub(crate) max_files: Option<u64>,
}

impl Node {
    pub(crate) fn new(id: u64, addr: String, log: PathBuf, arguments: Vec<String>) -> Self {
        Self { id, addr, log, arguments, child: None, is_stopped: false, max_files: None }
    }

    /// Starts its process; `more` is added to its arguments this time.
    pub(crate) fn spawn(&mut self, more: &[&str]) {
        assert!(self.child.is_none(), "node {} runs already", self.id);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a file for the log");
        let mut command = match self.max_files {
            None => Command::new(program()),
            Some(files) => {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh"]).arg(program());
                shell
            }
        };
        command.args(&self.arguments).args(more).args(["--die-with-parent", &std::process::id().to_string()]);
        command.env_remove("BOWLINE_PASSWORD");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(log));
        self.child = Some(spawn(command).expect("the server starts"));
        self.is_stopped = false;
    }

    /// Whether there is a process that can answer.
    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some() && !self.is_stopped
    }

    /// Its process's number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends its process a signal. That of a node that is down passes it over.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            // The process is not waited for yet, so the number is still its own.
            kill_process(Pid::from_child(child), signal).expect("a signal to the own child");
        }
    }

    /// Waits for the end of its process.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let what = format!("the end of node {}", self.id);
        until(&what, END_PATIENCE, || child.try_wait().expect("the own child can be waited for"))
    }

    /// How its process ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.as_mut()?.try_wait().expect("the own child can be waited for");
        if ended.is_some() {
            self.child = None;
        }
        ended
    }

    /// SIGSTOP, and waits until it has stopped.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::STOP);
        self.is_stopped = true;
        let stat = format!("/proc/{}/stat", self.pid());
        until(&format!("the stop of node {}", self.id), END_PATIENCE, || {
            let stat = std::fs::read_to_string(&stat).expect("the process is there");
            // Behind the name, which is in brackets, comes the state.
            stat.rsplit_once(") ")?.1.starts_with('T').then_some(())
        });
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self) {
        self.signal(Signal::CONT);
        self.is_stopped = false;
    }

    /// The end of its log.
    pub(crate) fn last_lines(&self, count: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a process from a thread that lives as long as this process: to the system, the parent whose death
/// takes the child along is the thread that made it, and those of tests come and go.
fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in jobs {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (sender, answer) = channel();
    spawner.send((command, sender)).expect("the spawner runs for ever");
    answer.recv().expect("the spawner answers")
}

/// The server's binary. An example is not told where it is, as tests are; it lies beside it.
fn program() -> PathBuf {
    built().join("bowline")
}

/// Where data are kept: on the disk of the target directory.
pub(crate) fn scratch() -> PathBuf {
    let path = built().join("tmp");
    std::fs::create_dir_all(&path).expect("a directory below the target directory");
    path
}

/// The directory of this profile's programs: this one is one below it.
fn built() -> PathBuf {
    let exe = std::env::current_exe().expect("this program has a path");
    exe.ancestors().nth(2).map(Path::to_path_buf).expect("programs lie two below the target directory")
}

/// Marks the log, so that what a test did can be found in it.
pub(crate) fn note(log: &Path, text: &str) {
    use io::Write;
    let file: io::Result<File> = OpenOptions::new().create(true).append(true).open(log);
    let _ = file.and_then(|mut file| writeln!(file, "--- {text}"));
}
