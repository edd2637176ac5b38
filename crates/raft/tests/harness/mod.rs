//! The language of the transcripts: a cluster in which nothing happens unless a command says so.
//!
//! A message waits on its link until `deliver`, a write on its disk until `persist`, and time
//! stands still until `tick`: each interleaving is made by hand. Whatever a command makes a node
//! want is printed, a line each. `settle` lets everything run until nothing is left.
//!
//! ```text
//! cluster nodes=3 [setting=value ...]   a new cluster; the settings are those of `Config`
//! start 1 term=3 vote=2 log="1@1:a 2@3" [snapshot=4@3 data="a b"] a new life with this disk
//! restart 1 [power_loss]                a new life: all its writes got to the disk, or only the finished ones
//! tick [1] ms=50                        the time of one node, or of all
//! campaign 1                            time for node 1 alone until it asks for pre-votes
//! elect 1                               the same, and everything that follows, until it leads
//! propose 1 a [size=100]                a command, padded to a size in bytes
//! read 1 7                              a read with number 7
//! compact 1 [at=5]                      the service of node 1 has a snapshot, up to what it has applied or 5
//! failed 1 2 round=9                    node 1 hears that its InstallSnapshot for 2 did not arrive
//! progress 1 2 round=9                  node 1 hears that it is getting on
//! persist 1 [all]                       the oldest write of node 1 is finished, or all are, in one report
//! deliver 1 2 [all] [at=2]              the first message on the link from 1 to 2, or all, or the second
//! drop 1 2 [all] [at=2]                 the same message is lost
//! dup 1 2 [at=2]                        the same message is there twice, the copy behind all others
//! inject 1 2 RequestVote term=3 ...     node 2 gets a message that 1 never sent
//! cut 3 | heal                          messages from and to node 3 are lost; no longer
//! settle                                deliver and finish everything, count the messages
//! status [1] | log [1] | links | peers 1
//! ```

mod member;
mod text;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::error::Error;
use std::time::Duration;

use bowline_raft::{Config, Entry, HardState, LogId, Message, NodeId, RoleKind};
use bytes::Bytes;
use goldenscript::{ArgumentConsumer, Command, Context};

use member::{Disk, Member, Snapshot};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The cluster that one script works on.
#[derive(Default)]
pub(crate) struct Cluster {
    members: BTreeMap<u64, Member>,
    links: BTreeMap<(u64, u64), VecDeque<Message>>,
    cut: BTreeSet<u64>,
    /// Of the last `settle`: how many messages of each kind arrived.
    arrived: BTreeMap<String, usize>,
}

impl goldenscript::Runner for Cluster {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String> {
        let mut args = command.consume_args();
        let mut lines = self.command(&command.name, &mut args)?;
        args.reject_next()?;
        lines.push(String::new());
        Ok(lines.join("\n"))
    }
}

impl Cluster {
    fn command(&mut self, name: &str, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        match name {
            "cluster" => self.build(args),
            "start" => self.start(args),
            "restart" => self.restart(args),
            "tick" => self.tick(args),
            "campaign" => {
                let id = self.id(args)?;
                self.campaign(id)
            }
            "elect" => {
                let id = self.id(args)?;
                self.campaign(id)?;
                self.settle()?;
                self.must_lead(id)
            }
            "propose" => self.propose(args),
            "read" => self.read(args),
            "compact" => self.compact(args),
            "failed" | "progress" => self.sending(name, args),
            "persist" => self.persist(args),
            "deliver" | "drop" | "dup" => self.link(name, args),
            "inject" => self.inject(args),
            "cut" => {
                let id = self.id(args)?;
                self.cut.insert(id);
                self.links.retain(|&(from, to), _| from != id && to != id);
                Ok(Vec::new())
            }
            "heal" => {
                self.cut.clear();
                Ok(Vec::new())
            }
            "settle" => {
                self.arrived.clear();
                let mut lines = self.settle()?;
                let counts = self.arrived.iter().map(|(kind, count)| format!("{kind} {count}"));
                lines.push(format!("arrived: {}", counts.collect::<Vec<_>>().join(", ")));
                Ok(lines)
            }
            "status" | "log" => self.show(name, args),
            "links" => Ok(self.show_links()),
            "peers" => self.show_peers(args),
            other => Err(format!("no command is called '{other}'").into()),
        }
    }

    fn build(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let size: u64 = args.take_key("nodes").ok_or("how many nodes?")?.parse()?;
        let ids: Vec<_> = (1..=size).map(NodeId).collect();
        let mut settings = Config::new(NodeId(1), ids.clone(), 7);
        while let Some((name, value)) = args.next_key() {
            match name {
                "empty_entry_on_election" => settings.empty_entry_on_election = value.parse()?,
                "max_append_bytes" => settings.max_append_bytes = value.parse()?,
                "max_uncommitted_bytes" => settings.max_uncommitted_bytes = value.parse()?,
                "max_apply_bytes" => settings.max_apply_bytes = value.parse()?,
                "max_log_bytes" => settings.max_log_bytes = value.parse()?,
                "max_retained_bytes" => settings.max_retained_bytes = value.parse()?,
                "max_waiting_reads" => settings.max_waiting_reads = value.parse()?,
                other => return Err(format!("no setting is called '{other}'").into()),
            }
        }
        *self = Self::default();
        for id in ids {
            let config = Config { id, ..settings.clone() };
            let mut member = Member::new(config, Disk::default());
            let first = member.ready();
            assert!(
                first.messages.is_empty() && first.write.is_none(),
                "a new node wants nothing: {first:?}"
            );
            self.members.insert(id.0, member);
        }
        Ok(Vec::new())
    }

    fn start(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let id = self.id(args)?;
        let term = args.take_key("term").ok_or("in which term?")?.parse()?;
        let vote = args.take_key("vote").map(str::parse).transpose()?.map(NodeId);
        let entries = text::parse_entries(args.take_key("log").unwrap_or(""))?;
        let last = args.take_key("snapshot").map_or(Ok(LogId::ZERO), text::parse_log_id)?;
        let data = Bytes::copy_from_slice(args.take_key("data").unwrap_or("").as_bytes());
        let member = self.member(id)?;
        let now = member.now;
        let hard_state = HardState { term, vote };
        let disk = Disk { hard_state, snapshot: Snapshot { last, data }, entries, ..Disk::default() };
        *member = Member::new(member.config.clone(), disk);
        member.tick(now);
        self.carry_out(id)
    }

    fn restart(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let id = self.id(args)?;
        let survive = match args.next_pos() {
            None => usize::MAX,
            Some("power_loss") => 0,
            Some(other) => return Err(format!("restart how? '{other}'").into()),
        };
        let member = self.member(id)?;
        let now = member.now;
        member.restart(survive);
        member.tick(now);
        self.carry_out(id)
    }

    fn tick(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let time = Duration::from_millis(args.take_key("ms").ok_or("how long?")?.parse()?);
        let ids = match args.next_pos() {
            Some(id) => vec![id.parse()?],
            None => self.members.keys().copied().collect(),
        };
        let mut lines = Vec::new();
        for id in ids {
            self.member(id)?.tick(time);
            lines.extend(self.carry_out(id)?);
        }
        Ok(lines)
    }

    /// Time for one node alone until it begins a round of pre-votes, or votes if it is alone.
    fn campaign(&mut self, id: u64) -> Result<Vec<String>> {
        let member = self.member(id)?;
        let before = member.node.role();
        // Waits of less than two election timeouts, in steps shorter than a heartbeat interval.
        for _ in 0..100 {
            member.tick(Duration::from_millis(10));
            let role = member.node.role();
            if role != before && matches!(role, RoleKind::PreCandidate | RoleKind::Candidate) {
                return self.carry_out(id);
            }
        }
        Err(format!("node {id} does not campaign").into())
    }

    fn must_lead(&mut self, id: u64) -> Result<Vec<String>> {
        let node = &self.member(id)?.node;
        if node.role() != RoleKind::Leader {
            return Err(format!("not elected: {}", text::status(node)).into());
        }
        Ok(vec![text::status(node)])
    }

    fn propose(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let id = self.id(args)?;
        let mut payload = args.next_pos().ok_or("propose what?")?.to_owned();
        if let Some(size) = args.take_key("size") {
            payload = format!("{payload:.<width$}", width = size.parse()?);
        }
        self.member(id)?.node.propose(Bytes::from(payload))?;
        self.carry_out(id)
    }

    fn read(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let id = self.id(args)?;
        let number = args.next_pos().ok_or("which read?")?.parse()?;
        self.member(id)?.node.read(number)?;
        self.carry_out(id)
    }

    fn compact(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let id = self.id(args)?;
        let member = self.member(id)?;
        let at = args.take_key("at").map_or(Ok(member.node.last_applied()), str::parse)?;
        let mut lines = Vec::new();
        if !member.compact(at, false) {
            lines.push(format!("{id} does not compact"));
        }
        lines.extend(self.carry_out(id)?);
        Ok(lines)
    }

    fn sending(&mut self, what: &str, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let (id, to) = (self.id(args)?, NodeId(self.id(args)?));
        let round = args.take_key("round").ok_or("in which round?")?.parse()?;
        let node = &mut self.member(id)?.node;
        match what {
            "failed" => node.snapshot_failed(to, round),
            _ => node.snapshot_progress(to, round),
        }
        self.carry_out(id)
    }

    fn persist(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let id = self.id(args)?;
        let count = match args.next_pos() {
            None => 1,
            Some("all") => usize::MAX,
            Some(other) => return Err(format!("persist how much? '{other}'").into()),
        };
        self.member(id)?.persist(count).ok_or_else(|| format!("node {id} writes nothing"))?;
        self.carry_out(id)
    }

    fn link(&mut self, what: &str, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let (from, to) = (self.id(args)?, self.id(args)?);
        let at: usize = args.take_key("at").map_or(Ok(1), str::parse)?;
        let all = match args.next_pos() {
            None => false,
            Some("all") => true,
            Some(other) => return Err(format!("{what} how much? '{other}'").into()),
        };
        let link = self.links.entry((from, to)).or_default();
        let count = if all { link.len() } else { 1 };
        let mut lines = Vec::new();
        for _ in 0..count {
            let link = self.links.entry((from, to)).or_default();
            let nothing = || format!("there is no message {at} from {from} to {to}");
            match what {
                "dup" => {
                    let copy = link.get(at - 1).ok_or_else(nothing)?.clone();
                    link.push_back(copy);
                }
                "drop" => {
                    let message = link.remove(at - 1).ok_or_else(nothing)?;
                    lines.push(format!("lost: {from} -> {to}: {}", text::message(&message)));
                }
                _ => {
                    let message = link.remove(at - 1).ok_or_else(nothing)?;
                    lines.extend(self.step(from, to, message)?);
                }
            }
        }
        if count == 0 {
            return Err(format!("there is no message from {from} to {to}").into());
        }
        Ok(lines)
    }

    fn inject(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let from = args.next_pos().ok_or("from whom?")?.parse()?;
        let to = self.id(args)?;
        let message = text::parse_message(args)?;
        self.step(from, to, message)
    }

    fn step(&mut self, from: u64, to: u64, message: Message) -> Result<Vec<String>> {
        let node = &mut self.member(to)?.node;
        let before = format!("{node:?}");
        let mut lines = Vec::new();
        if let Err(reject) = node.step(NodeId(from), message) {
            assert_eq!(before, format!("{node:?}"), "what was rejected has changed the node");
            lines.push(format!("{to} rejects: {reject}"));
        }
        lines.extend(self.carry_out(to)?);
        Ok(lines)
    }

    /// Puts what the node wants sent on the links, and prints all that it wants.
    fn carry_out(&mut self, id: u64) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let member = self.member(id)?;
            let ready = member.ready();
            let more = member.node.has_more_to_apply();
            lines.extend(text::effects(id, &ready));
            for envelope in ready.messages {
                if !self.cut.contains(&id) && !self.cut.contains(&envelope.to.0) {
                    self.links.entry((id, envelope.to.0)).or_default().push_back(envelope.message);
                }
            }
            if !more {
                return Ok(lines);
            }
        }
    }

    /// Delivers and finishes everything, in the order of the ids. What an operator or a client
    /// would see is printed.
    fn settle(&mut self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for _ in 0..1000 {
            let mut idle = true;
            let links: Vec<_> = self.links.iter().filter(|(_, l)| !l.is_empty()).map(|(&at, _)| at).collect();
            for (from, to) in links {
                let message =
                    self.links.get_mut(&(from, to)).and_then(VecDeque::pop_front).expect("not empty");
                let kind = text::message(&message).split(' ').next().unwrap_or_default().to_owned();
                *self.arrived.entry(kind).or_default() += 1;
                lines.extend(self.step(from, to, message)?);
                idle = false;
            }
            for id in self.members.keys().copied().collect::<Vec<_>>() {
                if self.member(id)?.persist(usize::MAX).is_some() {
                    lines.extend(self.carry_out(id)?);
                    idle = false;
                }
            }
            if idle {
                lines.retain(|line| !line.contains(" -> ") && !line.contains(" writes #"));
                return Ok(lines);
            }
        }
        Err("it never settles".into())
    }

    fn show(&mut self, what: &str, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let ids = match args.next_pos() {
            Some(id) => vec![id.parse()?],
            None => self.members.keys().copied().collect(),
        };
        let mut lines = Vec::new();
        for id in ids {
            let node = &self.member(id)?.node;
            let log = (1..=node.last_log_id().index).filter_map(|index| node.entry(index));
            lines.push(match what {
                "status" => text::status(node),
                _ => format!("{id} log {}", text::entries(log.collect::<Vec<&Entry>>())),
            });
        }
        Ok(lines)
    }

    fn show_links(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for ((from, to), link) in &self.links {
            lines.extend(link.iter().map(|m| format!("{from} -> {to}: {}", text::message(m))));
        }
        lines
    }

    fn show_peers(&mut self, args: &mut ArgumentConsumer<'_>) -> Result<Vec<String>> {
        let id = self.id(args)?;
        let line = |p: &bowline_raft::PeerStatus| {
            let lost = if p.lost_data { " lost data" } else { "" };
            let installing = p.installing.map_or(String::new(), |last| format!(" is sent snapshot {last}"));
            let heard = p.since_heard.as_millis();
            format!("{} matched={} heard {heard} ms ago{installing}{lost}", p.id, p.matched)
        };
        Ok(self.member(id)?.node.peers().iter().map(line).collect())
    }

    fn id(&self, args: &mut ArgumentConsumer<'_>) -> Result<u64> {
        Ok(args.next_pos().ok_or("which node?")?.parse()?)
    }

    fn member(&mut self, id: u64) -> Result<&mut Member> {
        self.members.get_mut(&id).ok_or_else(|| format!("there is no node {id}").into())
    }
}
