//! Leader Completeness: if a log entry is committed in a given term, then that entry will be present in the
//! logs of the leaders for all higher-numbered terms (paper, Figure 3; section 5.4).

use bowline_raft::{Entry, Node};

use super::{Verdict, ensure};

/// The node has been elected, and this is what is committed.
pub fn elected(node: &Node, committed: &[Entry]) -> Verdict {
    let snapshot = node.snapshot();
    for entry in committed {
        let own = node.entry(entry.id.index).map(|entry| entry.id);
        let in_snapshot = own.is_none() && entry.id.index <= snapshot.index;
        ensure(in_snapshot || own == Some(entry.id), "leader completeness", || {
            let (id, term) = (node.id(), node.term());
            format!("node {id} leads in term {term} with {own:?} where {} is committed", entry.id)
        })?;
    }
    Ok(())
}
