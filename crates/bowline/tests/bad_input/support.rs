//! What these tests share beside the harness: a connection that sends any bytes, and servers that end by
//! themselves.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::harness::{Cluster, PATIENCE, Reply, until};

/// A cluster of one node that all tests share which do it no harm; it ends with the last of them.
pub(crate) fn alone() -> Arc<Cluster> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::start("alone", 1));
        *shared = Arc::downgrade(&cluster);
        cluster
    })
}

/// Fails unless the node answers, and no part of it has panicked.
pub(crate) fn assert_well(cluster: &Cluster, id: u64) {
    assert_eq!(Raw::connect(cluster.addr(id)).call(&[b"PING"]), Reply::Simple("PONG".to_owned()));
    let log = cluster.log_text(id);
    assert!(!log.contains("panicked"), "{log}");
}

/// Waits until the node's log contains `text`.
pub(crate) fn wait_for_log(cluster: &Cluster, id: u64, text: &str) {
    let what = format!("the log of node {id} to say {text:?}");
    until(&what, PATIENCE, || cluster.log_text(id).contains(text).then_some(()));
}

/// Fails unless `text` has all these parts.
pub(crate) fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in:\n{text}");
    }
}

/// What of a process's memory is resident, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.split_whitespace().next().expect("a number").parse::<u64>().expect("a number") * 1024
}

/// Runs `bowline server`, which must end by itself: its exit code and what it said.
pub(crate) fn run_server(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
    command.env_remove("BOWLINE_PASSWORD");
    command.arg("server").args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut server = Ended(command.spawn().expect("the binary starts"));
    let what = format!("the end of bowline server {}", arguments.join(" "));
    let status = until(&what, PATIENCE, || server.0.try_wait().expect("the own child"));
    let mut said = String::new();
    server.0.stderr.take().expect("it was asked for").read_to_string(&mut said).expect("text");
    (status.code().unwrap_or_else(|| panic!("{status}\n{said}")), said)
}

/// A process that is killed if the test gives up waiting for it.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for the end of a node that must end by itself with exit code `code`: what it said in its last life.
pub(crate) fn last_words(cluster: &mut Cluster, id: u64, said_before: usize, code: i32) -> String {
    let status = cluster.wait_for_end(id);
    let said = cluster.log_text(id).split_off(said_before);
    assert_eq!(status.code(), Some(code), "{status}\n{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// A connection that sends whatever it is given, and reads what comes.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
    at: usize,
}

impl Raw {
    /// Connects to `addr`, HOST:PORT.
    pub(crate) fn connect(addr: &str) -> Self {
        let stream = TcpStream::connect(addr).expect("somebody listens there");
        stream.set_nodelay(true).expect("a socket");
        for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            set(&stream, Some(PATIENCE)).expect("a time that is not zero");
        }
        Self { stream, read: Vec::new(), at: 0 }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server reads");
    }

    /// One command, one answer.
    pub(crate) fn call(&mut self, command: &[&[u8]]) -> Reply {
        self.send(&encode(command));
        self.reply()
    }

    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) {
        let reply = self.call(&[b"SET", key, value]);
        assert!(reply.is_ok(), "SET {}: {reply:?}", key[..key.len().min(20)].escape_ascii());
    }

    /// The value of a key that has one.
    pub(crate) fn get(&mut self, key: &[u8]) -> Vec<u8> {
        match self.call(&[b"GET", key]) {
            Reply::Bulk(Some(value)) => value,
            other => panic!("GET {}: {other:?}", key[..key.len().min(20)].escape_ascii()),
        }
    }

    /// The text of the error that `command` is answered by.
    pub(crate) fn error(&mut self, command: &[&[u8]]) -> String {
        match self.call(command) {
            Reply::Error(text) => text,
            other => panic!("no error: {other:?}"),
        }
    }

    /// The next answer.
    pub(crate) fn reply(&mut self) -> Reply {
        let line = self.line();
        let rest = &line[1..];
        let number = || rest.parse::<i64>().expect("a number");
        match line.as_bytes()[0] {
            b'+' => Reply::Simple(rest.to_owned()),
            b'-' => Reply::Error(rest.to_owned()),
            b':' => Reply::Integer(number()),
            b'$' if number() < 0 => Reply::Bulk(None),
            b'$' => {
                let length = usize::try_from(number()).expect("a length");
                let mut bytes = self.take(length + 2);
                assert_eq!(bytes.split_off(length), b"\r\n");
                Reply::Bulk(Some(bytes))
            }
            b'*' => Reply::Array((0..number()).map(|_| self.reply()).collect()),
            _ => panic!("an answer that begins with {line:?}"),
        }
    }

    fn line(&mut self) -> String {
        self.try_line().expect("an answer in time")
    }

    /// The next line, without its end.
    pub(crate) fn try_line(&mut self) -> std::io::Result<String> {
        let mut searched = 0;
        loop {
            let rest = &self.read[self.at..];
            if let Some(end) = rest[searched..].windows(2).position(|pair| pair == b"\r\n") {
                let end = searched + end;
                let line = String::from_utf8_lossy(&rest[..end]).into_owned();
                self.at += end + 2;
                return Ok(line);
            }
            searched = rest.len().saturating_sub(1);
            self.try_fill()?;
        }
    }

    /// Exactly so many bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() - self.at < count {
            self.fill();
        }
        let taken = self.read[self.at..self.at + count].to_vec();
        self.at += count;
        taken
    }

    fn fill(&mut self) {
        self.try_fill().expect("an answer in time");
    }

    fn try_fill(&mut self) -> std::io::Result<()> {
        self.read.drain(..self.at);
        self.at = 0;
        let mut chunk = vec![0; 256 << 10];
        let count = self.stream.read(&mut chunk)?;
        assert_ne!(count, 0, "the server has closed the connection after {}", self.read.escape_ascii());
        self.read.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    /// Whatever else comes until the server closes. A reset fails the test: it takes answers away.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = self.read.split_off(self.at);
        self.stream.read_to_end(&mut rest).expect("an orderly end");
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Sees that the server closes, whichever way and within `patience`.
    pub(crate) fn wait_for_close(&mut self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).expect("a time that is not zero");
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the connection is not closed: {error}"),
            }
        }
    }
}

/// A command as an array of bulk strings.
pub(crate) fn encode(command: &[&[u8]]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", command.len()).into_bytes();
    for argument in command {
        frame.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        frame.extend_from_slice(argument);
        frame.extend_from_slice(b"\r\n");
    }
    frame
}
