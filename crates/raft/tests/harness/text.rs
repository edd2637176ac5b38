//! Effects, messages and entries as a person reads them, and back.
//!
//! An entry is named as the crate prints it, `index@term`, so that `7@3` is entry 7, made in term 3.

use std::error::Error;

use bowline_raft::{
    AppendEntries, AppendReply, Body, Conflict, Entry, EntryKind, InstallSnapshot, LogId, Message, Node,
    NodeId, Outcome, Ready, Restore, RoleKind,
};
use bytes::Bytes;
use goldenscript::ArgumentConsumer;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

pub(crate) fn entry(entry: &Entry) -> String {
    let payload = String::from_utf8_lossy(&entry.payload);
    match entry.kind {
        EntryKind::Empty => format!("{}", entry.id),
        // A payload that only fills a budget is shown by its size.
        EntryKind::Command if payload.len() > 20 => format!("{}:{} bytes", entry.id, payload.len()),
        EntryKind::Command => format!("{}:{payload}", entry.id),
        EntryKind::Configuration => format!("{}:configuration", entry.id),
    }
}

pub(crate) fn entries<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let texts: Vec<_> = entries.into_iter().map(entry).collect();
    format!("[{}]", texts.join(" "))
}

pub(crate) fn message(message: &Message) -> String {
    let term = message.term;
    match &message.body {
        Body::PreVote { last } => format!("PreVote term={term} last={last}"),
        Body::PreVoteReply { granted } => format!("PreVoteReply term={term} {}", yes_or_no(*granted)),
        Body::RequestVote { last } => format!("RequestVote term={term} last={last}"),
        Body::VoteReply { granted } => format!("VoteReply term={term} {}", yes_or_no(*granted)),
        Body::AppendEntries(a) => {
            let listed = entries(&a.entries);
            format!(
                "AppendEntries term={term} round={} prev={} entries={listed} commit={}",
                a.round, a.prev, a.commit
            )
        }
        Body::InstallSnapshot(i) => {
            let data = String::from_utf8_lossy(&i.data);
            format!("InstallSnapshot term={term} round={} last={} data={data:?}", i.round, i.last)
        }
        Body::AppendReply(AppendReply { round, outcome: Outcome::Accepted { matched }, .. }) => {
            format!("AppendReply term={term} round={round} matched={matched}")
        }
        Body::AppendReply(AppendReply { round, outcome: Outcome::Refused(c), .. }) => {
            let there = match c.term {
                Some(conflicting) => format!("conflict={}@{conflicting}", c.first_index),
                None => "too short".to_owned(),
            };
            format!("AppendReply term={term} round={round} refused: {there} last={}", c.last_index)
        }
    }
}

fn yes_or_no(granted: bool) -> &'static str {
    if granted { "granted" } else { "refused" }
}

/// Everything that a node wants done, a line each.
pub(crate) fn effects(id: u64, ready: &Ready) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(change) = &ready.role {
        let leader = match change.leader {
            Some(leader) if change.role == RoleKind::Follower => format!(" of {leader}"),
            _ => String::new(),
        };
        lines.push(format!("{id} is {}{leader} in term {}", role(change.role), change.term));
    }
    for alarm in &ready.alarms {
        lines.push(format!("{id} alarm: {alarm}"));
    }
    if let Some(write) = &ready.write {
        let hard_state =
            write.hard_state.map_or(String::new(), |h| format!(" term={} vote={}", h.term, vote(h.vote)));
        let snapshot = write.snapshot.as_ref().map_or(String::new(), |s| {
            let whose = if s.data.is_some() { "installed" } else { "own" };
            format!(" {whose} snapshot {}", s.last)
        });
        let listed =
            if write.entries.is_empty() { String::new() } else { format!(" {}", entries(&write.entries)) };
        lines.push(format!("{id} writes #{}:{hard_state}{snapshot}{listed}", write.seq));
    }
    for envelope in &ready.messages {
        lines.push(format!("{id} -> {}: {}", envelope.to, message(&envelope.message)));
    }
    if let Some(Restore { last, data }) = &ready.restore {
        lines.push(format!("{id} restores {last}: {:?}", String::from_utf8_lossy(data)));
    }
    if !ready.committed.is_empty() {
        lines.push(format!("{id} applies {}", entries(&ready.committed)));
    }
    for grant in &ready.reads {
        lines.push(format!("{id} grants read {} at index {}", grant.id, grant.index));
    }
    lines
}

pub(crate) fn status(node: &Node) -> String {
    // A node without a snapshot is not asked about it.
    let snapshot = Some(node.snapshot()).filter(|&id| id != LogId::ZERO);
    let snapshot = snapshot.map_or(String::new(), |id| format!(" snapshot={id}"));
    format!(
        "{} {} term={} vote={} commit={} applied={} durable={} last={}{snapshot}",
        node.id(),
        role(node.role()),
        node.term(),
        vote(node.vote()),
        node.commit_index(),
        node.last_applied(),
        node.durable_index(),
        node.last_log_id(),
    )
}

fn role(role: RoleKind) -> &'static str {
    match role {
        RoleKind::Follower => "follower",
        RoleKind::PreCandidate => "pre-candidate",
        RoleKind::Candidate => "candidate",
        RoleKind::Leader => "leader",
    }
}

fn vote(vote: Option<NodeId>) -> String {
    vote.map_or("none".to_owned(), |id| id.to_string())
}

/// `index@term`.
pub(crate) fn parse_log_id(text: &str) -> Result<LogId> {
    let (index, term) = text.split_once('@').ok_or_else(|| format!("'{text}' is not index@term"))?;
    Ok(LogId::new(term.parse()?, index.parse()?))
}

/// `index@term` for an empty entry, `index@term:payload` for a command.
pub(crate) fn parse_entry(text: &str) -> Result<Entry> {
    Ok(match text.split_once(':') {
        Some((id, payload)) => {
            let payload = Bytes::copy_from_slice(payload.as_bytes());
            Entry { id: parse_log_id(id)?, kind: EntryKind::Command, payload }
        }
        None => Entry { id: parse_log_id(text)?, kind: EntryKind::Empty, payload: Bytes::new() },
    })
}

/// Entries with blanks between them.
pub(crate) fn parse_entries(text: &str) -> Result<Vec<Entry>> {
    text.split_whitespace().map(parse_entry).collect()
}

/// A message made by hand: its kind, then its fields by name.
pub(crate) fn parse_message(args: &mut ArgumentConsumer<'_>) -> Result<Message> {
    let kind = args.next_pos().ok_or("a message has a kind")?;
    let mut number = |name: &str| -> Result<u64> {
        args.take_key(name).map_or(Ok(0), |text| if text == "max" { Ok(u64::MAX) } else { Ok(text.parse()?) })
    };
    let (term, round, commit, matched) =
        (number("term")?, number("round")?, number("commit")?, number("matched")?);
    let last_index = number("last_index")?;
    let mut log_id = |name: &str| args.take_key(name).map(parse_log_id).transpose();
    let (last, prev, conflict) = (log_id("last")?, log_id("prev")?, log_id("conflict")?);
    let listed = parse_entries(args.take_key("entries").unwrap_or(""))?;
    let data = Bytes::copy_from_slice(args.take_key("data").unwrap_or("").as_bytes());
    let last = last.unwrap_or(LogId::ZERO);
    let body = match kind {
        "PreVote" => Body::PreVote { last },
        "RequestVote" => Body::RequestVote { last },
        "PreVoteReply" => Body::PreVoteReply { granted: flag(args.next_pos())? },
        "VoteReply" => Body::VoteReply { granted: flag(args.next_pos())? },
        "AppendEntries" => {
            let prev = prev.unwrap_or(LogId::ZERO);
            Body::AppendEntries(AppendEntries { round, prev, entries: listed, commit })
        }
        "InstallSnapshot" => Body::InstallSnapshot(InstallSnapshot { round, last, data }),
        "Accepted" => {
            Body::AppendReply(AppendReply { round, outcome: Outcome::Accepted { matched }, clock_ms: 0 })
        }
        "Refused" => {
            let conflict = Conflict {
                term: conflict.map(|c| c.term),
                first_index: conflict.map_or(0, |c| c.index),
                last_index,
            };
            Body::AppendReply(AppendReply { round, outcome: Outcome::Refused(conflict), clock_ms: 0 })
        }
        other => return Err(format!("no message is called '{other}'").into()),
    };
    args.reject_next()?;
    Ok(Message { term, body })
}

fn flag(text: Option<&str>) -> Result<bool> {
    match text {
        Some("granted") => Ok(true),
        Some("refused") => Ok(false),
        other => Err(format!("'granted' or 'refused', not {other:?}").into()),
    }
}
