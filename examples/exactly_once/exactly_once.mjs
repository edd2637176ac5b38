// Counts to N on a cluster whose nodes may die, each step once: ONCE with ioredis, with retries by hand.
//
// usage: node exactly_once.mjs N HOST:PORT ...

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import Redis from 'ioredis';

// How long a node may take: it holds a command for 5 s while nobody leads, and then says so.
const REPLY_MS = 7000;

// One session: one call at a time, and each number for one call.
class Session {
  static async open(nodes) {
    const session = new Session();
    session.nodes = nodes.map((node) => {
      const [, host, port] = node.match(/^(.*):(\d+)$/);
      // What the library would send again by itself goes to the same node. Here the next one is asked.
      const redis = new Redis({ host, port, maxRetriesPerRequest: 0, commandTimeout: REPLY_MS, connectTimeout: 1000 });
      // A node that is down is connected to again and again in the background.
      redis.on('error', () => {});
      return redis;
    });
    session.number = 0;
    // A lost answer leaves a session behind that nobody uses. It ends by itself.
    session.id = await session.ask('ONCE', 'OPEN');
    return session;
  }

  // The command's reply. It has happened once, however often it was sent.
  call(...command) {
    this.number += 1;
    return this.ask('ONCE', this.id, this.number, ...command);
  }

  async ask(...words) {
    for (;;) {
      for (const node of [...this.nodes]) {
        try {
          return await node.call(...words);
        } catch (error) {
          // Not executed, or nobody knows: in both cases the same number is sent again. NOSESSION is another matter:
          // the session has ended, and nobody can say any more whether an earlier sending has happened.
          if (error.name === 'ReplyError' && !/^(CLUSTERDOWN|UNCERTAIN)/.test(error.message)) throw error;
          console.log(`${words}: ${error.message}; the next node is asked`);
        }
        // The one that answers comes first from then on.
        this.nodes.push(this.nodes.shift());
      }
      await sleep(100);
    }
  }

  end() {
    this.nodes.forEach((node) => node.disconnect());
  }
}

const [count, nodes] = [Number(process.argv[2]), process.argv.slice(3)];
const session = await Session.open(nodes);
const counter = `counter:node:${session.id}`;
for (let expected = 1; expected <= count; expected += 1) {
  assert.equal(await session.call('INCR', counter), expected);
  await sleep(2);
}
assert.equal(Number(await session.ask('GET', counter)), count);
await session.ask('ONCE', 'CLOSE', session.id);
session.end();
console.log(`${count} increments, each of them once`);
