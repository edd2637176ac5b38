//! How many messages and bytes the work may take, and no more.

use std::time::Duration;

use bowline_raft::Index;
use bytes::Bytes;

use crate::config::{E, Lab, int};
use crate::script::{all_in_term, any_int31};

/// Ten large commands go to each follower about once.
///
/// Catches a leader that sends an entry again while the first copy is still on its way, or the whole tail of the log
/// with every Start: one more copy to each follower is already too much.
pub(crate) async fn rpc_bytes(lab: Lab) {
    const COMMAND_BYTES: u64 = 5000;
    const COMMANDS: u64 = 10;

    let n = lab.n();
    lab.one(int(99), n, false).await;
    let before = lab.bytes_total();

    for index in 2..=COMMANDS + 1 {
        let got = lab.one(random_text(&lab, COMMAND_BYTES), n, false).await;
        lab.ensure(got == index, || format!("got index {got} but expected {index}")).await;
    }

    let sent = lab.bytes_total() - before;
    let copies = u64::try_from(n).expect("a number of servers fits");
    let limit = copies * COMMANDS * COMMAND_BYTES + 50_000;
    lab.ensure(sent <= limit, || format!("too many RPC bytes: {sent}, but {limit} are enough")).await;
}

/// An election, a burst of commands and an idle second each take no more messages than they need.
///
/// Catches a message for each command where a few would do, entries that are sent again though nothing was lost,
/// and heartbeats far more often than ten times a second.
pub(crate) async fn count(lab: Lab) {
    lab.check_one_leader().await;
    let election = rpcs(&lab);
    let fits = (1..=30).contains(&election);
    lab.ensure(fits, || format!("too many or too few RPCs to elect the first leader: {election}")).await;

    for attempt in 0..5 {
        if attempt > 0 {
            // The servers get time to settle.
            lab.sleep(Duration::from_secs(3)).await;
        }
        let Some(after_burst) = count_burst(&lab).await else { continue };

        lab.sleep(E).await;
        let idle = rpcs(&lab) - after_burst;
        lab.ensure(idle <= 3 * 20, || format!("too many RPCs in an idle second: {idle}")).await;
        return;
    }
    lab.fail("the term changed too often").await;
}

/// Twelve commands, and the count of RPCs when they are committed; `None` if the term changed, so that nothing can
/// be said.
async fn count_burst(lab: &Lab) -> Option<u64> {
    const WAITED_FOR: u64 = 10;

    let leader = lab.check_one_leader().await;
    let before = rpcs(lab);
    let (first, term) = lab.start(leader, int(1)).await?;

    let mut commands: Vec<(Index, Bytes)> = Vec::new();
    for k in 1..=WAITED_FOR + 1 {
        let command = any_int31(lab);
        let (index, _) = lab.start(leader, command.clone()).await.filter(|(_, then)| *then == term)?;
        let expected = first + k;
        lab.ensure(index == expected, || format!("Start() gave index {index}, not {expected}")).await;
        commands.push((index, command));
    }

    commands.pop();
    for (index, command) in commands {
        let committed = lab.wait(index, lab.n(), Some(term)).await?;
        let same = committed == command;
        lab.ensure(same, || format!("{committed:?} at index {index}, not {command:?}")).await;
    }

    let after = rpcs(lab);
    if !all_in_term(lab, term).await {
        return None;
    }
    let burst = after - before;
    let limit = (WAITED_FOR + 1 + 3) * 3;
    lab.ensure(burst <= limit, || format!("too many RPCs for {WAITED_FOR} entries: {burst}, not {limit}"))
        .await;
    Some(after)
}

fn rpcs(lab: &Lab) -> u64 {
    (0..lab.n()).map(|server| lab.rpc_count(server)).sum()
}

/// So many letters, each drawn from sixty-four.
fn random_text(lab: &Lab, length: u64) -> Bytes {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letter = |_| LETTERS[usize::try_from(lab.random_below(64)).expect("below sixty-four")];
    (0..length).map(letter).collect()
}
