//! A node, and the client. A node is a thread that owns its peer and takes inputs from one channel; it waits for nothing
//! else. Other threads read from sockets and fill that channel, or write to one socket each. A frame holds a request or
//! a reply, and the number of its call. What is committed goes through an unbuffered channel to the service, which counts.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use bowline_raft::codec::{self, Header};
use bowline_raft::peer::{ApplyMsg, Effect, Peer, Persister};
use bowline_raft::{GroupId, Message, NodeId};
use bytes::Bytes;

const NODES: usize = 3;
const INCREMENTS: u64 = 100;
const CLUSTER: u64 = 42;
/// How long the client waits before it sends an increment again, and before it gives up.
const PATIENCE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(60);
/// How many frames wait for one link. A call that finds no room has failed.
const QUEUE: usize = 64;
const MAX_FRAME_BYTES: usize = 16 << 20;

/// The number of a call, and its request or its reply.
type Frame = (u64, Message);

/// What a node is told.
enum Input {
    Heard(usize, Frame),
    Failed(u64),
    Increment(u64),
    Kill,
}

/// What the client hears.
enum Event {
    Leads(usize),
    Counted(usize, u64),
}

/// A peer and what its driver needs.
struct Node {
    me: usize,
    peer: Peer,
    persister: Persister,
    inputs: Receiver<Input>,
    /// To each node; the one to itself is never used.
    links: Vec<SyncSender<Frame>>,
    committed: Sender<ApplyMsg>,
    events: Sender<Event>,
}

impl Node {
    fn run(mut self) {
        let (start, mut led) = (Instant::now(), false);
        while !self.peer.is_killed() {
            if let Ok(input) = self.inputs.recv_timeout(Duration::from_millis(10)) {
                self.take(input);
            }
            // What has come together is worked off together: commands share their calls and saves.
            while let Ok(input) = self.inputs.try_recv() {
                self.take(input);
            }
            self.peer.tick(start.elapsed());
            self.carry_out();
            let leads = self.peer.get_state().1;
            if leads && !led {
                let _ = self.events.send(Event::Leads(self.me));
            }
            led = leads;
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Heard(_, (call, message)) if message.is_reply() => self.peer.reply(call, message),
            Input::Heard(from, (call, message)) => self.peer.request(from, call, message),
            Input::Failed(call) => self.peer.failed(call),
            // It is not taken by who does not lead: the client will see that it is not counted.
            Input::Increment(number) => _ = self.peer.start(Bytes::from_owner(number.to_be_bytes())),
            Input::Kill => self.peer.kill(),
        }
    }

    fn carry_out(&mut self) {
        let mut effects = self.peer.effects();
        while !effects.is_empty() {
            for effect in effects {
                match effect {
                    Effect::Save(save) => {
                        // To survive the end of the process, write `save.state` to a temporary file
                        // here, sync it, rename it and sync the directory; or append `save.change`
                        // to a log. Another thread may do that, and report the number afterwards.
                        self.persister.save(save.state, Bytes::new());
                        self.peer.saved(save.seq);
                    }
                    Effect::Call { call, to, request } => {
                        if self.links[to].try_send((call, request)).is_err() {
                            self.peer.failed(call);
                        }
                    }
                    // What finds no room is lost. Its caller asks again.
                    Effect::Reply { call, to, reply } => _ = self.links[to].try_send((call, reply)),
                    Effect::Apply(message) => _ = self.committed.send(message),
                }
            }
            // A finished save has effects of its own.
            effects = self.peer.effects();
        }
    }
}

fn id(node: usize) -> NodeId {
    NodeId(node as u64 + 1)
}

/// Four bytes of length, eight with the number of the call, the message.
fn write_frame(mut to: &TcpStream, header: Header, call: u64, message: &Message) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    bytes.extend(call.to_be_bytes());
    codec::encode(header, message, &mut bytes);
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    to.set_nodelay(true)?;
    to.write_all(&bytes)
}

/// A frame for `me`, and whom it is from. Anything else ends the connection.
fn read_frame(stream: &mut TcpStream, me: usize) -> io::Result<(usize, Frame)> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).ok().filter(|&bytes| bytes <= MAX_FRAME_BYTES);
    let mut bytes = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
    stream.read_exact(&mut bytes)?;
    let (call, message) = bytes.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
    let (header, message) = codec::decode(message).map_err(io::Error::other)?;
    let for_me = header.cluster == CLUSTER && header.to == id(me);
    let from = (0..NODES).find(|&from| header.from == id(from) && for_me);
    Ok((from.ok_or(io::ErrorKind::InvalidData)?, (u64::from_be_bytes(*call), message)))
}

/// Writes to one node, requests and replies alike; connects when there is something to say.
fn link(me: usize, to: usize, address: SocketAddr, frames: Receiver<Frame>, inputs: Sender<Input>) {
    let header = Header { cluster: CLUSTER, group: GroupId::FIRST_DATA, from: id(me), to: id(to) };
    let mut connection = None;
    for (call, message) in frames {
        let stream = connection.take().map_or_else(|| TcpStream::connect_timeout(&address, PATIENCE), Ok);
        connection = stream.ok().filter(|stream| write_frame(stream, header, call, &message).is_ok());
        if connection.is_none() && !message.is_reply() {
            let _ = inputs.send(Input::Failed(call));
        }
    }
}

/// The service: counts each increment once, in order.
fn count(node: usize, commands: Receiver<ApplyMsg>, events: Sender<Event>) {
    let mut count = 0;
    while let Ok(ApplyMsg::Command { command, .. }) = commands.recv() {
        let number = u64::from_be_bytes(command[..].try_into().expect("what the client has sent"));
        count += u64::from(number == count + 1);
        let _ = events.send(Event::Counted(node, count));
    }
}

/// Starts node `me`, and says how to speak to it.
fn start(me: usize, listener: TcpListener, addresses: &[SocketAddr], events: Sender<Event>) -> Sender<Input> {
    let (sender, inputs) = channel();
    let server = sender.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let inputs = server.clone();
            // Each connection is read until its sender or this node is gone.
            thread::spawn(move || {
                let frames = std::iter::from_fn(|| read_frame(&mut stream, me).ok());
                frames.map(|(from, frame)| Input::Heard(from, frame)).try_for_each(|heard| inputs.send(heard))
            });
        }
    });
    let links = addresses.iter().enumerate().map(|(to, &address)| {
        let (frames, queue) = sync_channel(QUEUE);
        let inputs = sender.clone();
        thread::spawn(move || link(me, to, address, queue, inputs));
        frames
    });
    let links = links.collect();
    // The service's channel is unbuffered, as in the labs: not the node waits for it, but a queue.
    let (committed, queue) = channel();
    let (apply, commands) = sync_channel(0);
    thread::spawn(move || queue.iter().try_for_each(|message| apply.send(message)));
    let counted = events.clone();
    thread::spawn(move || count(me, commands, counted));
    let persister = Persister::new();
    let peer = Peer::make(NODES, me, &persister, 42).expect("a first boot");
    thread::spawn(move || Node { me, peer, persister, inputs, links, committed, events }.run());
    sender
}

/// Counts to a hundred, and kills the leader at fifty. Says who that was, and what each has counted.
pub(crate) fn run() -> io::Result<(usize, [u64; NODES])> {
    let listeners = (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
    let (sender, events) = channel();
    let nodes = (0..).zip(listeners).map(|(me, listener)| start(me, listener, &addresses, sender.clone()));
    let nodes: Vec<_> = nodes.collect();
    let deadline = Instant::now() + DEADLINE;
    let (mut leader, mut killed, mut counts, mut next) = (None, None, [0; NODES], 1);
    while (0..NODES).any(|node| Some(node) != killed && counts[node] < INCREMENTS) {
        match events.recv_timeout(PATIENCE) {
            _ if Instant::now() > deadline => return Err(io::ErrorKind::TimedOut.into()),
            Ok(Event::Leads(node)) => leader = Some(node),
            Ok(Event::Counted(node, count)) => {
                counts[node] = count;
                if count < next {
                    continue;
                }
                next = count + 1;
                if let Some(at_fifty) = leader.take_if(|_| count == INCREMENTS / 2) {
                    let _ = nodes[at_fifty].send(Input::Kill);
                    killed = Some(at_fifty);
                }
            }
            // Silence: the increment was lost, or nobody leads.
            Err(_) => {}
        }
        if let Some(leader) = leader.filter(|_| next <= INCREMENTS) {
            let _ = nodes[leader].send(Input::Increment(next));
        }
    }
    nodes.iter().for_each(|node| _ = node.send(Input::Kill));
    Ok((killed.expect("whoever led at fifty"), counts))
}
