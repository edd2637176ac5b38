//! What can be written behind `bowline`, and the words that explain it.

mod bench;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

pub(crate) use bench::{BenchArgs, Distribution};

/// The ports of `bowline dev`, which is where a command that is not told otherwise looks for a cluster.
pub(crate) const DEV_ADDRESSES: &str = "127.0.0.1:7379,127.0.0.1:7380,127.0.0.1:7381";

/// A key/value store that any Redis client can talk to, and that does not lose what it has acknowledged.
///
/// A cluster is several servers that keep the same data. It goes on as long as more than half of them
/// run, and answers OK to a write only when more than half of them have it on disk.
///
/// Begin with `bowline dev`: it starts a cluster on this machine and says what to type next.
#[derive(Debug, Parser)]
#[command(name = "bowline", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 it is so, 1 it is not (not found, refused, nobody answers), 2 wrong usage; of a server also \
                  3, its disk cannot be relied on."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Dev(DevArgs),
    Server(ServerArgs),
    Status(StatusArgs),
    Get(GetArgs),
    Put(PutArgs),
    Append(AppendArgs),
    Lab(LabArgs),
    Bench(BenchArgs),
}

/// Start a cluster on this machine, to try things out; Ctrl-C stops it
///
/// Every node is a real server process of its own, that listens on 127.0.0.1 only. What you write is kept in
/// the directory and is there again the next time. A node that dies is brought back after three seconds, so
/// you may kill one and watch what happens.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// How many nodes, from 1 to 9. Three go on when one is lost, five when two are
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(crate) nodes: u16,
    /// Where the nodes keep their data and logs; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "./bowline-data")]
    pub(crate) dir: PathBuf,
    /// The first node's port for clients; the others take the next ones, and each node PORT+10000 for its peers
    #[arg(long, value_name = "PORT", default_value_t = 7379, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// Leave a node that died down
    #[arg(long)]
    pub(crate) no_restart: bool,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    #[command(flatten)]
    pub(crate) parent: ParentArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Run one server, a node of a cluster
///
/// Give every node of the cluster the same --peers. The very first start of a cluster's node takes --new as
/// well; no later one does. SIGTERM or Ctrl-C stops it: it answers what is in progress, and ends within ten
/// seconds.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// This node's number among --peers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) id: u64,
    /// The directory that holds this node's data, and nothing else
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where to listen for clients, such as 0.0.0.0:7379. What other machines can reach needs a password
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub(crate) listen: String,
    /// Every node of the cluster, this one too, by the address where clients reach it:
    /// 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT. Nodes reach each other at PORT+10000, or at another port when it is
    /// written, as in 1=HOST:PORT@PEERPORT
    #[arg(long, value_name = "ID=HOST:PORT,...")]
    pub(crate) peers: String,
    /// The cluster's name. Nodes of different clusters refuse each other [default: made from --peers at the first
    /// start, and then kept in the directory]
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// This is the first start of this node, in a new cluster: begin with an empty directory. Never give it to
    /// a node whose disk was lost: it would vote again where it has voted before, and acknowledged writes could
    /// be lost
    #[arg(long)]
    pub(crate) new: bool,
    /// How large the log on disk may grow before writes are refused, in bytes or as in 512MiB
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = size)]
    pub(crate) log_limit: u64,
    /// How much log makes a snapshot due: what it holds is then deleted from the log. A snapshot that is larger than
    /// this makes the next one due when the log has become as large as it [default: 64MiB, or half of --log-limit if
    /// that is less]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) snapshot_after: Option<u64>,
    /// How many clients may be connected at once. The limit on open files is raised for them, as far as the system
    /// allows
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_clients: u32,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Ask nobody for a password, whoever can reach the port. BOWLINE_PASSWORD is passed over
    #[arg(long, conflicts_with = "password_file")]
    pub(crate) no_auth: bool,
    #[command(flatten)]
    pub(crate) parent: ParentArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// Show every node: who leads, how far each has come, which are down
///
/// One node that answers is enough: it knows the others, and each is then asked for itself.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) at: At,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the value of a key
///
/// The value is followed by a newline. A key that is not there prints nothing, says (nil) on the standard
/// error, and ends with exit code 1.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The key
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) key: OsString,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Store a value under a key, and print OK
///
/// OK means that the value is on the disks of more than half of the nodes.
#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The key
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) key: OsString,
    /// The value
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) value: OsString,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Add to the end of a key's value, and print the new length in bytes
///
/// A key that is not there counts as empty.
#[derive(Debug, Args)]
pub(crate) struct AppendArgs {
    /// The key
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) key: OsString,
    /// What to add
    #[arg(value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) value: OsString,
    #[command(flatten)]
    pub(crate) at: At,
}

/// Run the scenarios of the Raft course labs, in virtual time
///
/// Each runs a group of servers on a simulated network that delays, loses and falls apart, checks Raft's safety
/// properties after every event, and prints what the labs' own tests print. One seed makes the same run again,
/// on every machine. A run that fails says how to make it again, and leaves a page with a picture of it.
#[derive(Debug, Args)]
pub(crate) struct LabArgs {
    /// A part (network, raft-a, raft-b, raft-c, raft-d, raft-2016, kv-a, kv-b, kv-sessions, kv-expiry; raft and kv mean all of theirs), or any piece of a scenario's name or title [default: all]
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Option<String>,
    /// Where all that is random comes from [default: a fresh one, which is printed]
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Run each scenario so often, with the seeds S, S+1, ..., and print a table instead of single lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) runs: Option<u64>,
    /// How long a save takes: no time, as in the labs; or up to 20 ms, and a crash loses what has not finished
    #[arg(long, value_enum, value_name = "KIND", default_value_t = DiskArg::Fast)]
    pub(crate) disk: DiskArg,
    /// Write a page with a picture of the run, of the one scenario that FILTER means; to FILE.svg, the picture alone
    #[arg(long, value_name = "FILE.html", conflicts_with = "runs")]
    pub(crate) trace: Option<PathBuf>,
    /// Show only what happened between two times, in seconds since the beginning: 0.3..0.7
    #[arg(long, value_name = "FROM..TO", requires = "trace", value_parser = window)]
    pub(crate) window: Option<(Duration, Duration)>,
}

/// Two times.
fn window(text: &str) -> Result<(Duration, Duration), String> {
    let usage = "not a span of time: write two numbers of seconds, such as 0.3..0.7";
    let (from, to) = text.split_once("..").ok_or(usage)?;
    let seconds = |text: &str| {
        let seconds: f64 = text.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    };
    let (from, to) = (seconds(from).ok_or(usage)?, seconds(to).ok_or(usage)?);
    if from < to { Ok((from, to)) } else { Err(usage.to_owned()) }
}

/// On which kinds of disk the scenarios run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiskArg {
    /// A save takes no time
    Fast,
    /// A save takes up to 20 ms
    Slow,
    /// Each scenario on both kinds
    Both,
}

/// Which nodes to ask.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The nodes to ask, HOST:PORT[,HOST:PORT...]: the next one when one cannot be reached. Any node answers for the
    /// whole cluster [default: the three of `bowline dev`]
    #[arg(long = "at", value_name = "HOST:PORT,...", value_delimiter = ',', default_value = DEV_ADDRESSES)]
    #[arg(value_parser = address, hide_default_value = true)]
    pub(crate) addresses: Vec<String>,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// The password of a cluster. Never on the command line, which every user of the machine can read.
#[derive(Clone, Debug, Args)]
pub(crate) struct PasswordArgs {
    /// The file whose first line is the cluster's password [default: the environment variable BOWLINE_PASSWORD, or
    /// none]
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Whose end is the end of this process too: for programs that start one, and must leave none behind.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ParentArgs {
    /// End at once when the process with this number, which has started this one, is gone.
    #[arg(long, value_name = "PID", hide = true, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) die_with_parent: Option<i32>,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct LogArgs {
    /// What to log: error, warn, info, debug or trace, each with all before it
    #[arg(long = "log", value_name = "LEVEL", default_value = "info", value_parser = level)]
    pub(crate) level: LevelFilter,
}

/// A level of the log.
fn level(text: &str) -> Result<LevelFilter, String> {
    ["error", "warn", "info", "debug", "trace"]
        .contains(&text)
        .then(|| text.parse().expect("the five names are levels"))
        .ok_or_else(|| "not a level: write error, warn, info, debug or trace".to_owned())
}

/// `HOST:PORT`. Whether the host exists is seen when it is used.
fn address(text: &str) -> Result<String, String> {
    let usage = "not an address: write HOST:PORT, such as 127.0.0.1:7379 or [::1]:7379";
    let (host, port) = text.rsplit_once(':').ok_or(usage)?;
    let is_bare_ipv6 = host.contains(':') && !host.starts_with('[');
    if host.is_empty() || is_bare_ipv6 || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(usage.to_owned());
    }
    Ok(text.to_owned())
}

/// A number of bytes, plain or in a binary unit.
fn size(text: &str) -> Result<u64, String> {
    let usage = "not a size: write a number of bytes, or one with KiB, MiB, GiB or TiB, such as 512MiB";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(usage.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| usage)?;
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(|| usage.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_bytes_or_binary_units() {
        assert_eq!(size("1"), Ok(1));
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!(size("2 gib"), Ok(2 << 30));
        for wrong in ["", "GiB", "2GB", "-1", "1.5GiB", "0", "99999999TiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_window_is_two_times_in_order() {
        assert_eq!(window("0.25..1"), Ok((Duration::from_millis(250), Duration::from_secs(1))));
        for wrong in ["", "1", "1..", "2..1", "1..1", "-1..2", "a..b", "0..inf", "nan..1"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        for right in ["127.0.0.1:7379", "[::1]:7379", "node-1.example:1"] {
            assert!(address(right).is_ok(), "{right}");
        }
        for wrong in ["", "7379", ":7379", "host", "host:", "host:0", "host:65536", "::1:7379"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
