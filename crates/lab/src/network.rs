//! The network's own tests: before it judges Raft it is judged itself.
//!
//! The original suite comes with the course's network and says what the laboratories rely on. How often and
//! how late things happen on the network is tested where it is made, in the crate `bowline-sim`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bowline_sim::executor::{First, Sim, Task, race};
use bowline_sim::labrpc::{ClientEnd, Incoming, Network, Server, ServerName};
use bytes::Bytes;

use crate::scenario::{Body, Part, Scenario, Script};

/// The scenarios of the network, in the order of the original.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("TestBasic", "Test (network): two handlers", |sim, seed| Box::pin(basic(sim, seed))),
    scenario("TestTypes", "Test (network): arguments of two kinds", |sim, seed| Box::pin(types(sim, seed))),
    scenario("TestDisconnect", "Test (network): an end that is not enabled", |sim, seed| {
        Box::pin(disconnect(sim, seed))
    }),
    scenario("TestCounts", "Test (network): RPC counts", |sim, seed| Box::pin(counts(sim, seed))),
    scenario("TestBytes", "Test (network): RPC byte counts", |sim, seed| Box::pin(bytes(sim, seed))),
    scenario("TestConcurrentMany", "Test (network): concurrent RPCs from many ends", |sim, seed| {
        Box::pin(concurrent_many(sim, seed))
    }),
    scenario("TestUnreliable", "Test (network): unreliable", |sim, seed| Box::pin(unreliable(sim, seed))),
    scenario("TestConcurrentOne", "Test (network): concurrent RPCs from one end", |sim, seed| {
        Box::pin(concurrent_one(sim, seed))
    }),
    scenario("TestRegression1", "Test (network): lost RPCs do not delay later ones", |sim, seed| {
        Box::pin(regression1(sim, seed))
    }),
    scenario("TestKilled", "Test (network): RPCs to a killed server", |sim, seed| {
        Box::pin(killed(sim, seed))
    }),
    scenario("TestBenchmark", "Test (network): 100,000 RPCs", |sim, seed| Box::pin(benchmark(sim, seed))),
];

const fn scenario(
    name: &'static str,
    title: &'static str,
    script: fn(Sim, u64) -> Script<Result<(), String>>,
) -> Scenario {
    let body = Body::Network(script);
    Scenario {
        part: Part::Network,
        name,
        title,
        peers: 0,
        unreliable: false,
        body,
        seed_002: None,
        seed_001: None,
    }
}

const SERVER: ServerName = ServerName(99);

/// How long a handler stalls that is not to be waited for.
const STALL: Duration = Duration::from_secs(20);

/// What the server's handlers have been given.
#[derive(Default)]
struct Seen {
    texts: RefCell<Vec<String>>,
    numbers: RefCell<Vec<u64>>,
}

/// A reliable network with one server.
struct Net {
    sim: Sim,
    network: Network,
    seen: Rc<Seen>,
}

impl Net {
    fn new(sim: &Sim, seed: u64) -> Self {
        let (network, seen) = (Network::new(sim, seed), Rc::<Seen>::default());
        let (handle, heard) = (sim.clone(), seen.clone());
        network.add_server(
            SERVER,
            Server::new(move |call| Box::pin(answer(handle.clone(), heard.clone(), call))),
        );
        Self { sim: sim.clone(), network, seen }
    }

    /// An end that leads to the server, and is not enabled.
    fn disabled(&self) -> ClientEnd {
        let end = self.network.make_end();
        self.network.connect(end.id(), SERVER);
        end
    }

    /// An end that leads to the server.
    fn enabled(&self) -> ClientEnd {
        let end = self.disabled();
        self.network.enable(end.id(), true);
        end
    }

    /// Has a number named, next to what goes on already: whether there is a reply. A wrong reply is an error.
    fn name(&self, end: &ClientEnd, number: u64) -> Task<Result<bool, String>> {
        let call = end.call("Name", encode(number));
        self.sim.spawn(async move {
            let Some(reply) = call.await else { return Ok(false) };
            equal(&format!("the reply to {number}"), reply, named(number))?;
            Ok(true)
        })
    }

    fn server_calls(&self, expected: u64) -> Result<(), String> {
        equal("calls that reached the server", self.network.server_calls(SERVER), expected)
    }
}

/// What the server does, by the method.
async fn answer(sim: Sim, seen: Rc<Seen>, call: Incoming) -> Bytes {
    match call.method {
        "Parse" => {
            let text = text(&call.args);
            let number = text.parse().expect("a number");
            seen.texts.borrow_mut().push(text);
            encode(number)
        }
        "Name" => {
            let number = decode(&call.args);
            seen.numbers.borrow_mut().push(number);
            named(number)
        }
        "Stall" => {
            sim.sleep(STALL).await;
            call.args
        }
        "Length" => encode(call.args.len() as u64),
        "Fill" => "y".repeat(usize::try_from(decode(&call.args)).expect("a length")).into(),
        other => unreachable!("there is no handler {other}"),
    }
}

/// A number on its way.
fn encode(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn decode(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("a number is eight bytes"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("a text is UTF-8")
}

fn named(number: u64) -> Bytes {
    format!("number {number}").into()
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    ensure(got == expected, || format!("{what}: {got:?} instead of {expected:?}"))
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A call does what it is for, is given its arguments, and brings back the reply.
pub(crate) async fn basic(sim: Sim, seed: u64) -> Result<(), String> {
    let net = Net::new(&sim, seed);
    let end = net.enabled();
    equal("the reply to a number", end.call("Name", encode(111)).await, Some(named(111)))?;
    equal("the reply to a text", end.call("Parse", "9099".into()).await, Some(encode(9099)))?;
    equal("numbers seen", net.seen.numbers.take(), vec![111])?;
    equal("texts seen", net.seen.texts.take(), vec!["9099".to_owned()])
}

/// One argument arrives the same in both encodings, and whether it is a buffer of its own or a piece of another.
///
/// The original passes it by pointer and by value.
pub(crate) async fn types(sim: Sim, seed: u64) -> Result<(), String> {
    let net = Net::new(&sim, seed);
    let end = net.enabled();
    let own = [encode(4321), Bytes::from("4321")];
    let whole = Bytes::from([b"before ".as_slice(), &own[0], &own[1], b" after"].concat());
    let piece = [whole.slice(7..15), whole.slice(15..19)];
    drop(whole);
    for (kind, [binary, decimal]) in [("own", own), ("piece", piece)] {
        equal(kind, end.call("Name", binary).await, Some(named(4321)))?;
        equal(kind, end.call("Parse", decimal).await, Some(encode(4321)))?;
    }
    equal("numbers seen", net.seen.numbers.take(), vec![4321, 4321])?;
    equal("texts seen", net.seen.texts.take(), vec!["4321".to_owned(), "4321".to_owned()])
}

/// An end is disabled until somebody enables it, and so again when it is disabled.
pub(crate) async fn disconnect(sim: Sim, seed: u64) -> Result<(), String> {
    let net = Net::new(&sim, seed);
    let end = net.disabled();
    equal("through an end never enabled", end.call("Name", encode(111)).await, None)?;
    net.server_calls(0)?;
    net.network.enable(end.id(), true);
    equal("once it is enabled", end.call("Name", encode(112)).await, Some(named(112)))?;
    net.network.enable(end.id(), false);
    equal("when it is disabled again", end.call("Name", encode(113)).await, None)?;
    equal("numbers seen", net.seen.numbers.take(), vec![112])
}

/// The server's count is that of its calls.
pub(crate) async fn counts(sim: Sim, seed: u64) -> Result<(), String> {
    let net = Net::new(&sim, seed);
    let end = net.enabled();
    for number in 0..17 {
        equal("a reply", end.call("Name", encode(number)).await, Some(named(number)))?;
    }
    net.server_calls(17)?;
    equal("calls in all", net.network.total_calls(), 17)
}

/// All bytes of arguments and replies are counted, and nothing else.
pub(crate) async fn bytes(sim: Sim, seed: u64) -> Result<(), String> {
    let net = Net::new(&sim, seed);
    let end = net.enabled();
    let long = "1234567".repeat(10) + "8";
    let long = long.repeat(4);
    equal("the argument", long.len(), 284)?;
    for _ in 0..17 {
        equal("its length", end.call("Length", long.clone().into()).await, Some(encode(284)))?;
    }
    let arguments = net.network.total_bytes();
    ensure((4828..=6000).contains(&arguments), || format!("{arguments} bytes instead of 4828 to 6000"))?;
    equal("bytes, each number being eight", arguments, 17 * (284 + 8))?;

    for _ in 0..17 {
        equal("a long reply", end.call("Fill", encode(107)).await, Some("y".repeat(107).into()))?;
    }
    let replies = net.network.total_bytes() - arguments;
    ensure((1800..=2500).contains(&replies), || format!("{replies} bytes more instead of 1800 to 2500"))?;
    equal("bytes more, each number being eight", replies, 17 * (8 + 107))
}

/// Twenty clients, each with an end of its own, make ten calls one after another.
pub(crate) async fn concurrent_many(sim: Sim, seed: u64) -> Result<(), String> {
    let net = Rc::new(Net::new(&sim, seed));
    let clients: Vec<_> = (0..20)
        .map(|client| {
            let net = net.clone();
            sim.spawn(async move {
                let end = net.enabled();
                let mut replies = 0;
                for call in 0..10 {
                    replies += u64::from(net.name(&end, client * 100 + call).await?);
                }
                Ok::<u64, String>(replies)
            })
        })
        .collect();
    let mut replies = 0;
    for client in clients {
        replies += client.await?;
    }
    equal("replies", replies, 200)?;
    net.server_calls(200)?;
    let mut seen = net.seen.numbers.take();
    seen.sort_unstable();
    let expected = (0..20).flat_map(|client| (0..10).map(move |call| client * 100 + call)).collect();
    equal("numbers seen", seen, expected)
}

/// Some calls come through an unreliable network, and some do not; none comes twice.
pub(crate) async fn unreliable(sim: Sim, seed: u64) -> Result<(), String> {
    let net = Net::new(&sim, seed);
    net.network.set_reliable(false);
    let calls: Vec<_> = (0..300).map(|number| net.name(&net.enabled(), number * 100)).collect();
    let mut replies = 0;
    for call in calls {
        replies += usize::from(call.await?);
    }
    let mut seen = net.seen.numbers.take();
    ensure(0 < replies && replies < 300, || format!("{replies} of 300 calls have a reply"))?;
    ensure(replies < seen.len(), || format!("{replies} replies to {}: no reply was lost", seen.len()))?;
    ensure(seen.len() < 300, || "no request was lost".to_owned())?;
    seen.sort_unstable();
    ensure(seen.windows(2).all(|pair| pair[0] < pair[1]), || format!("seen twice: {seen:?}"))
}

/// Twenty calls at one moment through one end come through, each once.
pub(crate) async fn concurrent_one(sim: Sim, seed: u64) -> Result<(), String> {
    let net = Net::new(&sim, seed);
    let end = net.enabled();
    let calls: Vec<_> = (0..20).map(|number| net.name(&end, number)).collect();
    let mut replies = 0;
    for call in calls {
        replies += u64::from(call.await?);
    }
    equal("replies", replies, 20)?;
    let mut seen = net.seen.numbers.take();
    seen.sort_unstable();
    equal("numbers seen", seen, (0..20).collect())?;
    net.server_calls(20)
}

/// Calls made while an end was disabled fail, and do not delay those that are made once it is enabled: not after
/// they have failed, and, with long delays, not while they are under way either.
pub(crate) async fn regression1(sim: Sim, seed: u64) -> Result<(), String> {
    for long_delays in [false, true] {
        let net = Net::new(&sim, seed);
        net.network.set_long_delays(long_delays);
        let end = net.disabled();
        let failed = Rc::new(Cell::new(0));
        let lost: Vec<_> = (0..20)
            .map(|number| {
                let (call, failed) = (net.name(&end, number), failed.clone());
                sim.spawn(async move {
                    let is_replied = call.await?;
                    failed.set(failed.get() + 1);
                    Ok::<bool, String>(is_replied)
                })
            })
            .collect();
        sim.sleep(Duration::from_millis(100)).await;
        equal("all have failed after 100 ms", failed.get() == 20, !long_delays)?;
        net.network.enable(end.id(), true);

        let made = sim.now();
        ensure(net.name(&end, 99).await?, || "a call through an enabled end fails".to_owned())?;
        let taken = sim.now() - made;
        ensure(taken <= Duration::from_millis(30), || format!("{taken:?} instead of 30 ms at most"))?;
        for call in lost {
            ensure(!call.await?, || "a call made while the end was disabled has a reply".to_owned())?;
        }
        net.server_calls(1)?;
        equal("numbers seen", net.seen.numbers.take(), vec![99])?;
    }
    Ok(())
}

/// A call whose handler takes long waits for it, until its server is taken away: then it fails within 100 ms.
pub(crate) async fn killed(sim: Sim, seed: u64) -> Result<(), String> {
    let net = Net::new(&sim, seed);
    let mut call = net.enabled().call("Stall", encode(99));
    let outcome = race(&mut call, sim.sleep(Duration::from_secs(1))).await;
    equal("after a second", outcome, First::Right(()))?;
    net.server_calls(1)?;
    net.network.delete_server(SERVER);
    let outcome = race(&mut call, sim.sleep(Duration::from_millis(100))).await;
    equal("within 100 ms of its server's end", outcome, First::Left(None))
}

/// A hundred thousand calls, one after another, all come through.
pub(crate) async fn benchmark(sim: Sim, seed: u64) -> Result<(), String> {
    const CALLS: u64 = 100_000;
    let net = Net::new(&sim, seed);
    let end = net.enabled();
    for number in 0..CALLS {
        equal("a reply", end.call("Name", encode(number)).await, Some(named(number)))?;
    }
    net.server_calls(CALLS)?;
    equal("calls in all", net.network.total_calls(), CALLS)?;
    ensure(net.seen.numbers.borrow().iter().copied().eq(0..CALLS), || "calls out of order".to_owned())
}
