//! How long clients wait when a leader dies.
//!
//! Starts three servers on this machine, lets a client write through each of them, one write after the other, and
//! kills the leader with kill -9 again and again. The outage of a kill is the longest that one write took which
//! was in progress at a survivor when the leader died, or begun before the next one led.
//!
//! ```text
//! cargo build --release && cargo run --release --example failover -- 50
//! ```

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bowline_harness::{Client, Cluster, End, PATIENCE, until};

/// One write: at which node, from when to when.
struct Write {
    node: u64,
    begun: Instant,
    ended: Instant,
}

/// Writes through one node, through all its lives, and notes how long each took.
fn write(node: u64, addr: &str, is_over: &AtomicBool, writes: &Mutex<Vec<Write>>) {
    let mut connection = None;
    while !is_over.load(Ordering::SeqCst) {
        let Some(open) = &mut connection else {
            connection = Client::connect(addr).ok();
            thread::sleep(Duration::from_millis(1));
            continue;
        };
        let begun = Instant::now();
        match open.call(&["SET", &format!("key:{node}"), "value"]) {
            Ok(reply) if reply.is_ok() => {
                let write = Write { node, begun, ended: Instant::now() };
                writes.lock().expect("no writer panics").push(write);
            }
            Ok(reply) => panic!("node {node} answers a write by {reply:?}"),
            Err(_) => connection = None,
        }
    }
}

/// Kills the leader once, and hands back how long it kept the survivors' clients waiting.
fn outage(cluster: &mut Cluster, writes: &Mutex<Vec<Write>>) -> Duration {
    let leader = cluster.leader();
    writes.lock().expect("no writer panics").clear();
    let killed = Instant::now();
    cluster.kill(leader);
    let is_over = |node: u64| {
        let writes = writes.lock().expect("no writer panics");
        writes.iter().filter(|write| write.node == node && write.begun > killed).count() >= 3
    };
    for node in cluster.others(leader) {
        until("writes after the kill", PATIENCE, || is_over(node).then_some(()));
    }
    // A write that ended since was in progress at the kill, or begun later.
    let waited = |write: &Write| write.ended.duration_since(write.begun.max(killed));
    let writes = writes.lock().expect("no writer panics");
    let of_survivors = writes.iter().filter(|write| write.node != leader && write.ended > killed);
    let outage = of_survivors.map(waited).max().expect("there were writes");
    drop(writes);
    cluster.restart(leader);
    cluster.wait_until_caught_up();
    outage
}

fn main() {
    let kills: usize = match std::env::args().nth(1).map(|text| text.parse()) {
        None => 50,
        Some(Ok(kills)) if kills > 0 => kills,
        Some(_) => {
            eprintln!("usage: failover [KILLS]");
            std::process::exit(2);
        }
    };
    let mut cluster = Cluster::start("failover", 3);
    let nodes: Vec<_> = cluster.ids().into_iter().map(|id| (id, cluster.addr(id).to_owned())).collect();
    let (is_over, writes) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let mut outages = thread::scope(|scope| {
        for (node, addr) in &nodes {
            scope.spawn(|| write(*node, addr, &is_over, &writes));
        }
        let _end = End(&is_over);
        let outage_of = |kill| {
            let outage = outage(&mut cluster, &writes);
            println!("kill {kill}: {} ms", outage.as_millis());
            outage
        };
        (1..=kills).map(outage_of).collect::<Vec<_>>()
    });
    outages.sort_unstable();
    let (median, worst) = (outages[outages.len() / 2], outages[outages.len() - 1]);
    println!("{kills} kills: median {} ms, worst {} ms", median.as_millis(), worst.as_millis());
}
