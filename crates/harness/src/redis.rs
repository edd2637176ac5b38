//! A real redis-server, to compare with.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::client::Client;
use super::node;
use super::ports::Ports;
use super::{PATIENCE, until};

/// What is started. Its standard input ends when this process does, however it does, or lets go of it.
const SCRIPT: &str = r#"redis-server "$@" & server=$!; cat; kill -9 "$server"; wait "$server""#;

/// A redis-server of this machine, with nothing in it, which writes nothing to disk. It ends when it is dropped.
pub struct Redis {
    addr: String,
    child: Child,
    dir: PathBuf,
    _ports: Ports,
}

impl Redis {
    /// The version of the redis-server that is installed, such as `7.0.15`; `None` if there is none.
    pub fn version() -> Option<String> {
        let output = Command::new("redis-server").arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_whitespace().find_map(|word| word.strip_prefix("v=")).map(str::to_owned)
    }

    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        let ports = Ports::take();
        let port = ports.get(1);
        let dir = node::scratch().join(format!("redis-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory for redis");
        let log = File::create(dir.join("log")).expect("a file for the log");
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh", "--bind", "127.0.0.1", "--port", &port.to_string()]);
        command
            .args(["--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--dir"])
            .arg(&dir);
        command.stdin(Stdio::piped()).stderr(log.try_clone().expect("the log twice")).stdout(log);
        let child = command.spawn().expect("a shell");
        let redis = Self { addr: format!("127.0.0.1:{port}"), child, dir, _ports: ports };
        until("redis-server to answer", PATIENCE, || {
            let mut client = Client::connect(&redis.addr).ok()?;
            client.call(&["PING"]).ok()
        });
        redis
    }

    /// Where it listens.
    pub fn addr(&self) -> &str {
        &self.addr
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
