"""Counts to N on a cluster whose nodes may die, each step once: ONCE with redis-py, with retries by hand.

usage: python exactly_once.py N HOST:PORT ...
"""

import sys
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# How long a node may take: it holds a command for 5 s while nobody leads, and then says so.
REPLY_SECONDS = 7


class Session:
    """One session: one call at a time, and each number for one call."""

    def __init__(self, nodes):
        # What the library would send again by itself goes to the same node. Here the next one is asked.
        never = Retry(NoBackoff(), 0)
        self.nodes = [
            redis.Redis(host=host, port=int(port), retry=never, socket_timeout=REPLY_SECONDS, socket_connect_timeout=1)
            for host, port in (node.rsplit(":", 1) for node in nodes)
        ]
        self.number = 0
        # A lost answer leaves a session behind that nobody uses. It ends by itself.
        self.id = self.ask("ONCE", "OPEN")

    def call(self, *command):
        """The command's reply. It has happened once, however often it was sent."""
        self.number += 1
        return self.ask("ONCE", self.id, self.number, *command)

    def ask(self, *words):
        while True:
            for node in self.nodes[:]:
                try:
                    return node.execute_command(*words)
                except (redis.ConnectionError, redis.TimeoutError) as lost:
                    print(f"{words}: {lost}; the next node is asked")
                except redis.ResponseError as error:
                    # Not executed, or nobody knows: in both cases the same number is sent again. NOSESSION is another
                    # matter: the session has ended, and nobody can say any more whether an earlier sending has happened.
                    if not str(error).startswith(("CLUSTERDOWN", "UNCERTAIN")):
                        raise
                    print(f"{words}: {error}")
                # The one that answers comes first from then on.
                self.nodes.append(self.nodes.pop(0))
            time.sleep(0.1)


def main():
    count, nodes = int(sys.argv[1]), sys.argv[2:]
    session = Session(nodes)
    counter = f"counter:python:{session.id}"
    for expected in range(1, count + 1):
        assert session.call("INCR", counter) == expected
        time.sleep(0.002)
    assert int(session.ask("GET", counter)) == count
    session.ask("ONCE", "CLOSE", session.id)
    print(f"{count} increments, each of them once")


main()
