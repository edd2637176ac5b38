#!/usr/bin/env python3
"""What snapshots cost, and what they save: three Bowline nodes, and redis-server where there is something to compare.

Needs redis-server, redis-cli and redis-benchmark (Debian: redis-server, redis-tools) and `cargo build --release`. All of
it runs on 127.0.0.1 with the data in --dir. Prints tables in Markdown; --plot writes the growth of the last part as
an SVG. Everything that it starts it ends.
"""

import argparse
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

from side_by_side import ROOT, ask, free_ports, wait_for

VALUE = 100
PATIENCE = 120


class Cluster:
    """Three nodes on this machine."""

    def __init__(self, directory, binary):
        self.directory, self.binary = directory, binary
        self.ports = free_ports(6)
        self.peers = ",".join(f"{i + 1}=127.0.0.1:{self.ports[i]}@{self.ports[i + 3]}" for i in range(3))
        self.nodes = [None] * 3
        for i in range(3):
            self.start(i, "--new")
        wait_for("a leader", lambda: self.leader() is not None)

    def start(self, i, *more):
        command = [self.binary, "server", "--id", str(i + 1), "--data", str(self.directory / f"node{i + 1}")]
        command += ["--listen", f"127.0.0.1:{self.ports[i]}", "--peers", self.peers, *more]
        with open(self.directory / f"node{i + 1}.log", "a") as log:
            self.nodes[i] = subprocess.Popen(command, stderr=log)

    def kill(self, i):
        self.nodes[i].send_signal(signal.SIGKILL)
        self.nodes[i].wait()

    def info(self, i, name):
        found = re.search(rf"^{name}:(\S+)", ask(self.ports[i], "INFO"), re.M)
        return found.group(1)

    def leader(self):
        for i in range(3):
            try:
                if self.info(i, "raft_role") == "leader":
                    return i
            except OSError:
                pass
        return None

    def saving(self):
        return [self.info(i, "rdb_bgsave_in_progress") == "1" for i in range(3)]

    def save_all(self):
        for port in self.ports[:3]:
            ask(port, "BGSAVE")

    def wait_until_saved(self):
        wait_long("the end of the snapshots", lambda: not any(self.saving()))

    def stop(self):
        for node in self.nodes:
            if node.poll() is None:
                node.terminate()
                node.wait()

    def disk_bytes(self):
        files = (f for i in range(3) for f in (self.directory / f"node{i + 1}").iterdir())
        total = 0
        for file in files:
            try:
                total += file.stat().st_blocks * 512
            except FileNotFoundError:
                pass
        return total

    def resident_bytes(self):
        status = (pathlib.Path(f"/proc/{node.pid}/status").read_text() for node in self.nodes)
        return [int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) * 1024 for text in status]


def wait_long(what, condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not happen within {PATIENCE} s")
        time.sleep(0.02)


def fill(port, keys):
    """Exactly so many keys, each with a value of its own."""
    cli = subprocess.Popen(["redis-cli", "-p", str(port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    for first in range(0, keys, 1000):
        lines = []
        for n in range(first, min(keys, first + 1000)):
            key, value = b"key:%012d" % n, (b"%d," % n).ljust(VALUE, b"v")
            lines.append(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(value), value))
        cli.stdin.write(b"".join(lines))
    cli.stdin.close()
    if cli.wait():
        sys.exit("the keys could not be written")


def load(port, keys, requests, pipeline=1):
    """SETs of 50 connections: requests a second, and p99 in ms."""
    command = ["redis-benchmark", "-p", str(port), "-t", "set", "-d", str(VALUE), "-c", "50", "-P", str(pipeline)]
    command += ["-n", str(requests), "-r", str(keys), "--csv"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    head, row = [[field.strip('"') for field in line.split(",")] for line in out.splitlines()]
    return float(row[head.index("rps")]), float(row[head.index("p99_latency_ms")])


def median(samples, at):
    return statistics.median(sample[at] for sample in samples)


def compare(title, without, during):
    print(f"| {title} | {median(without, 0):,.0f}/s, p99 {median(without, 1):.2f} ms "
          f"| {median(during, 0):,.0f}/s, p99 {median(during, 1):.2f} ms "
          f"| {median(during, 0) / median(without, 0):.2f} | {median(during, 1) / median(without, 1):.2f} |", flush=True)


def while_writing(cluster, keys, rounds, requests):
    """Throughput without snapshots, and from the first moment to the last of snapshots on all nodes, in one load after the other."""
    port = cluster.ports[cluster.leader()]
    without, first, all_of_it = [], [], []
    for _ in range(rounds):
        cluster.wait_until_saved()
        without.append(load(port, keys, requests))
        cluster.save_all()
        loads = []
        while any(cluster.saving()) or not loads:
            loads.append(load(port, keys, requests))
        # The last one has outlived the snapshots.
        loads = loads[:-1] or loads
        first.append(loads[0])
        rate = len(loads) / sum(1 / rps for rps, _ in loads)
        all_of_it.append((rate, statistics.median(p99 for _, p99 in loads)))
    compare("while all three nodes write a snapshot", without, all_of_it)
    compare("the beginning of that", without, first)


def restarts(cluster, rounds, directory, keys):
    """A node, and redis-server from its RDB file, until they answer."""
    node = (cluster.leader() + 1) % 3
    (port,) = free_ports(1)
    redis = ["redis-server", "--port", str(port), "--dir", str(directory), "--appendonly", "no", "--save", ""]
    server = subprocess.Popen(redis, stdout=subprocess.DEVNULL)
    wait_for("a start of redis-server", lambda: "PONG" in ask(port, "PING"))
    fill(port, keys)
    ask(port, "SAVE")
    ours, theirs = [], []
    for _ in range(rounds):
        cluster.kill(node)
        begun = time.monotonic()
        cluster.start(node)
        wait_for("an answer", lambda: f"keys={keys}" in ask(cluster.ports[node], "INFO", "keyspace"))
        ours.append(time.monotonic() - begun)
        server.send_signal(signal.SIGKILL)
        server.wait()
        begun = time.monotonic()
        server = subprocess.Popen(redis, stdout=subprocess.DEVNULL)
        wait_for("an answer", lambda: f"keys={keys}" in ask(port, "INFO", "keyspace"))
        theirs.append(time.monotonic() - begun)
    server.terminate()
    server.wait()
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"| restart with {keys:,} keys | {ours:.2f} s | redis-server, RDB: {theirs:.2f} s | {ours / theirs:.2f} | |", flush=True)


def catching_up(cluster, keys, rounds, requests):
    """Throughput of 50 clients while a follower receives a snapshot."""
    without, during, took = [], [], []
    for _ in range(rounds):
        leader = cluster.leader()
        port, follower = cluster.ports[leader], (leader + 1) % 3
        without.append(load(port, keys, requests))
        has = int(cluster.info(follower, "raft_last_log_index"))
        cluster.kill(follower)
        load(port, keys, requests // 4)
        for other in (leader, (leader + 2) % 3):
            ask(cluster.ports[other], "BGSAVE")
        wait_long("a snapshot", lambda: int(cluster.info(leader, "raft_snapshot_index")) > has)
        result = []
        loader = threading.Thread(target=lambda: result.append(load(port, keys, requests)))
        loader.start()
        begun = time.monotonic()
        cluster.start(follower)
        wait_for("an answer", lambda: cluster.info(follower, "raft_role"))
        goal = int(cluster.info(leader, "raft_snapshot_index"))
        wait_long("the snapshot to be installed", lambda: int(cluster.info(follower, "raft_last_applied")) >= goal)
        took.append(time.monotonic() - begun)
        loader.join()
        during += result
    compare(f"while a follower catches up by snapshot ({statistics.median(took):.1f} s)", without, during)


def overwrites(cluster, keys, writes, plot):
    """Disk and memory under many overwrites."""
    port = cluster.ports[cluster.leader()]
    done = threading.Event()
    samples = []

    def watch():
        begun = time.monotonic()
        while not done.wait(1):
            samples.append((time.monotonic() - begun, cluster.disk_bytes(), *cluster.resident_bytes()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    rate, _ = load(port, keys, writes, pipeline=16)
    done.set()
    watcher.join()
    disk = max(sample[1] for sample in samples)
    half = len(samples) // 2
    early, late = (max(max(s[2:]) for s in part) for part in (samples[half // 2:half], samples[half:]))
    print(f"| {writes:,} overwrites of {keys:,} keys, {rate:,.0f}/s | all directories at most {disk / 2**20:,.0f} MiB "
          f"| memory of a node at most {late / 2**20:,.0f} MiB; in the second quarter {early / 2**20:,.0f} MiB | | |", flush=True)
    if plot:
        draw(plot, samples)


def draw(path, samples):
    """Disk of all nodes, and memory of each, over time."""
    width, height, left, top = 720, 300, 70, 30
    end, most = samples[-1][0], max(max(sample[1:]) for sample in samples) * 1.1
    x = lambda seconds: left + seconds / end * (width - left - 20)
    y = lambda size: top + (1 - size / most) * (height - top - 40)
    series = [("disk, all nodes", "#0b6e99"), ("memory, node 1", "#b45309"), ("node 2", "#7c3aed"), ("node 3", "#15803d")]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    step = 2 ** 20 * 100
    for size in range(0, int(most), step):
        out.append(f'<line x1="{left}" x2="{width - 20}" y1="{y(size):.1f}" y2="{y(size):.1f}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y(size) + 4:.1f}" text-anchor="end">{size >> 20} MiB</text>')
    for at, (name, color) in enumerate(series):
        points = " ".join(f"{x(sample[0]):.1f},{y(sample[1 + at]):.1f}" for sample in samples)
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'
                   f'<text x="{left + 10 + at * 150}" y="18" fill="{color}">{name}</text>')
    out.append(f'<text x="{width - 20}" y="{height - 14}" text-anchor="end">{end:.0f} s</text>'
               f'<text x="{left}" y="{height - 14}">0 s</text></svg>')
    path.write_text("\n".join(out) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/bowline"))
    parser.add_argument("--dir", type=pathlib.Path, default=ROOT / "target/bench-snapshots", help="on the disk that is meant")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=60_000, help="of a load that is measured")
    parser.add_argument("--overwrites", type=int, default=20_000_000)
    parser.add_argument("--plot", type=pathlib.Path)
    args = parser.parse_args()
    if not all(map(shutil.which, ("redis-server", "redis-benchmark", "redis-cli"))):
        sys.exit("redis-server, redis-cli and redis-benchmark are needed: apt-get install redis-server redis-tools")
    shutil.rmtree(args.dir, ignore_errors=True)
    args.dir.mkdir(parents=True)
    cluster = Cluster(args.dir, args.binary)
    try:
        fill(cluster.ports[cluster.leader()], args.keys)
        print("| what | without | with | throughput | p99 |\n|---|---|---|---|---|", flush=True)
        while_writing(cluster, args.keys, args.rounds, args.requests)
        restarts(cluster, args.rounds, args.dir, args.keys)
        catching_up(cluster, args.keys, args.rounds, args.requests)
    finally:
        cluster.stop()
    shutil.rmtree(args.dir, ignore_errors=True)
    args.dir.mkdir(parents=True)
    cluster = Cluster(args.dir, args.binary)
    try:
        overwrites(cluster, 100_000, args.overwrites, args.plot)
    finally:
        cluster.stop()
    shutil.rmtree(args.dir, ignore_errors=True)


if __name__ == "__main__":
    main()
