//! What a node says of itself and of the others: the answer to `INFO server raft`.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use bowline_client::{Connection, Reply};
use tokio::time::Instant;

use crate::commands::shown;
use crate::password;

/// What a node plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Leader,
    Follower,
    Candidate,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
        }
    }
}

/// A node, by its own account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeInfo {
    pub(crate) cluster: String,
    pub(crate) id: u64,
    pub(crate) pid: u64,
    pub(crate) role: Role,
    pub(crate) term: u64,
    /// Known to be on a majority up to here.
    pub(crate) commit_index: u64,
    /// Applied to this node's store up to here.
    pub(crate) last_applied: u64,
    /// What the log takes on this node's disk.
    pub(crate) log_bytes: u64,
    /// Above so many bytes writes are refused.
    pub(crate) log_limit_bytes: u64,
    /// The last entry that the snapshot holds; 0 without one.
    pub(crate) snapshot_index: u64,
    /// How many seconds ago it was made; none without one.
    pub(crate) snapshot_age_s: Option<u64>,
    /// What it takes on this node's disk.
    pub(crate) snapshot_bytes: u64,
    /// The other members.
    pub(crate) peers: Vec<PeerInfo>,
}

/// Another member, as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerInfo {
    pub(crate) id: u64,
    /// Where it listens for clients.
    pub(crate) addr: String,
}

impl NodeInfo {
    /// Asks the node at `addr`, HOST:PORT, after the password, if there is one; it may take up to `limit`.
    pub(crate) async fn fetch(addr: &str, password: Option<&[u8]>, limit: Duration) -> anyhow::Result<Self> {
        let connection = Connection::new(addr).with_password(password);
        match connection.call(&[b"INFO", b"server", b"raft"], Some(Instant::now() + limit)).await? {
            Reply::Bulk(text) => Self::parse(&String::from_utf8_lossy(&text)),
            other => {
                let text = shown(&other);
                bail!(password::explained(&text).unwrap_or_else(|| format!("it answered INFO by {text}")))
            }
        }
    }

    /// Asks nodes, all at the same time. None of them that has not answered.
    pub(crate) async fn fetch_all(
        addrs: Vec<String>,
        password: Option<Vec<u8>>,
        limit: Duration,
    ) -> Vec<Option<Self>> {
        let ask = |addr: String| {
            let password = password.clone();
            tokio::spawn(async move { Self::fetch(&addr, password.as_deref(), limit).await.ok() })
        };
        let asked: Vec<_> = addrs.into_iter().map(ask).collect();
        let mut answers = Vec::new();
        for answer in asked {
            answers.push(answer.await.expect("asking a node does not panic"));
        }
        answers
    }

    /// From the text of INFO. What it does not know it passes over.
    fn parse(text: &str) -> anyhow::Result<Self> {
        let fields: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once(':')).collect();
        let field = |name: &str| {
            fields
                .get(name)
                .copied()
                .with_context(|| format!("its INFO has no {name}: it is not a Bowline server"))
        };
        let number = |name: &str| {
            let value = field(name)?;
            value.parse::<u64>().with_context(|| format!("its INFO says {name}:{value}, which is no number"))
        };
        let role = match field("raft_role")? {
            "leader" => Role::Leader,
            "follower" => Role::Follower,
            "candidate" => Role::Candidate,
            other => bail!("its INFO says raft_role:{other}, which is no role"),
        };
        let peers = (0..number("raft_peers")?.min(MAX_PEERS))
            .map(|peer| parse_peer(field(&format!("raft_peer{peer}"))?))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            cluster: field("raft_cluster")?.to_owned(),
            id: number("raft_node_id")?,
            pid: number("process_id")?,
            role,
            term: number("raft_term")?,
            commit_index: number("raft_commit_index")?,
            last_applied: number("raft_last_applied")?,
            log_bytes: number("raft_log_bytes")?,
            log_limit_bytes: number("raft_log_limit_bytes")?,
            snapshot_index: number("raft_snapshot_index")?,
            snapshot_age_s: field("raft_snapshot_age_sec")?.parse().ok(),
            snapshot_bytes: number("raft_snapshot_bytes")?,
            peers,
        })
    }
}

/// More members than any cluster has: each is asked, and what answers may be anything.
const MAX_PEERS: u64 = 1000;

/// `id=2,addr=HOST:PORT,state=up,...`
fn parse_peer(text: &str) -> anyhow::Result<PeerInfo> {
    let field = |name: &str| {
        text.split(',')
            .filter_map(|part| part.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
            .with_context(|| format!("its INFO names a peer without {name}: {text}"))
    };
    let id =
        field("id")?.parse().with_context(|| format!("its INFO names a peer with a wrong id: {text}"))?;
    Ok(PeerInfo { id, addr: field("addr")?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Server\r\nredis_version:7.4.0\r\nprocess_id:71\r\n\r\n# Raft\r\nraft_cluster:c\r\n\
        raft_node_id:1\r\nraft_role:leader\r\nraft_term:4\r\nraft_leader_id:1\r\nraft_commit_index:10\r\n\
        raft_last_applied:9\r\nraft_log_bytes:640\r\nraft_log_limit_bytes:2147483648\r\n\
        raft_snapshot_index:5\r\nraft_snapshot_age_sec:61\r\nraft_snapshot_bytes:77\r\nraft_peers:2\r\n\
        raft_peer0:id=2,addr=[::1]:7380,state=up,match_index=10,lag=0\r\n\
        raft_peer1:id=3,addr=host:7381,state=down,match_index=unknown,lag=unknown\r\n";

    #[test]
    fn the_text_of_info_is_understood() {
        let peer = |id, addr: &str| PeerInfo { id, addr: addr.to_owned() };
        let expected = NodeInfo {
            cluster: "c".to_owned(),
            id: 1,
            pid: 71,
            role: Role::Leader,
            term: 4,
            commit_index: 10,
            last_applied: 9,
            log_bytes: 640,
            log_limit_bytes: 2 << 30,
            snapshot_index: 5,
            snapshot_age_s: Some(61),
            snapshot_bytes: 77,
            peers: vec![peer(2, "[::1]:7380"), peer(3, "host:7381")],
        };
        assert_eq!(NodeInfo::parse(TEXT).unwrap(), expected);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (from, to, named) in [
            ("raft_term:4", "", "raft_term"),
            ("raft_term:4", "raft_term:x", "raft_term:x"),
            ("raft_role:leader", "raft_role:king", "king"),
            ("raft_peers:2", "raft_peers:3", "raft_peer2"),
            ("id=2,", "", "without id"),
            ("id=2,", "id=two,", "wrong id"),
        ] {
            let error = NodeInfo::parse(&TEXT.replace(from, to)).unwrap_err();
            assert!(format!("{error:#}").contains(named), "{error:#}");
        }
    }
}
