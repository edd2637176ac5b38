// ioredis at its defaults. Arguments: the addresses of a cluster's nodes, HOST:PORT each.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { Redis } from "ioredis";
import { killedNode } from "./killed_node.mjs";

const { version } = createRequire(import.meta.url)("ioredis/package.json");

function connect(addr) {
  const [host, port] = addr.split(":");
  const client = new Redis(Number(port), host);
  // Without somebody who listens it prints each of them.
  client.on("error", () => {});
  return client;
}

async function simpleCommands(r) {
  assert.equal(await r.ping(), "PONG");
  const bytes = Buffer.from([0, 255, 13, 10]);
  assert.equal(await r.set("plain", bytes), "OK");
  assert.deepEqual(await r.getBuffer("plain"), bytes);
  assert.equal(await r.get("missing"), null);
  assert.equal(await r.set("plain", "x", "NX"), null);
  assert.equal(await r.set("lock", "mine", "PX", 100_000, "NX"), "OK");
  assert.ok((await r.pttl("lock")) > 90_000);
  assert.deepEqual([await r.incr("number"), await r.incrby("number", 41)], [1, 42]);
  await r.mset({ a: 1, b: 2 });
  assert.deepEqual(await r.mget("a", "b", "missing"), ["1", "2", null]);
  await assert.rejects(r.incr("plain"), /not an integer/);
}

async function pipelines(r) {
  const pipeline = r.pipeline();
  for (let n = 0; n < 1000; n++) pipeline.set(`p:${n}`, n).get(`p:${n}`);
  const replies = await pipeline.exec();
  assert.equal(replies.length, 2000);
  for (let n = 0; n < 1000; n++) assert.deepEqual(replies[2 * n + 1], [null, `${n}`]);
}

async function transactions(r) {
  assert.deepEqual(await r.multi().set("t", 1).incr("t").get("t").exec(), [[null, "OK"], [null, 2], [null, "2"]]);
  // A command that fails does not take back the others.
  const [, failed, counted] = await r.multi().set("word", "x").incr("word").incr("t").exec();
  assert.match(failed[0].message, /not an integer/);
  assert.deepEqual(counted, [null, 3]);

  const watcher = r.duplicate();
  await watcher.watch("t");
  await r.set("t", "changed");
  assert.equal(await watcher.multi().set("t", "lost").exec(), null);
  assert.equal(await r.get("t"), "changed");
  watcher.disconnect();

  const count = async () => {
    const own = r.duplicate();
    for (let done = 0; done < 25; ) {
      await own.watch("counter");
      const value = Number((await own.get("counter")) ?? 0);
      if (await own.multi().set("counter", value + 1).exec()) done++;
    }
    own.disconnect();
  };
  await Promise.all([count(), count(), count()]);
  assert.equal(await r.get("counter"), "75");
}

const [first, second] = process.argv.slice(2);
const [r, other] = [connect(first), connect(second)];
await simpleCommands(r);
await pipelines(r);
await transactions(r);
const isConnectionError = (error) => error.name === "MaxRetriesPerRequestError" || /closed|ECONN/.test(error.message);
await killedNode(`ioredis ${version}`, r, other, isConnectionError);
r.disconnect();
other.disconnect();
