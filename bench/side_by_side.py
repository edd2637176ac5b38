#!/usr/bin/env python3
"""Bowline beside redis-server, in one run on one machine.

Needs redis-server and redis-benchmark (Debian: redis-server, redis-tools) and `cargo build --release`. Starts a
redis-server that syncs at every write and a cluster of three Bowline nodes, both on 127.0.0.1 with their data in
--dir, and measures them in turn, round after round, so that a machine that drifts drifts for both. Prints a table of
medians in Markdown. Everything that it starts it ends.
"""

import argparse
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Name, clients, pipeline, tests, requests.
CASES = [
    ("50 connections", 50, 1, "set,get", 60_000),
    ("50 connections, pipeline 16", 50, 16, "set,get", 400_000),
    ("1 connection", 1, 1, "ping_mbulk,set,get", 4_000),
]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def ask(port, *words):
    """One command, and the whole of a reply that comes in one piece."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
        s.sendall(b"".join([b"*%d\r\n" % len(words)] + [b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words]))
        return s.recv(1 << 16).decode()


def wait_for(what, condition):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            found = condition()
            if found:
                return found
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"{what} did not happen within 30 s")


def start_redis(directory, processes):
    (port,) = free_ports(1)
    (directory / "redis").mkdir()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory / "redis")]
    command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
    wait_for("a start of redis-server", lambda: "PONG" in ask(port, "PING"))
    return port


def start_bowline(directory, binary, processes):
    ports = free_ports(6)
    peers = ",".join(f"{i + 1}=127.0.0.1:{ports[i]}@{ports[i + 3]}" for i in range(3))
    for i in range(3):
        command = [binary, "server", "--new", "--id", str(i + 1), "--data", str(directory / f"node{i + 1}")]
        command += ["--listen", f"127.0.0.1:{ports[i]}", "--peers", peers]
        with open(directory / f"node{i + 1}.log", "w") as log:
            processes.append(subprocess.Popen(command, stderr=log))

    def leader():
        leads = re.search(r"raft_leader_id:(\d+)", ask(ports[0], "INFO", "raft"))
        return int(leads.group(1)) if leads else None

    wait_for("the election of a leader", leader)
    wait_for("a first write", lambda: "OK" in ask(ports[0], "SET", "first", "1"))
    at = leader() - 1
    return ports[at], ports[(at + 1) % 3]


def stop(processes):
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(timeout=20)


def measure(port, clients, pipeline, tests, requests):
    """Requests a second and p50 in ms, by test."""
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", tests, "-d", "64", "-c", str(clients)]
    command += ["-P", str(pipeline), "-n", str(requests), "-r", "100000", "--csv"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [[field.strip('"') for field in line.split(",")] for line in out.splitlines()]
    head = rows[0]
    return {row[0]: (float(row[head.index("rps")]), float(row[head.index("p50_latency_ms")])) for row in rows[1:]}


def fdatasync_ms(directory, count=1000):
    """The median of a 4 KiB write and fdatasync in place, in ms."""
    path = directory / "probe"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, bytes(4096 * 256), 0)
    os.fsync(fd)
    times = []
    for i in range(count):
        begun = time.perf_counter()
        os.pwrite(fd, b"x" * 4096, 4096 * (i % 256))
        os.fdatasync(fd)
        times.append(time.perf_counter() - begun)
    os.close(fd)
    path.unlink()
    return statistics.median(times) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/bowline"))
    parser.add_argument("--dir", type=pathlib.Path, default=ROOT / "target/bench", help="on the disk that is meant")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        sys.exit("redis-server and redis-benchmark are needed: apt-get install redis-server redis-tools")
    shutil.rmtree(args.dir, ignore_errors=True)
    args.dir.mkdir(parents=True)
    processes, samples, syncs = [], {}, []
    try:
        redis = start_redis(args.dir, processes)
        leader, follower = start_bowline(args.dir, args.binary, processes)
        for round_ in range(args.rounds):
            syncs.append(fdatasync_ms(args.dir))
            for name, clients, pipeline, tests, requests in CASES:
                for who, port in (("redis", redis), ("leader", leader), ("follower", follower)):
                    for test, figures in measure(port, clients, pipeline, tests, requests).items():
                        samples.setdefault((name, test), {}).setdefault(who, []).append(figures)
            print(f"round {round_ + 1} of {args.rounds}", file=sys.stderr)
    finally:
        stop(processes)
    report(samples, syncs)


def report(samples, syncs):
    print("| case | redis | Bowline, leader | Bowline, follower | leader / redis | follower / redis |")
    print("|---|---|---|---|---|---|")
    medians = {}
    for (name, test), by_who in samples.items():
        rate = {who: statistics.median(r for r, _ in runs) for who, runs in by_who.items()}
        p50 = {who: statistics.median(p for _, p in runs) for who, runs in by_who.items()}
        medians[name, test] = p50
        cells = [f"{rate[w]:,.0f}/s, p50 {p50[w]:.3f} ms" for w in ("redis", "leader", "follower")]
        ratios = [f"{rate[w] / rate['redis']:.2f}" for w in ("leader", "follower")]
        print(f"| {name}, {test} | " + " | ".join(cells + ratios) + " |")
    sync = statistics.median(syncs)
    trip = medians["1 connection", "PING_MBULK"]["redis"]
    floor = sync + 2 * trip
    set_ = medians["1 connection", "SET"]["leader"]
    print(f"\nfdatasync of 4 KiB: {sync:.3f} ms; a round trip (PING, redis, p50): {trip:.3f} ms; one sync and two round")
    print(f"trips: {floor:.3f} ms; SET on one connection, p50: {set_:.3f} ms, {set_ / floor:.2f} times that.")


if __name__ == "__main__":
    main()
