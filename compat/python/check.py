"""redis-py, of whatever version is found, at its defaults. Arguments: the addresses of a cluster's nodes, HOST:PORT each.

The program talks to the first node, kills its process half-way, and waits for nothing but what the library does by
itself. What was acknowledged must be there in the end.
"""

import os
import signal
import sys
import threading
import time

import redis

BEFORE = AFTER = 300
PATIENCE_S = 60


def connect(addr):
    host, port = addr.split(":")
    return redis.Redis(host=host, port=int(port))


def simple_commands(r):
    assert r.ping() is True
    assert r.set("plain", b"\x00\xff\r\n") is True
    assert r.get("plain") == b"\x00\xff\r\n"
    assert r.get("missing") is None
    assert r.set("plain", "x", nx=True) is None
    assert r.set("lock", "mine", nx=True, px=100_000) is True
    assert 90_000 < r.pttl("lock") <= 100_000
    assert [r.incr("number"), r.incrby("number", 41)] == [1, 42]
    assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "missing") == [b"1", b"2", None]
    assert r.info()["loading"] == 0
    try:
        r.incr("plain")
        raise AssertionError("INCR of what is no number")
    except redis.ResponseError as error:
        assert "not an integer" in str(error), error


def pipelines(r):
    pipe = r.pipeline(transaction=False)
    for n in range(1000):
        pipe.set(f"p:{n}", n)
        pipe.get(f"p:{n}")
    replies = pipe.execute()
    assert replies == [x for n in range(1000) for x in (True, str(n).encode())]


def transactions(r, addr):
    pipe = r.pipeline()
    replies = pipe.set("t", 1).incr("t").get("t").execute()
    assert replies == [True, 2, b"2"], replies
    # A command that fails does not take back the others.
    replies = r.pipeline().set("word", "x").incr("word").incr("t").execute(raise_on_error=False)
    assert isinstance(replies[1], redis.ResponseError) and replies[2] == 3, replies

    with r.pipeline() as pipe:
        pipe.watch("t")
        r.set("t", "changed")
        pipe.multi()
        pipe.set("t", "lost")
        try:
            pipe.execute()
            raise AssertionError("EXEC after the watched key has changed")
        except redis.WatchError:
            pass
    assert r.get("t") == b"changed"

    def count(own):
        def step(pipe):
            value = int(pipe.get("counter") or 0)
            pipe.multi()
            pipe.set("counter", value + 1)

        for _ in range(25):
            own.transaction(step, "counter")

    threads = [threading.Thread(target=count, args=(connect(addr),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert r.get("counter") == b"75", r.get("counter")


def killed_node(r, other):
    """Writes on, by the same client, while its node dies and comes back."""
    pid = r.info()["process_id"]
    sets, appends, failed, killed_at, back_at = [], [], 0, None, None
    deadline = time.monotonic() + PATIENCE_S
    n = 0
    while back_at is None or len(sets) < BEFORE + AFTER:
        assert time.monotonic() < deadline, f"{len(sets)} writes, {failed} failed"
        n += 1
        if killed_at is None and len(sets) == BEFORE:
            # Not between two commands: while one is on its way.
            threading.Timer(0.002, os.kill, (pid, signal.SIGKILL)).start()
            killed_at = time.monotonic()
        try:
            r.set(f"w:{n}", n)
            sets.append(n)
            r.append("log", f"{n};")
            appends.append(n)
            if failed and back_at is None:
                back_at = time.monotonic()
            if killed_at and not failed and time.monotonic() > killed_at + 1 and r.info()["process_id"] != pid:
                # It came back before the library gave up waiting: nobody has noticed.
                back_at = time.monotonic()
        except (redis.ConnectionError, redis.TimeoutError):
            failed += 1
            time.sleep(0.05)
    values = other.mget(*(f"w:{n}" for n in sets))
    missing = [n for n, value in zip(sets, values) if value != str(n).encode()]
    assert not missing, f"acknowledged and lost: {missing}"
    log = other.get("log").decode().split(";")[:-1]
    lost = [n for n in appends if str(n) not in log]
    assert not lost, f"acknowledged and lost: {lost}"
    twice = len(log) - len(set(log))
    print(
        f"redis-py {redis.__version__}: {len(sets) + len(appends)} writes acknowledged and all there; "
        f"{failed} calls failed, back after {back_at - killed_at:.1f} s, {twice} appended twice"
    )


def main():
    addrs = sys.argv[1:]
    r = connect(addrs[0])
    simple_commands(r)
    pipelines(r)
    transactions(r, addrs[0])
    killed_node(r, connect(addrs[1]))


main()
