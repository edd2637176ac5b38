#!/usr/bin/env python3
"""What a load generator costs: `bowline bench` beside redis-benchmark, both in front of the same redis-server.

Needs redis-server and redis-benchmark (Debian: redis-server, redis-tools) and `cargo build --release`. A generator that
takes more processor time than another measures itself sooner. Prints a table of medians in Markdown: processor time a
request, of the generator and of the server, which is what a busy machine changes least, and what both say was done a
second.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

import side_by_side

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Pipeline, requests.
CASES = [(1, 100_000), (16, 800_000)]


def cpu_of(pid):
    """Processor time of a process so far, in seconds."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(command, server, requests, throughput):
    """Microseconds a request of the generator and of the server, and the requests a second that it tells."""
    own, servers = cpu_of_children(), cpu_of(server.pid)
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    own, servers = cpu_of_children() - own, cpu_of(server.pid) - servers
    return own * 1e6 / requests, servers * 1e6 / requests, throughput(out)


def generators(binary, port, pipeline, requests, test):
    shared = ["-P", str(pipeline)]
    redis = ["redis-benchmark", "-p", str(port), "-t", test, "-n", str(requests), "-c", "50", "-d", "64", "-r", "100000"]
    reads = "100" if test == "get" else "0"
    ours = [binary, "bench", "--nodes", f"127.0.0.1:{port}", "--requests", str(requests), "--pipeline", str(pipeline)]
    ours += ["--reads", reads, "--warm-up", "0s", "--json"]
    yield "redis-benchmark", redis + shared + ["--csv"], lambda out: float(out.splitlines()[-1].split('","')[1])
    yield "bowline bench", ours, lambda out: json.loads(out)["answered_per_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is measured (default 5)")
    rounds = parser.parse_args().rounds
    binary = str(ROOT / "target" / "release" / "bowline")
    if not pathlib.Path(binary).exists():
        sys.exit("target/release/bowline is missing: cargo build --release")
    figures, processes = {}, []
    with tempfile.TemporaryDirectory() as directory:
        try:
            port = side_by_side.free_ports(1)[0]
            command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""]
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            side_by_side.wait_for("a start of redis-server", lambda: "PONG" in side_by_side.ask(port, "PING"))
            for _ in range(rounds):
                for pipeline, requests in CASES:
                    for test in ["set", "get"]:
                        for name, command, throughput in generators(binary, port, pipeline, requests, test):
                            figure = measure(command, processes[0], requests, throughput)
                            figures.setdefault((pipeline, test, name), []).append(figure)
        finally:
            side_by_side.stop(processes)
    print("| pipeline | requests | generator | its processor time a request | the server's | requests a second |")
    print("|---|---|---|---|---|---|")
    for (pipeline, test, name), rounds in figures.items():
        own, server, rate = (statistics.median(column) for column in zip(*rounds))
        print(f"| {pipeline} | {test.upper()} | {name} | {own:.2f} us | {server:.2f} us | {rate:,.0f} |")


if __name__ == "__main__":
    main()
