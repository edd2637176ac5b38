//! The paper's Figure 8, by chance and a thousand times.

use std::time::Duration;

use crate::config::{Lab, int};
use crate::script::any_server;

/// How often the scripts take the leader away.
const ITERATIONS: usize = 1000;

/// With fewer servers than that there is no majority of five.
const MAJORITY: usize = 3;

/// Leaders crash a few milliseconds after they were given a command, most of them before it is committed, and the
/// group is kept at the edge of its majority.
///
/// What is checked all along is that no two servers ever apply different commands at one index. Catches a leader that
/// commits an entry of an earlier term by counting its copies (paper, Figure 8, section 5.4.2); a vote, a term or an
/// entry that counts before it is durable; a dead instance that goes on talking.
pub(crate) async fn figure8(lab: Lab) {
    let n = lab.n();
    lab.one(lab.random_int(), 1, true).await;

    let mut up = n;
    for _ in 0..ITERATIONS {
        let mut leader = None;
        for server in 0..n {
            if lab.is_alive(server) && lab.start(server, lab.random_int()).await.is_some() {
                leader = Some(server);
            }
        }

        lab.sleep(pause(&lab)).await;

        if let Some(leader) = leader {
            lab.crash1(leader);
            up -= 1;
        }
        // One attempt, which may hit one that is up, so it can take a while until there are three again.
        if up < MAJORITY {
            let server = any_server(&lab);
            if !lab.is_alive(server) {
                lab.start1(server);
                lab.connect(server);
                up += 1;
            }
        }
    }

    for server in 0..n {
        if !lab.is_alive(server) {
            lab.start1(server);
            lab.connect(server);
        }
    }
    lab.one(lab.random_int(), n, true).await;
}

/// Leaders are cut off instead, and go on accepting commands; the network loses and delays, and after a while it also
/// reorders replies by seconds.
///
/// At the end all servers are connected and have to agree within ten seconds, with all that is bad about the network
/// still there. Catches a reply from an earlier term, or to a request that is long superseded, that is believed; a
/// commit index that a follower takes beyond what the request vouched for; logs that come together by one entry for
/// each round trip.
pub(crate) async fn figure8_unreliable(lab: Lab) {
    let n = lab.n();
    let command = || int(lab.random_below(10_000));
    lab.one(command(), 1, true).await;

    let mut up = n;
    for iteration in 0..ITERATIONS {
        if iteration == 200 {
            lab.set_long_reordering(true);
        }

        let mut leader = None;
        for server in 0..n {
            if lab.start(server, command()).await.is_some() && lab.is_connected(server) {
                leader = Some(server);
            }
        }

        lab.sleep(pause(&lab)).await;

        if let Some(leader) = leader
            && lab.chance(50)
        {
            lab.disconnect(leader);
            up -= 1;
        }
        if up < MAJORITY {
            let server = any_server(&lab);
            if !lab.is_connected(server) {
                lab.connect(server);
                up += 1;
            }
        }
    }

    for server in 0..n {
        if !lab.is_connected(server) {
            lab.connect(server);
        }
    }
    lab.one(command(), n, true).await;
}

/// Before the leader goes: mostly so short that an entry reaches a few servers, now and then up to half
/// a second.
fn pause(lab: &Lab) -> Duration {
    let ms = if lab.chance(10) { lab.random_below(500) } else { lab.random_below(13) };
    Duration::from_millis(ms)
}
