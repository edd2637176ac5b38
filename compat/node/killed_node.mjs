// Writes on, by the same client, while its node dies and comes back.

const BEFORE = 300;
const AFTER = 300;
const PATIENCE_MS = 60_000;

/** A pause behind a failed call. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

/** The number of the process that answers. */
async function processId(client) {
  return Number(/process_id:(\d+)/.exec(await client.info())[1]);
}

/**
 * `client` talks to the node that is killed, `other` to another one; both have set, append, get and info.
 * `isConnectionError` tells what a lost connection raises.
 */
export async function killedNode(name, client, other, isConnectionError) {
  const pid = await processId(client);
  const [sets, appends] = [[], []];
  let [failed, killedAt, backAt] = [0, null, null];
  const deadline = Date.now() + PATIENCE_MS;
  for (let n = 1; backAt === null || sets.length < BEFORE + AFTER; n++) {
    if (Date.now() > deadline) throw new Error(`${sets.length} writes, ${failed} failed`);
    if (killedAt === null && sets.length === BEFORE) {
      // Not between two commands: while one is on its way.
      setTimeout(() => process.kill(pid, "SIGKILL"), 2);
      killedAt = Date.now();
    }
    try {
      await client.set(`w:${n}`, `${n}`);
      sets.push(n);
      await client.append("log", `${n};`);
      appends.push(n);
      if (backAt === null && killedAt !== null && Date.now() > killedAt + 10) {
        // A library that holds its commands until it is connected again fails none of them.
        if (failed > 0 || (await processId(client)) !== pid) backAt = Date.now();
      }
    } catch (error) {
      if (!isConnectionError(error)) throw error;
      failed++;
      await pause();
    }
  }
  for (const n of sets) {
    if ((await other.get(`w:${n}`)) !== `${n}`) throw new Error(`acknowledged and lost: w:${n}`);
  }
  const log = (await other.get("log")).split(";").slice(0, -1);
  for (const n of appends) {
    if (!log.includes(`${n}`)) throw new Error(`acknowledged and lost: ${n} in the log`);
  }
  const twice = log.length - new Set(log).size;
  console.log(
    `${name}: ${sets.length + appends.length} writes acknowledged and all there; ${failed} calls failed, ` +
      `back after ${((backAt - killedAt) / 1000).toFixed(1)} s, ${twice} appended twice`,
  );
}
