//! Part A of the key/value service: clerks, and servers that fail, without snapshots.
//!
//! The store must answer as if there were one copy of it and one call after the other, and each call must happen
//! once, however often a clerk had to send it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::config::E;
use crate::kv::{Generic, KvLab, generic_speed};
use crate::scenario::{KvBody, KvLine, KvScript, Part, Scenario};

/// The scenarios of part A, in the order of the seeds.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario(
        "TestBasic3A",
        5,
        KvScript::Generic(Generic::of(1)),
        &[KvLine::new("Test: one client (3A)", 15.5, 4576, 903)],
    ),
    scenario(
        "TestSpeed3A",
        3,
        KvScript::Own(|lab| Box::pin(generic_speed(lab))),
        &[KvLine::new("Test: ops complete fast enough (3A)", 15.7, 3022, 0)],
    ),
    scenario(
        "TestConcurrent3A",
        5,
        KvScript::Generic(Generic::of(5)),
        &[KvLine::new("Test: many clients (3A)", 15.9, 5884, 1160)],
    ),
    scenario(
        "TestUnreliable3A",
        5,
        KvScript::Generic(Generic::of(5).unreliable()),
        &[KvLine::new("Test: unreliable net, many clients (3A)", 19.2, 3083, 441)],
    ),
    scenario(
        "TestUnreliableOneKey3A",
        3,
        KvScript::Own(|lab| Box::pin(one_key(lab))),
        &[KvLine::new("Test: concurrent append to same key, unreliable (3A)", 2.5, 218, 52)],
    ),
    scenario(
        "TestOnePartition3A",
        5,
        KvScript::Own(|lab| Box::pin(one_partition(lab))),
        &[
            KvLine::new("Test: progress in majority (3A)", 1.7, 103, 2),
            KvLine::new("Test: no progress in minority (3A)", 1.0, 102, 3),
            KvLine::new("Test: completion after heal (3A)", 1.2, 70, 3),
        ],
    ),
    scenario(
        "TestManyPartitionsOneClient3A",
        5,
        KvScript::Generic(Generic::of(1).partitions()),
        &[KvLine::new("Test: partitions, one client (3A)", 23.8, 4501, 765)],
    ),
    scenario(
        "TestManyPartitionsManyClients3A",
        5,
        KvScript::Generic(Generic::of(5).partitions()),
        &[KvLine::new("Test: partitions, many clients (3A)", 23.5, 5692, 974)],
    ),
    scenario(
        "TestPersistOneClient3A",
        5,
        KvScript::Generic(Generic::of(1).crash()),
        &[KvLine::new("Test: restarts, one client (3A)", 22.2, 4721, 908)],
    ),
    scenario(
        "TestPersistConcurrent3A",
        5,
        KvScript::Generic(Generic::of(5).crash()),
        &[KvLine::new("Test: restarts, many clients (3A)", 22.5, 5490, 1033)],
    ),
    scenario(
        "TestPersistConcurrentUnreliable3A",
        5,
        KvScript::Generic(Generic::of(5).unreliable().crash()),
        &[KvLine::new("Test: unreliable net, restarts, many clients (3A)", 26.5, 3532, 474)],
    ),
    scenario(
        "TestPersistPartition3A",
        5,
        KvScript::Generic(Generic::of(5).crash().partitions()),
        &[KvLine::new("Test: restarts, partitions, many clients (3A)", 29.7, 6122, 1060)],
    ),
    scenario(
        "TestPersistPartitionUnreliable3A",
        5,
        KvScript::Generic(Generic::of(5).unreliable().crash().partitions()),
        &[KvLine::new("Test: unreliable net, restarts, partitions, many clients (3A)", 32.9, 2967, 317)],
    ),
    scenario(
        "TestPersistPartitionUnreliableLinearizable3A",
        7,
        KvScript::Generic(Generic::of(15).unreliable().crash().partitions().random_keys()),
        &[KvLine::new(
            "Test: unreliable net, restarts, partitions, random keys, many clients (3A)",
            35.0,
            8249,
            746,
        )],
    ),
];

const fn scenario(
    name: &'static str,
    servers: usize,
    script: KvScript,
    seed_003: &'static [KvLine],
) -> Scenario {
    let body = KvBody { script, max_raft_state: None, seed_003 };
    Scenario::of_kv(Part::KvA, name, seed_003[0].title, servers, body)
}

/// Five clients append to one key at the same time.
///
/// Catches a request that is sent again and happens twice.
async fn one_key(lab: KvLab) {
    const CLIENTS: usize = 5;
    const APPENDS: usize = 10;
    lab.set_unreliable();
    let mut control = lab.make_clerk(&lab.all());
    control.put("k", "").await;
    let appender = |me: usize| {
        let lab = lab.clone();
        lab.clone().spawn(async move {
            let mut clerk = lab.make_clerk(&lab.all());
            for n in 0..APPENDS {
                clerk.append("k", &format!("x {me} {n} y")).await;
            }
        })
    };
    let appenders: Vec<_> = (0..CLIENTS).map(appender).collect();
    for appender in appenders {
        appender.await;
    }
    let value = control.get("k").await;
    for client in 0..CLIENTS {
        lab.check_clnt_appends(client, &value, APPENDS).await;
    }
    lab.end();
}

/// The majority goes on, the minority waits, and what waited there happens when all are together again.
///
/// Catches a read from a leader that was deposed, a waiter that is never told, and one that is told what is another's.
async fn one_partition(lab: KvLab) {
    let mut control = lab.make_clerk(&lab.all());
    control.put("1", "13").await;
    lab.begin();
    let (majority, minority) = lab.make_partition();
    lab.partition(&majority, &minority);
    let mut a = lab.make_clerk(&majority);
    let (mut b, mut c) = (lab.make_clerk(&minority), lab.make_clerk(&minority));
    a.put("1", "14").await;
    a.check("1", "14").await;
    lab.end();

    let links = [b.links(), c.links()];
    let (b_done, c_done): (Rc<Cell<bool>>, Rc<Cell<bool>>) = Default::default();
    let (b_sets, c_sets) = (b_done.clone(), c_done.clone());
    lab.spawn(async move {
        b.put("1", "15").await;
        b_sets.set(true);
    });
    lab.spawn(async move {
        c.get("1").await;
        c_sets.set(true);
    });
    lab.sleep(Duration::from_secs(1)).await;
    lab.ensure(!b_done.get(), || "a put in the minority has completed".to_owned()).await;
    lab.ensure(!c_done.get(), || "a get in the minority has completed".to_owned()).await;
    a.check("1", "14").await;
    a.put("1", "16").await;
    a.check("1", "16").await;
    lab.end();

    lab.connect_all();
    links.iter().for_each(|links| links.connect(&lab.all()));
    lab.sleep(E).await;
    let healed = lab.now();
    while !(b_done.get() && c_done.get()) {
        let late = lab.now() - healed >= Duration::from_secs(3);
        lab.ensure(!late, || "a call of the minority has not completed after the heal".to_owned()).await;
        lab.sleep(Duration::from_millis(10)).await;
    }
    control.check("1", "15").await;
    lab.end();
}
