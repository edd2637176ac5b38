// node-redis at its defaults. Arguments: the addresses of a cluster's nodes, HOST:PORT each.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { createClient, RESP_TYPES, WatchError } from "redis";
import { killedNode } from "./killed_node.mjs";

const { version } = createRequire(import.meta.url)("redis/package.json");

async function connect(addr) {
  const client = createClient({ url: `redis://${addr}` });
  // Without somebody who listens an error ends the process.
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function simpleCommands(r) {
  assert.equal(await r.ping(), "PONG");
  const bytes = Buffer.from([0, 255, 13, 10]);
  assert.equal(await r.set("plain", bytes), "OK");
  assert.deepEqual(await r.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get("plain"), bytes);
  assert.equal(await r.get("missing"), null);
  assert.equal(await r.set("plain", "x", { condition: "NX" }), null);
  assert.equal(await r.set("lock", "mine", { condition: "NX", expiration: { type: "PX", value: 100_000 } }), "OK");
  assert.ok((await r.pTTL("lock")) > 90_000);
  assert.deepEqual([await r.incr("number"), await r.incrBy("number", 41)], [1, 42]);
  await r.mSet({ a: "1", b: "2" });
  assert.deepEqual(await r.mGet(["a", "b", "missing"]), ["1", "2", null]);
  await assert.rejects(r.incr("plain"), /not an integer/);
}

/** Commands of one turn go out in one piece. */
async function pipelines(r) {
  const replies = [];
  for (let n = 0; n < 1000; n++) replies.push(r.set(`p:${n}`, `${n}`), r.get(`p:${n}`));
  const values = await Promise.all(replies);
  for (let n = 0; n < 1000; n++) assert.equal(values[2 * n + 1], `${n}`);
}

async function transactions(r) {
  assert.deepEqual(await r.multi().set("t", "1").incr("t").get("t").exec(), ["OK", 2, "2"]);
  // A command that fails does not take back the others.
  await assert.rejects(r.multi().set("word", "x").incr("word").incr("t").exec());
  assert.equal(await r.get("t"), "3");

  const watcher = await r.duplicate().connect();
  await watcher.watch("t");
  await r.set("t", "changed");
  await assert.rejects(watcher.multi().set("t", "lost").exec(), WatchError);
  assert.equal(await r.get("t"), "changed");
  watcher.destroy();

  const count = async () => {
    const own = await r.duplicate().connect();
    for (let done = 0; done < 25; ) {
      await own.watch("counter");
      const value = Number((await own.get("counter")) ?? 0);
      try {
        await own.multi().set("counter", `${value + 1}`).exec();
        done++;
      } catch (error) {
        if (!(error instanceof WatchError)) throw error;
      }
    }
    own.destroy();
  };
  await Promise.all([count(), count(), count()]);
  assert.equal(await r.get("counter"), "75");
}

const [first, second] = process.argv.slice(2);
const [r, other] = [await connect(first), await connect(second)];
await simpleCommands(r);
await pipelines(r);
await transactions(r);
const isConnectionError = (error) => /[Ss]ocket|closed|ECONN/.test(`${error.name} ${error.message}`);
await killedNode(`node-redis ${version}`, r, other, isConnectionError);
r.destroy();
other.destroy();
