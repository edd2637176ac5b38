//! redis-rs at its defaults. Arguments: the addresses of a cluster's nodes, HOST:PORT each.

use std::collections::HashSet;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use redis::{Client, Commands, Connection, RedisResult, pipe, transaction};

const BEFORE: usize = 300;
const AFTER: usize = 300;
const PATIENCE: Duration = Duration::from_secs(60);

fn client(addr: &str) -> Client {
    Client::open(format!("redis://{addr}/")).expect("an address")
}

fn simple_commands(r: &mut Connection) -> RedisResult<()> {
    let bytes = b"\x00\xff\r\n".to_vec();
    r.set::<_, _, ()>("plain", &bytes)?;
    assert_eq!(r.get::<_, Vec<u8>>("plain")?, bytes);
    assert_eq!(r.get::<_, Option<String>>("missing")?, None);
    assert!(!r.set_nx::<_, _, bool>("plain", "x")?);
    r.pset_ex::<_, _, ()>("lock", "mine", 100_000)?;
    assert!(r.pttl::<_, i64>("lock")? > 90_000);
    assert_eq!((r.incr::<_, _, i64>("number", 1)?, r.incr::<_, _, i64>("number", 41)?), (1, 42));
    r.mset::<_, _, ()>(&[("a", 1), ("b", 2)])?;
    assert_eq!(r.mget::<_, Vec<Option<i64>>>(&["a", "b", "missing"])?, [Some(1), Some(2), None]);
    let refused = r.incr::<_, _, i64>("plain", 1).expect_err("no number");
    assert!(refused.to_string().contains("not an integer"), "{refused}");
    Ok(())
}

fn pipelines(r: &mut Connection) -> RedisResult<()> {
    let mut many = pipe();
    for n in 0..1000 {
        many.set(format!("p:{n}"), n).ignore().get(format!("p:{n}"));
    }
    assert_eq!(many.query::<Vec<i64>>(r)?, (0..1000).collect::<Vec<_>>());
    Ok(())
}

fn transactions(r: &mut Connection, client: &Client) -> RedisResult<()> {
    let replies: (i64, i64) = pipe().atomic().set("t", 1).ignore().incr("t", 1).get("t").query(r)?;
    assert_eq!(replies, (2, 2));
    // A command that fails does not take back the others.
    assert!(pipe().atomic().set("word", "x").incr("word", 1).incr("t", 1).query::<()>(r).is_err());
    assert_eq!(r.get::<_, i64>("t")?, 3);

    let mut watcher = client.get_connection()?;
    redis::cmd("WATCH").arg("t").exec(&mut watcher)?;
    r.set::<_, _, ()>("t", "changed")?;
    assert_eq!(pipe().atomic().set("t", "lost").query::<Option<()>>(&mut watcher)?, None);
    assert_eq!(r.get::<_, String>("t")?, "changed");

    let count = || -> RedisResult<()> {
        let mut own = client.get_connection()?;
        for _ in 0..25 {
            transaction(&mut own, &["counter"], |own, pipe| {
                let value: Option<i64> = own.get("counter")?;
                pipe.set("counter", value.unwrap_or(0) + 1).query::<Option<()>>(own)
            })?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(count)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it ends"))
    })?;
    assert_eq!(r.get::<_, i64>("counter")?, 75);
    Ok(())
}

fn process_id(r: &mut Connection) -> RedisResult<String> {
    let info: redis::InfoDict = redis::cmd("INFO").query(r)?;
    Ok(info.get("process_id").expect("INFO has it"))
}

/// Writes on while its node dies and comes back. A connection that is lost is opened anew, which with this library is
/// for the program to do.
fn killed_node(mut r: Connection, client: &Client, other: &mut Connection) -> RedisResult<()> {
    let pid = process_id(&mut r)?;
    let (mut sets, mut appends, mut failed) = (Vec::new(), Vec::new(), 0);
    let (mut killed_at, mut back_at) = (None, None);
    let deadline = Instant::now() + PATIENCE;
    for n in 1.. {
        if back_at.is_some() && sets.len() >= BEFORE + AFTER {
            break;
        }
        assert!(Instant::now() < deadline, "{} writes, {failed} failed", sets.len());
        if killed_at.is_none() && sets.len() == BEFORE {
            killed_at = Some(Instant::now());
            // While commands are on their way.
            Command::new("kill").args(["-9", &pid]).spawn().expect("kill");
        }
        let mut write = || -> RedisResult<()> {
            r.set::<_, _, ()>(format!("w:{n}"), n)?;
            sets.push(n);
            r.append::<_, _, ()>("log", format!("{n};"))?;
            appends.push(n);
            Ok(())
        };
        match write() {
            Ok(()) if failed > 0 && back_at.is_none() => back_at = Some(Instant::now()),
            Ok(()) => {}
            Err(error) if error.is_io_error() || error.is_unrecoverable_error() => {
                failed += 1;
                thread::sleep(Duration::from_millis(50));
                if let Ok(connection) = client.get_connection() {
                    r = connection;
                }
            }
            Err(error) => return Err(error),
        }
    }
    for n in &sets {
        assert_eq!(other.get::<_, Option<i32>>(format!("w:{n}"))?, Some(*n), "acknowledged and lost");
    }
    let log: String = other.get("log")?;
    let log: Vec<i32> = log.split_terminator(';').map(|n| n.parse().expect("a number")).collect();
    let once: HashSet<_> = log.iter().collect();
    for n in &appends {
        assert!(once.contains(n), "acknowledged and lost: {n} in the log");
    }
    let took = back_at.zip(killed_at).map(|(back, killed): (Instant, Instant)| back - killed);
    println!(
        "redis-rs 1.8.1: {} writes acknowledged and all there; {failed} calls failed, back after {:.1} s, {} appended twice",
        sets.len() + appends.len(),
        took.unwrap_or_default().as_secs_f64(),
        log.len() - once.len()
    );
    Ok(())
}

fn main() -> RedisResult<()> {
    let addrs: Vec<String> = std::env::args().skip(1).collect();
    let client = self::client(&addrs[0]);
    let mut r = client.get_connection()?;
    simple_commands(&mut r)?;
    pipelines(&mut r)?;
    transactions(&mut r, &client)?;
    let mut other = self::client(&addrs[1]).get_connection()?;
    killed_node(r, &client, &mut other)
}
