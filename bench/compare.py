#!/usr/bin/env python3
"""Two builds of Bowline in one run on one machine: is the newer one slower?

Needs redis-benchmark (Debian: redis-tools) and the two binaries: compare.py OLD NEW. Starts a cluster of three nodes of
each on 127.0.0.1 with their data in --dir, and measures them in turn in the cases of side_by_side.py. A cluster is
faster or slower than another one of the same build by some per cent, as long as it runs; so each pair of clusters is
ended and a new one started, --pairs times, and what counts is how the pairs differ. Prints a table in Markdown. Everything
that it starts it ends.
"""

import argparse
import math
import pathlib
import shutil
import statistics
import sys

from side_by_side import CASES, ROOT, measure, start_bowline, stop

BUILDS = ("old", "new")


def measure_pair(binaries, directory, rounds, turn):
    """Requests a second, by case, test and node, and by build: a list with one figure for each round."""
    shutil.rmtree(directory, ignore_errors=True)
    processes, found = [], {}
    try:
        nodes = {}
        for build in order(turn):
            (directory / build).mkdir(parents=True)
            nodes[build] = start_bowline(directory / build, binaries[build], processes)
        for round_ in range(rounds):
            for name, clients, pipeline, tests, requests in CASES:
                for at, where in enumerate(("leader", "follower")):
                    for build in order(turn + round_):
                        figures = measure(nodes[build][at], clients, pipeline, tests, requests)
                        for test, (rate, _) in figures.items():
                            found.setdefault((name, test, where), {}).setdefault(build, []).append(rate)
    finally:
        stop(processes)
    return found


def order(turn):
    """Which build comes first: each as often as the other."""
    return BUILDS if turn % 2 == 0 else BUILDS[::-1]


def report(pairs):
    print("| case | node | old | new | new / old |")
    print("|---|---|---|---|---|")
    for case in pairs[0]:
        name, test, where = case
        rates = {b: statistics.median(rate for pair in pairs for rate in pair[case][b]) for b in BUILDS}
        means = [{b: statistics.geometric_mean(pair[case][b]) for b in BUILDS} for pair in pairs]
        ratios = [math.log(mean["new"] / mean["old"]) for mean in means]
        error = statistics.stdev(ratios) / math.sqrt(len(ratios))
        ratio = f"{math.exp(statistics.fmean(ratios)):.3f} ± {error:.3f}"
        print(f"| {name}, {test} | {where} | {rates['old']:,.0f}/s | {rates['new']:,.0f}/s | {ratio} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=pathlib.Path, help="the binary to be compared with")
    parser.add_argument("new", type=pathlib.Path, help="the binary in question")
    parser.add_argument("--dir", type=pathlib.Path, default=ROOT / "target/bench", help="on the disk that is meant")
    parser.add_argument("--pairs", type=int, default=12, help="two at least")
    parser.add_argument("--rounds", type=int, default=2, help="how often a pair is measured")
    args = parser.parse_args()
    if not shutil.which("redis-benchmark"):
        sys.exit("redis-benchmark is needed: apt-get install redis-tools")
    if args.pairs < 2 or args.rounds < 1:
        sys.exit("two pairs and one round are the least: one pair says nothing about how pairs differ")
    binaries = {build: getattr(args, build).resolve() for build in BUILDS}
    for binary in binaries.values():
        if not binary.is_file():
            sys.exit(f"there is no {binary}")
    pairs = []
    for turn in range(args.pairs):
        pairs.append(measure_pair(binaries, args.dir, args.rounds, turn))
        print(f"pair {turn + 1} of {args.pairs}", file=sys.stderr)
    report(pairs)


if __name__ == "__main__":
    main()
