#!/usr/bin/env python3
"""Many connections, nearly all of them idle: what one costs in memory, and what they cost the others in throughput.

Needs redis-benchmark (Debian: redis-tools) and `cargo build --release`. Starts a cluster of three Bowline nodes on
127.0.0.1 with their data in --dir, and connects to the leader: --idle connections, each of which has sent a command of a few
hundred bytes and been answered, and then redis-benchmark with --active more. The throughput with and without the idle
ones is measured in turn, round after round, so that a machine that drifts drifts for both. Prints a table of medians in
Markdown. Everything that it starts it ends.
"""

import argparse
import pathlib
import resource
import shutil
import socket
import statistics
import subprocess
import sys

from side_by_side import ROOT, wait_for
from snapshots import Cluster


def need_files(count):
    """Each connection is a file here as well."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        sys.exit(f"{count} files are needed, and the hard limit is {hard}: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def connect(port, count, size):
    """So many connections, each of which has sent a value of that size and asked for it."""
    value = b"v" * size
    request = b"*3\r\n$3\r\nSET\r\n$4\r\nidle\r\n$%d\r\n%s\r\n*2\r\n$3\r\nGET\r\n$4\r\nidle\r\n" % (size, value)
    expected = len(b"+OK\r\n$%d\r\n%s\r\n" % (size, value))
    connections = []
    for first in range(0, count, 100):
        batch = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(first, min(count, first + 100))]
        for s in batch:
            s.sendall(request)
        for s in batch:
            left = expected
            while left:
                got = len(s.recv(left))
                if not got:
                    sys.exit("the server has closed a connection")
                left -= got
        connections += batch
    return connections


def load(port, active, requests, test, pipeline):
    """Requests a second, by redis-benchmark."""
    command = ["redis-benchmark", "-p", str(port), "-t", test, "-d", "64", "-r", "100000", "-c", str(active)]
    command += ["-n", str(requests), "-P", str(pipeline), "--csv"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    head, row = [[field.strip('"') for field in line.split(",")] for line in out.splitlines()]
    return float(row[head.index("rps")])


def clients(cluster, i):
    return int(cluster.info(i, "connected_clients"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=9_900, help="connections that do nothing")
    parser.add_argument("--active", type=int, default=100, help="connections that do")
    parser.add_argument("--size", type=int, default=400, help="bytes that each idle one has sent and been sent")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the requests")
    parser.add_argument("--dir", type=pathlib.Path, default=ROOT / "target/bench-connections")
    parser.add_argument("--binary", default=str(ROOT / "target/release/bowline"))
    args = parser.parse_args()
    need_files(args.idle + 500)
    shutil.rmtree(args.dir, ignore_errors=True)
    args.dir.mkdir(parents=True)
    cluster = Cluster(args.dir, args.binary)
    cases = [(t, p, int(n * args.scale)) for t, p, n in [("set", 1, 60_000), ("get", 1, 60_000), ("get", 16, 400_000)]]
    figures = {case: ([], []) for case in cases}
    memory = []
    try:
        leader = cluster.leader()
        port = cluster.ports[leader]
        for case in cases:
            load(port, args.active, case[2], case[0], case[1])
        for _ in range(args.rounds):
            for case in cases:
                figures[case][0].append(load(port, args.active, case[2], case[0], case[1]))
            before = cluster.resident_bytes()[leader]
            idle = connect(port, args.idle, args.size)
            memory.append((cluster.resident_bytes()[leader] - before) / args.idle)
            for case in cases:
                figures[case][1].append(load(port, args.active, case[2], case[0], case[1]))
            if clients(cluster, leader) < args.idle:
                sys.exit("idle connections were closed meanwhile")
            for s in idle:
                s.close()
            wait_for("the end of the idle connections", lambda: clients(cluster, leader) < 10)
    finally:
        cluster.stop()
        shutil.rmtree(args.dir, ignore_errors=True)
    print(f"{args.idle} idle connections, {args.active} others, medians of {args.rounds} rounds\n")
    print("| case | without the idle ones | with them | share |\n|---|---|---|---|")
    for (test, pipeline, _), (without, among) in figures.items():
        name = test.upper() + (f", pipeline {pipeline}" if pipeline > 1 else "")
        alone, beside = statistics.median(without), statistics.median(among)
        print(f"| {name} | {alone:,.0f}/s | {beside:,.0f}/s | {beside / alone:.2f} |")
    first, *later = memory
    print(f"\nMemory of the leader: {first / 1024:.2f} KiB an idle connection the first time", end="")
    print(f", {statistics.median(later) / 1024:.2f} KiB later" if later else "")


if __name__ == "__main__":
    main()
