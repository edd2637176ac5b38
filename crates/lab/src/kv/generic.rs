//! The test that most of the key/value tests are, and the one about speed.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bowline_kv::clerk::Operation;
use rand::RngExt;

use super::KvLab;
use crate::config::E;

/// What the test that most of the seeds' are is made of.
#[derive(Clone, Copy, Debug)]
pub struct Generic {
    /// How many clients.
    pub clients: usize,
    /// Whether the network loses and delays.
    pub unreliable: bool,
    /// Whether all servers crash and start again in each round.
    pub crash: bool,
    /// Whether the servers are parted at random meanwhile.
    pub partitions: bool,
    /// Whether clients share keys.
    pub random_keys: bool,
}

impl Generic {
    /// So many clients, each with a key of its own, and nothing that goes wrong.
    pub(crate) const fn of(clients: usize) -> Self {
        Self { clients, unreliable: false, crash: false, partitions: false, random_keys: false }
    }

    /// The same on a network that loses and delays.
    pub(crate) const fn unreliable(self) -> Self {
        Self { unreliable: true, ..self }
    }

    /// The same with servers that all crash and start again in each round.
    pub(crate) const fn crash(self) -> Self {
        Self { crash: true, ..self }
    }

    /// The same with servers that are parted at random.
    pub(crate) const fn partitions(self) -> Self {
        Self { partitions: true, ..self }
    }

    /// The same with keys that the clients share.
    pub(crate) const fn random_keys(self) -> Self {
        Self { random_keys: true, ..self }
    }
}

/// Three rounds of five seconds in which clients put, append and get while things go wrong; after each, every append
/// that was answered is there once.
pub(crate) async fn generic(lab: KvLab, test: Generic) {
    if test.unreliable {
        lab.set_unreliable();
    }
    let mut control = lab.make_clerk(&lab.all());
    for _ in 0..3 {
        let done = Rc::new(Cell::new(false));
        let client = |c| lab.spawn(client(lab.clone(), test, c, done.clone()));
        let clients: Vec<_> = (0..test.clients).map(client).collect();
        let partitioner = if test.partitions {
            lab.sleep(Duration::from_secs(1)).await;
            Some(lab.spawn(partitioner(lab.clone(), done.clone())))
        } else {
            None
        };
        lab.sleep(Duration::from_secs(5)).await;
        done.set(true);
        if let Some(partitioner) = partitioner {
            partitioner.await;
            lab.connect_all();
            lab.sleep(E).await;
        }
        if test.crash {
            lab.all().into_iter().for_each(|i| lab.shutdown_server(i));
            lab.sleep(E).await;
            lab.all().into_iter().for_each(|i| lab.start_server(i));
            lab.connect_all();
        }
        for (c, client) in clients.into_iter().enumerate() {
            let appended = client.await;
            let value = control.get(&c.to_string()).await;
            if !test.random_keys {
                lab.check_clnt_appends(c, &value, appended).await;
            }
        }
        check_sizes(&lab).await;
    }
    lab.end();
}

/// A new clerk that works until it is told to stop; how many elements it has written.
async fn client(lab: KvLab, test: Generic, c: usize, done: Rc<Cell<bool>>) -> usize {
    let mut clerk = lab.make_clerk(&lab.all());
    let mut random = lab.stream(clerk.number());
    let own = c.to_string();
    let mut expected = String::new();
    if !test.random_keys {
        clerk.put(&own, "").await;
    }
    let mut j = 0;
    while !done.get() {
        let key =
            if test.random_keys { random.random_range(0..test.clients).to_string() } else { own.clone() };
        let element = format!("x {c} {j} y");
        if random.random_bool(0.5) {
            clerk.append(&key, &element).await;
            expected += &element;
            j += 1;
        } else if test.random_keys && random.random_bool(0.1) {
            clerk.put(&key, &element).await;
            j += 1;
        } else {
            let value = clerk.get(&key).await;
            let is_right = test.random_keys || value == expected;
            lab.ensure(is_right, || format!("get of {key} gave {value:?}, not {expected:?}")).await;
        }
    }
    j
}

/// Puts each server on one of two sides, again and again.
pub(crate) async fn partitioner(lab: KvLab, done: Rc<Cell<bool>>) {
    while !done.get() {
        let (one, other): (Vec<usize>, Vec<usize>) =
            lab.all().into_iter().partition(|_| lab.random_below(2) == 0);
        lab.partition(&one, &other);
        lab.sleep(E + Duration::from_millis(lab.random_below(200))).await;
    }
}

/// The raft state is not much larger than it should be, and without a limit there is no snapshot.
pub(super) async fn check_sizes(lab: &KvLab) {
    match lab.0.max_raft_state {
        Some(most) => {
            let size = lab.log_size();
            lab.ensure(size <= 8 * most, || format!("a raft state of {size} bytes, and {most} are wanted"))
                .await;
        }
        None => {
            let size = lab.snapshot_size();
            lab.ensure(size == 0, || format!("a snapshot of {size} bytes where none is wanted")).await;
        }
    }
}

/// A thousand appends one after the other, each in less than a third of a heartbeat interval.
pub(crate) async fn generic_speed(lab: KvLab) {
    const CALLS: usize = 1000;
    let mut clerk = lab.make_clerk(&lab.all());
    let get = || Operation::Get { key: "x".into() };
    let failed = |error| format!("a call without a deadline has failed: {error}");
    if let Err(error) = clerk.call(get(), None).await {
        lab.fail(failed(error)).await;
    }
    let began = lab.now();
    for i in 0..CALLS {
        let operation = Operation::Append { key: "x".into(), value: format!("x 0 {i} y").into() };
        if let Err(error) = clerk.call(operation, None).await {
            lab.fail(failed(error)).await;
        }
    }
    let took = lab.now() - began;
    let value = match clerk.call(get(), None).await {
        Ok(reply) => String::from_utf8_lossy(&reply.into_value()).into_owned(),
        Err(error) => lab.fail(failed(error)).await,
    };
    lab.check_clnt_appends(0, &value, CALLS).await;
    let most = Duration::from_millis(100) * 1000 / 3;
    lab.ensure(took <= most, || format!("{CALLS} appends took {took:?}, and may take {most:?}")).await;
    lab.end();
}
