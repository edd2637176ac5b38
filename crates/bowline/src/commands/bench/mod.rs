//! `bowline bench`: how much a cluster does, how long it takes, and whether a machine is good enough for one.
//!
//! A [`plan`] says what is to be done and when. [`load`] has a thread for each core, each with its share of the
//! [`client`]s; a client has one [`link`] at a time, asks what its [`workload`] draws, and counts what comes of it in
//! its thread's [`record`]. The [`report`] is made of all records together. A [`probe`] is something else: one disk
//! and some round trips, one after the other.

mod client;
mod figures;
mod link;
mod load;
mod pacer;
mod plan;
mod probe;
mod record;
mod reply;
mod report;
mod workload;

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{print, runtime, wrong_usage};
use crate::args::{BenchArgs, DEV_ADDRESSES};
use crate::node_info::{NodeInfo, Role};
use crate::password;
use plan::{Node, Plan};
use workload::Frames;

/// What all requests that may be under way take at most, in bytes.
const MAX_UNDER_WAY_BYTES: usize = 1 << 30;

/// Files that are open besides the connections.
const OTHER_FILES: u64 = 64;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a node may take to say whether it leads.
const INFO_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    if args.probe {
        return probe::run(args);
    }
    let frames = Frames::new(args.size);
    let under_way = frames.longest() * args.pipeline as usize * args.clients as usize;
    if under_way > MAX_UNDER_WAY_BYTES {
        wrong_usage("--clients times --pipeline times --size is more than 1 GiB under way at once");
    }
    allow_files(u64::from(args.clients) + OTHER_FILES)?;
    let password = password::given(&args.password)?;
    let nodes = if args.leader { vec![leader(args, password.as_deref())?] } else { nodes(args)? };
    let plan = Arc::new(Plan::new(nodes, password, args, frames));
    let outcome = load::run(&plan)?;
    let is_json = args.json;
    let text =
        if is_json { report::json(args, &plan, &outcome) } else { report::text(args, &plan, &outcome) };
    print(text.trim_end().as_bytes())?;
    Ok(if outcome.record.answered() > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The addresses that were given or, without any, those of `bowline dev`.
fn names(args: &BenchArgs) -> Vec<String> {
    let default = || DEV_ADDRESSES.split(',').map(str::to_owned).collect();
    if args.nodes.is_empty() { default() } else { args.nodes.clone() }
}

/// The nodes to be measured. Each that was named must be there; of those of `dev`, which may be any number, one.
fn nodes(args: &BenchArgs) -> anyhow::Result<Vec<Node>> {
    let mut nodes = Vec::new();
    let mut reasons = Vec::new();
    for name in names(args) {
        match reach(&name) {
            Ok(addr) => nodes.push(Node { name, addr }),
            Err(error) => reasons.push(format!("\n  {name}: {error:#}")),
        }
    }
    if nodes.is_empty() {
        bail!("no node answers:{}\n{}", reasons.concat(), IS_THERE_ONE);
    }
    if !args.nodes.is_empty() && !reasons.is_empty() {
        bail!("not every node answers:{}\nLeave it out of --nodes to measure the others.", reasons.concat());
    }
    Ok(nodes)
}

const IS_THERE_ONE: &str = "Is a cluster running there? `bowline dev` starts one on this machine; --nodes HOST:PORT \
                            names another.";

/// The first address of a host that takes a connection.
fn reach(name: &str) -> anyhow::Result<SocketAddr> {
    let mut reason = None;
    for addr in name.to_socket_addrs()? {
        match TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT) {
            Ok(_) => return Ok(addr),
            Err(error) => reason = Some(error),
        }
    }
    Err(reason.context("the host has no address")?.into())
}

/// The node that leads. One that was deposed and does not know it yet has the lower term.
fn leader(args: &BenchArgs, password: Option<&[u8]>) -> anyhow::Result<Node> {
    let runtime = runtime()?;
    let mut leaders = Vec::new();
    let mut reasons = Vec::new();
    for name in names(args) {
        match runtime.block_on(NodeInfo::fetch(&name, password, INFO_TIMEOUT)) {
            Ok(info) if info.role == Role::Leader => leaders.push((info.term, name)),
            Ok(info) => reasons.push(format!("\n  {name}: {}", info.role.name())),
            Err(error) => reasons.push(format!("\n  {name}: {error:#}")),
        }
    }
    let Some((_, name)) = leaders.into_iter().max() else {
        bail!("none of the nodes leads:{}\n{}", reasons.concat(), IS_THERE_ONE);
    };
    let addr = reach(&name).with_context(|| name.clone())?;
    Ok(Node { name, addr })
}

/// Sees to it that so many files can be open at once.
fn allow_files(needed: u64) -> anyhow::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        maximum.is_none_or(|maximum| maximum >= needed),
        "so many clients need {needed} open files, and the limit here is {}: raise it (`ulimit -n`) or give fewer \
         --clients",
        maximum.unwrap_or_default()
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).context("cannot open more files")
}
