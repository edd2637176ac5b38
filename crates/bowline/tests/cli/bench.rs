//! `bench`: that its figures are those of what the servers saw.

use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bowline_harness::{Cluster, PATIENCE, until};
use rustix::process::{Pid, Signal, kill_process};

use crate::json::Json;
use crate::support::{FakeServer, bowline, directory, nobody, run, text};

fn bench(nodes: &str, more: &[&str]) -> Output {
    run(&[&["bench", "--nodes", nodes], more].concat())
}

/// The one object that was printed by a run that succeeded.
fn json(output: &Output) -> Json {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "no live line where there is no terminal");
    Json::parse(&text(&output.stdout))
}

/// A server that stores nothing.
fn forgetful() -> FakeServer {
    FakeServer::start(|command| match command[0].as_slice() {
        b"GET" => Some(b"$-1\r\n".to_vec()),
        b"SET" => Some(b"+OK\r\n".to_vec()),
        _ => Some(b"+PONG\r\n".to_vec()),
    })
}

/// What holds of every result.
fn assert_adds_up(result: &Json) {
    let [requests, answered, failed] = ["requests", "answered", "failed"].map(|name| result.number(name));
    assert_eq!(answered + failed, requests);
    assert_eq!(result.numbers("errors").values().sum::<f64>(), failed);
    let counts = ["get", "set", "all"].map(|kind| result.at(kind).number("count"));
    assert_eq!((counts[0] + counts[1], counts[2]), (answered, answered));
    assert!(result.number("misses") <= counts[0]);
    let rate = answered / result.number("elapsed_s");
    assert!((rate - result.number("answered_per_s")).abs() <= rate * 1e-3, "{result:?}");
    let kinds = ["get", "set", "all"].map(|kind| result.at(kind));
    for latency in kinds.into_iter().filter(|latency| latency.number("count") > 0.0) {
        let rising = ["p50_us", "p90_us", "p99_us", "p999_us", "max_us"].map(|name| latency.number(name));
        assert!(rising.is_sorted() && rising[0] > 0.0, "{latency:?}");
        assert!(latency.number("mean_us") <= latency.number("max_us"), "{latency:?}");
    }
}

#[test]
fn what_is_counted_is_what_a_server_was_sent() {
    let server = forgetful();
    let options = ["--clients", "1", "--requests", "103", "--pipeline", "10", "--reads", "40", "--keys", "7"];
    let result =
        json(&bench(&server.addr, &[&options[..], &["--size", "5", "--warm-up", "0s", "--json"]].concat()));
    assert_adds_up(&result);
    let commands = server.commands();
    let of = |name: &[u8]| commands.iter().filter(|command| command[0] == name).count();
    assert_eq!((commands.len(), result.number("answered")), (103, 103.0));
    assert_eq!(
        (of(b"GET") as f64, of(b"SET") as f64),
        (result.at("get").number("count"), result.at("set").number("count"))
    );
    assert_eq!(result.number("misses"), of(b"GET") as f64);
    assert!(of(b"GET") > 0 && of(b"SET") > 0);
    for command in &commands {
        let digits = command[1].strip_prefix(b"key:").expect("a key");
        assert_eq!(digits.len(), 12);
        assert!(text(digits).parse::<u32>().expect("a number") < 7);
        assert!(command.get(2).is_none_or(|value| value.len() == 5));
    }
    let settings =
        ["clients", "pipeline", "reads_percent", "keys", "value_bytes"].map(|name| result.number(name));
    assert_eq!(settings, [1.0, 10.0, 40.0, 7.0, 5.0]);
    assert_eq!((result.text("loop"), result.at("rate")), ("closed", &Json::Null));
    assert_eq!(result.list("nodes"), [Json::Text(server.addr.clone())]);
}

#[test]
fn people_see_the_same_figures_in_tables() {
    let server = forgetful();
    let options = ["--clients", "1", "--requests", "2000", "--warm-up", "0s"];
    let output = bench(&server.addr, &options);
    let shown = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let row = |name: &str| -> Vec<String> {
        let line = shown
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name} in:\n{shown}"));
        line.split_whitespace().map(str::to_owned).collect()
    };
    let number =
        |text: &str| text.replace(',', "").parse::<f64>().unwrap_or_else(|_| panic!("{text} in:\n{shown}"));
    assert_eq!(row("ms "), ["ms", "requests", "per", "second", "mean", "p50", "p90", "p99", "p99.9", "max"]);
    assert_eq!(number(&row("GET")[1]) + number(&row("SET")[1]), 2000.0);
    assert_eq!(row("all")[1], "2,000");
    let steps = shown
        .lines()
        .skip_while(|line| !line.contains("up to, ms"))
        .skip(1)
        .take_while(|line| !line.is_empty());
    let cells: Vec<Vec<&str>> = steps.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells.iter().map(|cells| number(cells[1])).sum::<f64>(), 2000.0);
    assert_eq!(cells.last().expect("a step")[4], "100.00", "{shown}");
    for said in
        ["1 client on", "closed loop", "values of 64 bytes, 100,000 keys", "no errors", "us a request"]
    {
        assert!(shown.contains(said), "{said} in:\n{shown}");
    }
    let misses = format!("{} of {} GETs found no key", row("GET")[1], row("GET")[1]);
    assert!(shown.contains(&misses), "{shown}");
}

#[test]
fn an_open_loop_makes_each_request_when_it_is_due_and_no_more() {
    let begun = Instant::now();
    let last = Arc::new(Mutex::new(begun));
    let seen = Arc::clone(&last);
    let server = FakeServer::start(move |_| {
        *seen.lock().unwrap() = Instant::now();
        Some(b"+OK\r\n".to_vec())
    });
    let options = [
        "--clients",
        "1",
        "--reads",
        "0",
        "--rate",
        "200",
        "--requests",
        "40",
        "--warm-up",
        "100ms",
        "--json",
    ];
    let result = json(&bench(&server.addr, &options));
    assert_adds_up(&result);
    assert_eq!((result.text("loop"), result.number("rate")), ("open", 200.0));
    assert_eq!((result.number("answered"), result.number("unfinished")), (40.0, 0.0));
    assert_eq!(server.commands().len(), 60, "20 of the warm-up and 40 that count");
    assert!(result.number("elapsed_s") >= 0.2 && result.number("answered_per_s") <= 200.0, "{result:?}");
    let last = last.lock().unwrap().duration_since(begun);
    assert!(last >= Duration::from_millis(295), "the 60th request came {last:?} after the beginning");
}

#[test]
fn requests_that_become_due_while_the_server_pauses_have_waited() {
    const PAUSE: Duration = Duration::from_millis(400);
    let answered = AtomicUsize::new(0);
    let server = FakeServer::start(move |_| {
        if answered.fetch_add(1, Ordering::SeqCst) == 0 {
            thread::sleep(PAUSE);
        }
        Some(b"+OK\r\n".to_vec())
    });
    let options =
        ["--clients", "1", "--reads", "0", "--rate", "100", "--requests", "40", "--warm-up", "0s", "--json"];
    let result = json(&bench(&server.addr, &options));
    assert_adds_up(&result);
    assert_eq!(result.number("answered"), 40.0);
    // The 20 that were due in the first 200 ms have waited for at least the other 200.
    assert!(result.at("all").number("p50_us") >= 199_000.0, "{result:?}");
}

#[test]
fn what_an_open_loop_could_not_send_in_time_is_told() {
    let server = FakeServer::start(|_| {
        thread::sleep(Duration::from_millis(20));
        Some(b"+OK\r\n".to_vec())
    });
    let options =
        ["--clients", "1", "--reads", "0", "--rate", "1000", "--duration", "300ms", "--warm-up", "0s"];
    let result = json(&bench(&server.addr, &[&options[..], &["--json"]].concat()));
    assert_adds_up(&result);
    // One each 20 ms at most, of one each millisecond, until a second after the 300 ms.
    assert_eq!(result.number("requests") + result.number("unfinished"), 300.0);
    assert!(result.number("answered") <= 66.0, "{result:?}");
    let shown = text(&bench(&server.addr, &options).stdout);
    assert!(shown.contains("were due and not even sent within a second of the end"), "{shown}");
    assert!(shown.contains("of 1,000/s that were wanted"), "{shown}");
}

/// Refuses some, closes the connection once, and once answers something else.
fn unreliable() -> FakeServer {
    let answered = AtomicUsize::new(0);
    FakeServer::start(move |_| match answered.fetch_add(1, Ordering::SeqCst) {
        25 => None,
        31 => Some(b"$1\r\nv\r\n".to_vec()),
        number if number % 10 == 9 => Some(b"-CLUSTERDOWN there is no majority\r\n".to_vec()),
        _ => Some(b"+OK\r\n".to_vec()),
    })
}

#[test]
fn errors_are_counted_by_kind_and_the_client_goes_on() {
    let options = ["--clients", "1", "--reads", "0", "--requests", "50", "--warm-up", "0s"];
    for more in [&[][..], &["--rate", "1000"]] {
        let result = json(&bench(&unreliable().addr, &[&options[..], more, &["--json"]].concat()));
        assert_adds_up(&result);
        let errors = result.numbers("errors");
        let expected =
            [("CLUSTERDOWN", 5.0), ("connection lost", 1.0), ("a reply that does not fit the request", 1.0)];
        assert_eq!(errors, expected.map(|(kind, times)| (kind.to_owned(), times)).into());
        assert_eq!(result.number("answered"), 43.0);
    }
    let shown = text(&bench(&unreliable().addr, &options).stdout);
    for said in ["7 of 50 requests failed, 14.00 %:", "  5  CLUSTERDOWN\n", "  1  connection lost\n"] {
        assert!(shown.contains(said), "{said} in:\n{shown}");
    }
}

#[test]
fn without_one_answer_it_is_no_success() {
    let server = FakeServer::answering(b"-NOAUTH Authentication required.\r\n");
    let output = bench(&server.addr, &["--clients", "1", "--requests", "5", "--warm-up", "0s", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let result = Json::parse(&text(&output.stdout));
    assert_adds_up(&result);
    assert_eq!((result.number("failed"), result.numbers("errors")["NOAUTH"]), (5.0, 5.0));
    assert_eq!(result.at("all").at("p50_us"), &Json::Null);
}

#[test]
fn a_cluster_is_measured_at_all_nodes_or_at_its_leader() {
    let cluster = Cluster::start("bench", 3);
    let nodes = cluster.addrs().join(",");
    let options =
        ["--requests", "600", "--clients", "7", "--keys", "50", "--size", "11", "--distribution", "zipfian"];
    for (more, pipeline) in [(&[][..], "1"), (&["--leader"], "16"), (&["--rate", "2000"], "3")] {
        let options = [&options[..], &["--pipeline", pipeline, "--warm-up", "20ms", "--json"], more].concat();
        let result = json(&bench(&nodes, &options));
        assert_adds_up(&result);
        assert_eq!((result.number("answered"), result.number("failed")), (600.0, 0.0));
        let measured = if more == ["--leader"] {
            vec![cluster.addr(cluster.leader()).to_owned()]
        } else {
            cluster.addrs()
        };
        assert_eq!(result.list("nodes"), measured.into_iter().map(Json::Text).collect::<Vec<_>>());
    }
    let mut client = cluster.client(1);
    let keys = client.call(&["DBSIZE"]).expect("an answer").number().expect("a number");
    assert!((1..=50).contains(&keys), "{keys}");
    assert_eq!(client.call(&["STRLEN", "key:000000000000"]).expect("an answer").number(), Some(11));
}

/// A run that is ended by Ctrl-C. Ends with the test.
struct Running(Option<Child>);

impl Running {
    fn start(nodes: &str, options: &[&str]) -> Self {
        let mut command = bowline();
        command.args(["bench", "--nodes", nodes]).args(options);
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")))
    }

    fn interrupt(mut self) -> Output {
        let child = self.0.take().expect("it runs");
        kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
        child.wait_with_output().expect("it ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn what_a_killed_node_did_not_answer_is_counted_and_ctrl_c_prints_what_there_is() {
    let mut cluster = Cluster::start("bench-kill", 3);
    let leader = cluster.leader();
    let victim = cluster.others(leader)[0];
    let commit = |cluster: &Cluster| cluster.info(leader).map_or(0, |info| info.number("raft_commit_index"));
    // Far more entries than anybody but the clients makes.
    let goes_on = |cluster: &Cluster| {
        let before = commit(cluster);
        until("entries of the clients", PATIENCE, || (commit(cluster) > before + 100).then_some(()));
    };
    let options = ["--clients", "2", "--reads", "0", "--duration", "1h", "--warm-up", "0s", "--json"];
    let running = Running::start(cluster.addr(victim), &options);
    goes_on(&cluster);
    cluster.kill(victim);
    cluster.restart(victim);
    goes_on(&cluster);
    let result = json(&running.interrupt());
    assert_adds_up(&result);
    assert_eq!(result.at("interrupted"), &Json::Bool(true));
    let errors = result.numbers("errors");
    assert!(errors["connection lost"] >= 1.0, "{errors:?}");
    let is_expected = |kind: &String| kind == "connection lost" || kind.starts_with("not connected");
    assert!(errors.keys().all(is_expected), "{errors:?}");
    assert!(result.number("answered") >= 100.0);
}

#[test]
fn a_node_that_is_not_there_is_named() {
    let (server, nobody) = (forgetful(), nobody());
    for (nodes, said) in
        [(nobody.clone(), "no node answers"), (format!("{},{nobody}", server.addr), "not every node answers")]
    {
        let output = bench(&nodes, &[]);
        let error = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), String::new()));
        assert!(error.contains(said) && error.contains(&format!("{nobody}: Connection refused")), "{error}");
    }
    let output = bench(&nobody, &["--leader"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("none of the nodes leads"), "{}", text(&output.stderr));
}

#[test]
fn a_probe_times_syncs_and_round_trips_and_judges_them() {
    let (server, dir) = (forgetful(), directory());
    let path = dir.path().to_str().expect("paths of tests are text");
    let output = bench(&server.addr, &["--probe", "--data", path, "--json"]);
    let result = Json::parse(&text(&output.stdout));
    let verdict = result.text("verdict");
    assert!(["good", "usable", "bad"].contains(&verdict), "{verdict}");
    assert_eq!(output.status.code(), Some(i32::from(verdict == "bad")), "{}", text(&output.stdout));
    let [disk, network] = result.list("probes") else { panic!("two probes in {result:?}") };
    assert_eq!((disk.text("target"), disk.text("name")), ("disk", path));
    assert_eq!((network.text("target"), network.text("name")), ("network", server.addr.as_str()));
    for probe in [disk, network] {
        assert_eq!(probe.at("failure"), &Json::Null);
        assert!(probe.at("latency").number("count") >= 1.0, "{probe:?}");
    }
    let pings = server.commands();
    // The first one makes the connection, and is not measured.
    assert_eq!(pings.len() as f64, network.at("latency").number("count") + 1.0);
    assert!(pings.iter().all(|command| *command == [b"PING".to_vec()]));
    assert_eq!(dir.path().read_dir().expect("it is there").count(), 0, "nothing is left behind");
    let shown = text(&bench(&server.addr, &["--probe"]).stdout);
    for said in
        ["round trip  ", "a tenth of the servers' election timeout of 400 ms", "heartbeat interval of 50 ms"]
    {
        assert!(shown.contains(said), "{said} in:\n{shown}");
    }
}

#[test]
fn what_cannot_be_probed_is_not_good_enough() {
    let dir = directory();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().expect("paths of tests are text");
    let nobody = nobody();
    let output = bench(&nobody, &["--probe", "--data", missing, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let result = Json::parse(&text(&output.stdout));
    assert_eq!(result.text("verdict"), "bad");
    let failures: Vec<_> = result.list("probes").iter().map(|probe| probe.text("failure")).collect();
    assert!(failures[0].contains("cannot write") && failures[0].contains("No such file"), "{failures:?}");
    assert!(failures[1].contains("Connection refused"), "{failures:?}");
    let shown = text(&run(&["bench", "--probe", "--nodes", &nobody]).stdout);
    assert!(
        shown.contains("not good enough") && shown.contains(&format!("{nobody}: Connection refused")),
        "{shown}"
    );
}

#[test]
fn wrong_usage_is_told_before_anything_is_sent() {
    let server = forgetful();
    for (options, said) in [
        (&["--clients", "0"][..], "1..=10000"),
        (&["--pipeline", "0"], "1..=10000"),
        (&["--reads", "101"], "0..=100"),
        (&["--size", "17MiB"], "16MiB"),
        (&["--keys", "0"], "--keys"),
        (&["--distribution", "normal"], "zipfian"),
        (&["--duration", "10"], "10s"),
        (&["--duration", "0s"], "no time at all"),
        (&["--requests", "0"], "--requests"),
        (&["--requests", "5", "--duration", "1s"], "cannot be used with"),
        (&["--rate", "0"], "--rate"),
        (&["--rate", "fast"], "--rate"),
        (&["--clients", "100", "--pipeline", "100", "--size", "1MiB"], "1 GiB"),
        (&["--data", "."], "--probe"),
        (&["--probe", "--clients", "5"], "cannot be used with"),
        (&["--probe", "--rate", "5"], "cannot be used with"),
    ] {
        let output = bench(&server.addr, options);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {message}");
        assert!(message.contains(said), "{options:?}: {said} in:\n{message}");
        assert!(output.stdout.is_empty());
    }
    assert!(server.commands().is_empty());
    let output = run(&["bench", "--probe"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--data DIR"), "{}", text(&output.stderr));
}
