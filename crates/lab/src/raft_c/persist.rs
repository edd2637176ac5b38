//! Crashes one after the other, with the network as it should be.

use crate::config::{E, Lab, int};

/// Crashes and starts again, with nothing left but what was persisted.
fn restart(lab: &Lab, server: usize) {
    lab.start1(server);
    lab.connect(server);
}

/// Every server crashes and comes back, then the leader, then a leader after it was cut off, then a follower; the
/// log goes on from where it was.
///
/// Catches a term, a vote or an entry that was never persisted; a server that does not read what it had, or applies
/// something else the second time.
pub(crate) async fn persist1(lab: Lab) {
    let n = lab.n();
    lab.one(int(11), n, true).await;

    // All of them crash and start again.
    for server in 0..n {
        lab.start1(server);
    }
    for server in 0..n {
        lab.disconnect(server);
        lab.connect(server);
    }
    lab.one(int(12), n, true).await;

    // The leader crashes, and is back at once.
    let first = lab.check_one_leader().await;
    lab.disconnect(first);
    restart(&lab, first);
    lab.one(int(13), n, true).await;

    // A leader is cut off, lives on alone, and crashes only when the others have gone on.
    let second = lab.check_one_leader().await;
    lab.disconnect(second);
    lab.one(int(14), n - 1, true).await;
    restart(&lab, second);

    // It has all that the others have before the next one goes.
    lab.wait(4, n, None).await;

    // The same with a follower.
    let follower = (lab.check_one_leader().await + 1) % n;
    lab.disconnect(follower);
    lab.one(int(15), n - 1, true).await;
    restart(&lab, follower);
    lab.one(int(16), n, true).await;
}

/// Majorities that share one server only, five times over: the last command is on a server that has lived through
/// it, and two that crashed have to learn it from that one.
///
/// Catches an acknowledgement that was given before the entry was durable, and an election that a server without the
/// last entry can win.
pub(crate) async fn persist2(lab: Lab) {
    let n = lab.n();
    let mut commands = (11..).map(int);
    let mut next = || commands.next().expect("numbers do not end");

    for _ in 0..5 {
        lab.one(next(), n, true).await;

        // Two are gone: three agree on a command that these do not know.
        let leader = lab.check_one_leader().await;
        let at = |steps: usize| (leader + steps) % n;
        lab.disconnect(at(1));
        lab.disconnect(at(2));
        lab.one(next(), n - 2, true).await;

        // The three are gone, the two are back, with what they had persisted: no majority.
        lab.disconnect(at(0));
        lab.disconnect(at(3));
        lab.disconnect(at(4));
        lab.start1(at(1));
        lab.start1(at(2));
        lab.connect(at(1));
        lab.connect(at(2));
        lab.sleep(E).await;

        // One of the three crashes and is back: a majority, and only this one has the last command.
        restart(&lab, at(3));
        lab.one(next(), n - 2, true).await;

        // The other two lived on alone.
        lab.connect(at(4));
        lab.connect(at(0));
    }

    lab.one(int(1000), n, true).await;
}

/// A leader and a follower agree without the third, then both crash; the leader, back from its disk, and the third
/// agree on the next one.
///
/// Catches a leader that does not keep what it has committed, and an election that the third can win, who has
/// nothing of it.
pub(crate) async fn persist3(lab: Lab) {
    let n = lab.n();
    lab.one(int(101), n, true).await;

    let leader = lab.check_one_leader().await;
    let follower = (leader + 1) % n;
    let apart = (leader + 2) % n;
    lab.disconnect(apart);
    lab.one(int(102), n - 1, true).await;

    // Both who know of it crash; one comes back, to the one who does not.
    lab.crash1(leader);
    lab.crash1(follower);
    lab.connect(apart);
    restart(&lab, leader);
    lab.one(int(103), n - 1, true).await;

    restart(&lab, follower);
    lab.one(int(104), n, true).await;
}
