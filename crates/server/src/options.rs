//! What an operator says on the command line, and what it means.

use std::path::PathBuf;

use bowline_raft::NodeId;

use crate::face::Password;

/// How far the peer port lies behind the client port unless it is written, as in Redis Cluster.
const PEER_PORT_OFFSET: u16 = 10_000;

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: NodeId,
    /// Where it listens for clients: `HOST:PORT`.
    pub addr: String,
    /// Where it listens for the other nodes: `HOST:PORT`.
    pub peer_addr: String,
}

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// This node.
    pub id: NodeId,
    /// Its directory.
    pub data: PathBuf,
    /// Where it listens for clients: `HOST:PORT`.
    pub listen: String,
    /// Every node of the cluster, this one too.
    pub members: Vec<Member>,
    /// The cluster's name. By default it is made of the members at the first boot, and then read
    /// from the directory.
    pub cluster: Option<String>,
    /// The first boot of a new cluster: the directory is made.
    pub new: bool,
    /// Above this size of the log writes are refused, in bytes.
    pub log_limit_bytes: u64,
    /// A snapshot is made when the log behind the last one has become so large, or as large as that one if that is
    /// more, in bytes.
    pub snapshot_after_bytes: u64,
    /// How many clients may be connected at once.
    pub max_clients: u64,
    /// Who may come in.
    pub access: Access,
}

/// Whether clients have to say a password.
#[derive(Clone, Debug)]
pub enum Access {
    /// This one.
    Password(Password),
    /// None, so nobody is listened to but this machine.
    LocalOnly,
    /// None: whoever reaches the port may do everything.
    Everybody,
}

impl Options {
    /// This node's own entry among the members.
    pub fn own(&self) -> Option<&Member> {
        self.members.iter().find(|m| m.id == self.id)
    }

    /// The name of a cluster that was given none: its members by id.
    pub(crate) fn default_cluster_name(&self) -> String {
        let mut members: Vec<_> = self.members.iter().map(|m| (m.id, &m.addr)).collect();
        members.sort();
        let name = members.iter().map(|(id, addr)| format!("{id}={addr}")).collect::<Vec<_>>().join(",");
        if name.len() <= bowline_storage::identity::MAX_CLUSTER_BYTES {
            name
        } else {
            format!("{} nodes, {:016x}", members.len(), cluster_number(&name))
        }
    }
}

/// The number by which messages and the log name the cluster.
pub(crate) fn cluster_number(name: &str) -> u64 {
    let low = crc32c::crc32c(name.as_bytes());
    let high = crc32c::crc32c_append(!low, name.as_bytes());
    u64::from(high) << 32 | u64::from(low)
}

/// Reads `ID=HOST:PORT[@PEERPORT],...`.
///
/// # Errors
///
/// Says which part is wrong, and how it should look.
pub fn parse_members(text: &str) -> Result<Vec<Member>, String> {
    let mut members: Vec<Member> = Vec::new();
    for part in text.split(',').map(str::trim) {
        let member = parse_member(part)?;
        if members.iter().any(|m| m.id == member.id) {
            return Err(format!("node {} is named twice", member.id));
        }
        let taken = |m: &Member| m.addr == member.addr || m.peer_addr == member.peer_addr;
        if let Some(other) = members.iter().find(|m| taken(m)) {
            return Err(format!("nodes {} and {} have the same address", other.id, member.id));
        }
        members.push(member);
    }
    Ok(members)
}

fn parse_member(part: &str) -> Result<Member, String> {
    let wrong =
        |what: &str| format!("`{part}`: {what}; a member is written ID=HOST:PORT or ID=HOST:PORT@PEERPORT");
    let (id, rest) = part.split_once('=').ok_or_else(|| wrong("no `=`"))?;
    let id: u64 = id.parse().map_err(|_| wrong("the id is not a number"))?;
    if id == 0 {
        return Err(wrong("ids begin at 1"));
    }
    let (addr, peer_port) = match rest.split_once('@') {
        Some((addr, port)) => (addr, Some(port)),
        None => (rest, None),
    };
    let (host, port) = addr.rsplit_once(':').ok_or_else(|| wrong("no port"))?;
    if host.is_empty() {
        return Err(wrong("no host"));
    }
    let port: u16 = port.parse().map_err(|_| wrong("the port is not a number from 1 to 65535"))?;
    if port == 0 {
        return Err(wrong("port 0 is no port that others could reach"));
    }
    let peer_port = match peer_port {
        Some(text) => text.parse().map_err(|_| wrong("the peer port is not a number from 1 to 65535"))?,
        None => port.checked_add(PEER_PORT_OFFSET).ok_or_else(|| {
            wrong("the peer port would be PORT+10000, which is above 65535; write @PEERPORT")
        })?,
    };
    if peer_port == 0 || peer_port == port {
        return Err(wrong("the peer port must be another one"));
    }
    Ok(Member { id: NodeId(id), addr: addr.to_owned(), peer_addr: format!("{host}:{peer_port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read() {
        let members = parse_members("1=127.0.0.1:7379,2=[::1]:7380@9000, 3=db-3:7381").expect("valid");
        let shown: Vec<_> = members.iter().map(|m| format!("{} {} {}", m.id, m.addr, m.peer_addr)).collect();
        assert_eq!(
            shown,
            ["1 127.0.0.1:7379 127.0.0.1:17379", "2 [::1]:7380 [::1]:9000", "3 db-3:7381 db-3:17381"]
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("", "no `=`"),
            ("x=h:1", "the id is not a number"),
            ("0=h:1", "ids begin at 1"),
            ("1=h", "no port"),
            ("1=:1", "no host"),
            ("1=h:x", "the port is not a number"),
            ("1=h:70000", "the port is not a number"),
            ("1=h:0", "port 0"),
            ("1=h:1@x", "the peer port is not a number"),
            ("1=h:1@1", "the peer port must be another one"),
            ("1=h:60000", "PORT+10000"),
            ("1=h:1,1=h:2", "node 1 is named twice"),
            ("1=h:1,2=h:1", "nodes 1 and 2 have the same address"),
        ];
        for (text, part) in cases {
            let error = parse_members(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_cluster_is_named_after_its_members_whatever_their_order() {
        let options = |members: &str| Options {
            id: NodeId(1),
            data: PathBuf::new(),
            listen: String::new(),
            members: parse_members(members).expect("valid"),
            cluster: None,
            new: false,
            log_limit_bytes: 0,
            snapshot_after_bytes: 0,
            max_clients: 1,
            access: Access::LocalOnly,
        };
        let name = options("2=b:2,1=a:1").default_cluster_name();
        assert_eq!(name, "1=a:1,2=b:2");
        assert_eq!(name, options("1=a:1,2=b:2").default_cluster_name());
        assert_ne!(cluster_number(&name), cluster_number("1=a:1,2=b:3"));
    }
}
