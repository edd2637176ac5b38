//! Counts to N on a cluster whose nodes may die, each step once: ONCE with redis-rs, with retries by hand. (`bowline-client`
//! does all of this by itself.)
//!
//! usage: exactly-once N HOST:PORT ...

use std::collections::VecDeque;
use std::thread::sleep;
use std::time::Duration;

use redis::{Connection, FromRedisValue, RedisError, RedisResult};

/// How long a node may take: it holds a command for 5 s while nobody leads, and then says so.
const REPLY_TIME: Duration = Duration::from_secs(7);

/// One session: one call at a time, and each number for one call.
struct Session {
    /// The node that has answered last comes first.
    nodes: VecDeque<Node>,
    id: u64,
    number: u64,
}

struct Node {
    addr: String,
    connection: Option<Connection>,
}

impl Session {
    fn open(nodes: impl Iterator<Item = String>) -> RedisResult<Self> {
        let nodes = nodes.map(|addr| Node { addr, connection: None }).collect();
        let mut session = Self { nodes, id: 0, number: 0 };
        // A lost answer leaves a session behind that nobody uses. It ends by itself.
        session.id = session.ask(redis::cmd("ONCE").arg("OPEN"))?;
        Ok(session)
    }

    /// The command's reply. It has happened once, however often it was sent.
    fn call<T: FromRedisValue>(&mut self, command: &[&str]) -> RedisResult<T> {
        self.number += 1;
        let once = redis::cmd("ONCE").arg(self.id).arg(self.number).arg(command).clone();
        self.ask(&once)
    }

    fn ask<T: FromRedisValue>(&mut self, command: &redis::Cmd) -> RedisResult<T> {
        loop {
            for _ in 0..self.nodes.len() {
                let error = match self.nodes[0].ask(command) {
                    Ok(reply) => return Ok(reply),
                    Err(error) => error,
                };
                // Not executed, or nobody knows: in both cases the same number is sent again. NOSESSION is another matter:
                // the session has ended, and nobody can say any more whether an earlier sending has happened.
                let says_nothing = matches!(error.code(), Some("CLUSTERDOWN" | "UNCERTAIN"));
                if !is_lost(&error) && !says_nothing {
                    return Err(error);
                }
                println!("{}: {error}; the next node is asked", self.nodes[0].addr);
                if is_lost(&error) {
                    self.nodes[0].connection = None;
                }
                self.nodes.rotate_left(1);
            }
            sleep(Duration::from_millis(100));
        }
    }
}

impl Node {
    fn ask<T: FromRedisValue>(&mut self, command: &redis::Cmd) -> RedisResult<T> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let client = redis::Client::open(format!("redis://{}", self.addr))?;
                let connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
                connection.set_read_timeout(Some(REPLY_TIME))?;
                none.insert(connection)
            }
        };
        command.query(connection)
    }
}

/// No reply came.
fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped()
}

fn main() -> RedisResult<()> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().and_then(|count| count.parse().ok()).expect("N and the nodes");
    let mut session = Session::open(arguments)?;
    let counter = format!("counter:rust:{}", session.id);
    for expected in 1..=count {
        let reply: u64 = session.call(&["INCR", &counter])?;
        assert_eq!(reply, expected);
        sleep(Duration::from_millis(2));
    }
    let last: u64 = session.ask(redis::cmd("GET").arg(&counter))?;
    assert_eq!(last, count);
    let closed = redis::cmd("ONCE").arg("CLOSE").arg(session.id).clone();
    session.ask::<()>(&closed)?;
    println!("{count} increments, each of them once");
    Ok(())
}
