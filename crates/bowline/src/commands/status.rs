//! `bowline status`: every node of a cluster, each by its own account.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;

use super::{print, runtime};
use crate::args::StatusArgs;
use crate::json::quoted;
use crate::node_info::{NodeInfo, PeerInfo, Role};
use crate::{password, table};

/// How long a node may take before it counts as down. Short: a node answers this at once or not at all, and
/// somebody waits.
const TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let password = password::given(&args.at.password)?;
    let nodes = runtime()?.block_on(async {
        let (addr, witness) = first_answer(&args.at.addresses, password.as_deref()).await?;
        anyhow::Ok(ask_the_others(addr, witness, password).await)
    })?;
    let text = if args.json { json(&nodes) } else { table(&nodes) };
    print(text.trim_end().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// A member of the cluster.
struct Node {
    id: u64,
    /// Where it listens for clients.
    addr: String,
    /// What it says of itself; `None` when it is down.
    info: Option<NodeInfo>,
}

/// The first node that answers, and where it was asked.
async fn first_answer<'a>(
    addresses: &'a [String],
    password: Option<&[u8]>,
) -> anyhow::Result<(&'a str, NodeInfo)> {
    let mut reasons = String::new();
    for addr in addresses {
        match NodeInfo::fetch(addr, password, TIMEOUT).await {
            Ok(info) => return Ok((addr, info)),
            Err(error) => write!(reasons, "\n  {addr}: {error:#}")?,
        }
    }
    bail!(
        "no node answers:{reasons}\nIs a cluster running there? `bowline dev` starts one on this machine; --at \
         HOST:PORT names a node of another."
    );
}

/// Every member, in the order of the ids: the one that answered at `addr`, and those that it knows, each asked
/// at the same time. One that answers as somebody else is not that member, which is therefore down.
async fn ask_the_others(addr: &str, witness: NodeInfo, password: Option<Vec<u8>>) -> Vec<Node> {
    let addrs = witness.peers.iter().map(|peer| peer.addr.clone()).collect();
    let answers = NodeInfo::fetch_all(addrs, password, TIMEOUT).await;
    let with_peer = |(peer, info): (&PeerInfo, Option<NodeInfo>)| {
        let is_itself = |info: &NodeInfo| info.id == peer.id && info.cluster == witness.cluster;
        Node { id: peer.id, addr: peer.addr.clone(), info: info.filter(is_itself) }
    };
    let mut nodes: Vec<Node> = witness.peers.iter().zip(answers).map(with_peer).collect();
    // The configured address of the witness is known to the others only.
    let by_others = nodes.iter().flat_map(|node| node.info.iter()).flat_map(|info| &info.peers);
    let own = by_others.into_iter().find(|peer| peer.id == witness.id).map(|peer| peer.addr.clone());
    nodes.push(Node { id: witness.id, addr: own.unwrap_or_else(|| addr.to_owned()), info: Some(witness) });
    nodes.sort_by_key(|node| node.id);
    nodes
}

/// The nodes that are up.
fn up(nodes: &[Node]) -> impl Iterator<Item = &NodeInfo> {
    nodes.iter().filter_map(|node| node.info.as_ref())
}

/// What the cluster has committed, as far as anybody who was asked knows. Each node's lag is counted from it.
fn committed(nodes: &[Node]) -> u64 {
    up(nodes).map(|info| info.commit_index).max().unwrap_or(0)
}

fn lag(info: &NodeInfo, committed: u64) -> u64 {
    committed.saturating_sub(info.last_applied)
}

fn table(nodes: &[Node]) -> String {
    let committed = committed(nodes);
    let row = |node: &Node| {
        let name = format!("{} {}", node.id, node.addr);
        let Some(info) = &node.info else {
            let [term, commit, applied, lag, log, snapshot] = std::array::from_fn(|_| "-".to_owned());
            return [name, "down".to_owned(), term, commit, applied, lag, log, snapshot];
        };
        [
            name,
            info.role.name().to_owned(),
            info.term.to_string(),
            info.commit_index.to_string(),
            info.last_applied.to_string(),
            lag(info, committed).to_string(),
            format!("{} of {}", bytes(info.log_bytes), bytes(info.log_limit_bytes)),
            snapshot(info),
        ]
    };
    let rows: Vec<_> = nodes.iter().map(row).collect();
    let titles = ["node", "role", "term", "commit", "applied", "lag", "disk", "snapshot"];
    format!("{}\n\n{}", summary(nodes), table::render(titles, &rows))
}

/// Up to which entry, how old, and how large.
fn snapshot(info: &NodeInfo) -> String {
    info.snapshot_age_s.map_or_else(
        || "-".to_owned(),
        |age_s| format!("{}, {} old, {}", info.snapshot_index, age(age_s), bytes(info.snapshot_bytes)),
    )
}

/// A number of seconds in the unit in which it is easy to read.
fn age(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    let (length, unit) = units.into_iter().find(|(length, _)| seconds >= 2 * length).unwrap_or((1, "s"));
    format!("{} {unit}", seconds / length)
}

/// One line that says whether all is well.
fn summary(nodes: &[Node]) -> String {
    let is_up = up(nodes).count();
    // A leader that has been deposed and does not know it yet has the lower term.
    let leader = up(nodes).filter(|info| info.role == Role::Leader).max_by_key(|info| info.term);
    let verdict = match leader {
        Some(leader) => format!("node {} leads", leader.id),
        None if 2 * is_up <= nodes.len() => {
            format!("no leader: {} must be up for the cluster to serve", nodes.len() / 2 + 1)
        }
        None => "no leader at this moment".to_owned(),
    };
    let cluster = up(nodes).next().map_or("", |info| info.cluster.as_str());
    format!("cluster {cluster}: {is_up} of {} nodes up, {verdict}", nodes.len())
}

/// Bytes in the unit in which they are easy to read.
fn bytes(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| bytes >> shift > 0) {
        None => format!("{bytes} B"),
        Some((shift, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

/// The object that scripts read.
fn json(nodes: &[Node]) -> String {
    let committed = committed(nodes);
    let cluster = up(nodes).next().map_or("", |info| info.cluster.as_str());
    let member = |node: &Node| {
        let head = format!("{{\"id\": {}, \"addr\": {}", node.id, quoted(&node.addr));
        match &node.info {
            None => format!(
                "{head}, \"role\": \"down\", \"term\": null, \"commit_index\": null, \"last_applied\": null, \
                 \"lag\": null, \"pid\": null, \"log_bytes\": null, \"snapshot_index\": null, \
                 \"snapshot_age_s\": null, \"snapshot_bytes\": null}}"
            ),
            Some(info) => format!(
                "{head}, \"role\": \"{}\", \"term\": {}, \"commit_index\": {}, \"last_applied\": {}, \"lag\": {}, \
                 \"pid\": {}, \"log_bytes\": {}, \"snapshot_index\": {}, \"snapshot_age_s\": {}, \
                 \"snapshot_bytes\": {}}}",
                info.role.name(),
                info.term,
                info.commit_index,
                info.last_applied,
                lag(info, committed),
                info.pid,
                info.log_bytes,
                info.snapshot_index,
                info.snapshot_age_s.map_or_else(|| "null".to_owned(), |seconds| seconds.to_string()),
                info.snapshot_bytes
            ),
        }
    };
    let members: Vec<_> = nodes.iter().map(member).collect();
    format!("{{\"cluster\": {}, \"nodes\": [{}]}}", quoted(cluster), members.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_in_the_largest_unit_that_fits() {
        let said = [0, 1023, 1024, 1536, (1 << 20) - 1, 2 << 30, u64::MAX].map(bytes);
        assert_eq!(said, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1023.9 KiB", "2.0 GiB", "16777215.9 TiB"]);
    }

    #[test]
    fn ages_are_said_in_a_unit_of_which_there_are_some() {
        let said = [0, 119, 120, 7199, 7200, 172_799, 172_800].map(age);
        assert_eq!(said, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d"]);
    }
}
