//! One server, from its start to its end.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_kv::{Image, Replica, ReplicaConfig};
use bowline_raft::{Config, GroupId, LogId};
use bowline_storage::{Directory, RealDisk, RecoveredGroup, Snapshots, Wal, WalConfig};
use tokio::net::TcpListener;
use tokio::runtime::LocalOptions;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::accept;
use crate::disk::{self, DiskThread};
use crate::error::ServerError;
use crate::face::{NodeInfo, Password, Record, Settings};
use crate::files;
use crate::frame::Kept;
use crate::options::{Access, Options, cluster_number};
use crate::peers::{self, Peers};
use crate::shell::{self, Shell};
use crate::snapshot::{self, Keeper, Made};

/// How long a client's command is held without an answer: several elections.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stop waits for the answers that are owed: longer than a command is held.
const DRAIN_TIME: Duration = Duration::from_secs(7);

/// Runs a server until SIGTERM or SIGINT, and then until what is in progress is answered.
///
/// # Errors
///
/// [`ServerError`] when it could not start. A disk that fails later ends the process at once,
/// with [`ServerError::exit_code`]: what a sync that failed has left behind nobody knows.
pub fn run(options: Options) -> Result<(), ServerError> {
    let system = |what| move |source| ServerError::System { what, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .map_err(system("start the runtime"))?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> Result<(), ServerError> {
    let system = |what| move |source| ServerError::System { what, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(system("listen for SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("listen for SIGINT"))?;
    let own = options.own().ok_or_else(|| not_a_member(&options))?.clone();

    // The ports first: a wrong one must not leave a directory behind.
    let clients = listen("clients", &options.listen).await?;
    let password = admitted(&options.access, &clients)?;
    let most_clients = files::provide(options.max_clients, options.members.len())?;
    let host = options.listen.rsplit_once(':').map_or("", |(host, _)| host);
    let peer_port = own.peer_addr.rsplit_once(':').map_or("", |(_, port)| port);
    let peers_listener = listen("peers", &format!("{host}:{peer_port}")).await?;

    let Opened { replica, directory, wal, files, current } = open(&options)?;
    disk::check_room(&wal)?;
    let identity = directory.identity().clone();
    let wake = Arc::new(Notify::new());
    let disk = DiskThread::start(wal, wake.clone())?;
    let info = NodeInfo {
        node_id: options.id.0,
        cluster: identity.cluster.clone(),
        run_id: format!("{:032x}{:08x}", identity.directory.0, identity.life),
        pid: std::process::id(),
        listen: clients.local_addr().map_err(system("read the own address"))?,
        data_dir: options.data.display().to_string(),
        settings: Settings::new(password, options.max_clients.min(most_clients), most_clients),
        record: Record::default(),
    };
    let cluster = cluster_number(&identity.cluster);
    let peers = Peers::new(options.id, &options.members, directory);
    tracing::info!(
        "node {} of cluster \"{}\": clients on {}, peers on {}, data in {}",
        options.id,
        identity.cluster,
        options.listen,
        own.peer_addr,
        options.data.display()
    );
    let snapshots = Keeper::new(files, options.snapshot_after_bytes, current, shell::unix_us(), wake.clone());
    let shell = Rc::new(Shell::new(replica, peers, info, disk, snapshots, wake, cluster));
    let mut tasks = vec![
        tokio::task::spawn_local(peers::accept(shell.clone(), peers_listener)),
        tokio::task::spawn_local({
            let shell = shell.clone();
            async move { shell.run().await }
        }),
    ];
    for &id in shell.peers.all.keys() {
        for kept in [Kept::Raft, Kept::Forward] {
            tasks.push(tokio::task::spawn_local(peers::dial(shell.clone(), id, kept)));
        }
        tasks.push(tokio::task::spawn_local(snapshot::serve(shell.clone(), id)));
    }
    let accept = tokio::task::spawn_local(accept::clients(shell.clone(), clients));

    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: answers what is in progress, then stops"),
        _ = interrupt.recv() => tracing::info!("SIGINT: answers what is in progress, then stops"),
    }
    accept.abort();
    shell.drain(DRAIN_TIME).await;
    tasks.into_iter().for_each(|task| task.abort());
    shell.snapshots.stop();
    shell.stop_disk();
    tracing::info!("stopped");
    Ok(())
}

fn not_a_member(options: &Options) -> ServerError {
    let members =
        options.members.iter().map(|m| format!("{}={}", m.id, m.addr)).collect::<Vec<_>>().join(",");
    ServerError::NotAMember { id: options.id, members }
}

async fn listen(what: &'static str, addr: &str) -> Result<TcpListener, ServerError> {
    TcpListener::bind(addr).await.map_err(|source| ServerError::Listen {
        what,
        addr: addr.to_owned(),
        source,
    })
}

/// The password that clients have to say, if any. Without one only this machine may be let in, unless everybody is to
/// be.
fn admitted(access: &Access, clients: &TcpListener) -> Result<Option<Password>, ServerError> {
    let addr = clients
        .local_addr()
        .map_err(|source| ServerError::System { what: "read the own address", source })?;
    match access {
        Access::Password(password) => Ok(Some(password.clone())),
        Access::LocalOnly if !addr.ip().to_canonical().is_loopback() => Err(ServerError::NoPassword { addr }),
        Access::LocalOnly | Access::Everybody => Ok(None),
    }
}

/// What a node starts with.
struct Opened {
    replica: Replica,
    directory: Directory,
    wal: Wal<RealDisk>,
    files: Snapshots<RealDisk>,
    /// The snapshot that the replica was made from.
    current: Option<Made>,
}

/// Opens the directory, the log and the snapshot, begins a new life, and makes the replica.
fn open(options: &Options) -> Result<Opened, ServerError> {
    let ids: Vec<_> = options.members.iter().map(|m| m.id).collect();
    let mut directory = if options.new {
        let name = options.cluster.clone().unwrap_or_else(|| options.default_cluster_name());
        Directory::create(&options.data, options.id, &name, &ids)?
    } else {
        Directory::open(&options.data, options.id, options.cluster.as_deref(), &ids)?
    };
    let identity = directory.identity();
    let config = WalConfig {
        cluster: cluster_number(&identity.cluster),
        directory: identity.directory,
        segment_bytes: WalConfig::SEGMENT_BYTES,
    };
    let disk = RealDisk::open(&options.data)
        .map_err(|source| ServerError::System { what: "open the data directory", source })?;
    let files = Snapshots::new(disk.clone(), config.cluster);
    let (wal, group) = if directory.life() == 0 {
        (Wal::create(disk, config)?, RecoveredGroup::default())
    } else {
        let (wal, mut recovered) = Wal::open(disk, config)?;
        if let Some(torn) = &recovered.torn_tail {
            tracing::warn!("{torn}");
        }
        for unusable in &recovered.unusable_snapshots {
            tracing::warn!("{unusable}");
        }
        (wal, recovered.groups.remove(&GroupId::FIRST_DATA).unwrap_or_default())
    };
    let life = directory.begin_life()?;
    // Not the same timeouts in each life: two nodes that once drew alike would go on doing so.
    let seed = identity_seed(&directory) ^ life;
    let mut raft = Config::new(options.id, ids, seed);
    raft.max_log_bytes = options.log_limit_bytes;
    let begun = Instant::now();
    let (image, current) = load(&files, group.snapshot, seed)?.unzip();
    let config = ReplicaConfig { raft, life, command_timeout: COMMAND_TIMEOUT };
    let entries = group.entries.len();
    let replica = Replica::new(config, group.hard_state, image, group.entries);
    if let Some(Made { last, size_bytes, .. }) = current {
        tracing::info!(
            "starts from the snapshot up to entry {}: {size_bytes} bytes, read in {} ms; {entries} entries behind it",
            last.index,
            begun.elapsed().as_millis()
        );
    }
    Ok(Opened { replica, directory, wal, files, current })
}

/// The image in the snapshot of that name, if it is one.
fn load(files: &Snapshots<RealDisk>, last: LogId, seed: u64) -> Result<Option<(Image, Made)>, ServerError> {
    if last == LogId::ZERO {
        return Ok(None);
    }
    let reader = files.open(GroupId::FIRST_DATA, last)?;
    let made = Made::new(reader.header(), reader.size_bytes());
    let image = snapshot::load(reader, seed).map_err(ServerError::Load)?;
    Ok(Some((image, made)))
}

fn identity_seed(directory: &Directory) -> u64 {
    let [high, low] =
        [directory.identity().directory.0 >> 64, directory.identity().directory.0 & u128::from(u64::MAX)];
    u64::try_from(high ^ low).expect("half of it fits")
}
