// agent.ts MOUNT FIXTURE RESTORES SEED: restores three states in any order while a child
// (test/fixtures/handles.py) holds files, mappings and directories open, reads and writes. Says on
// stdout what it did, or fails with what was wrong. A process of its own: it may be a user's.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { RemoteWorkspace } from "@devdev/client";
import { mix } from "../crash/model.ts";

const [mountPoint = "", fixture = "", restoresText, seedText] = process.argv.slice(2);
const [restores, seed] = [Number(restoresText), Number(seedText)];
const ANSWER_MS = 60_000;

let draws = 0;
const random = (below: number): number => mix(seed, draws++) % below;

class Holder {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    const stdio: ["pipe", "pipe", "inherit"] = ["pipe", "pipe", "inherit"];
    this.#child = spawn("python3", [fixture, mountPoint], { cwd: "/", stdio });
    this.#lines = createInterface(this.#child.stdout!)[Symbol.asyncIterator]();
  }

  async order(what: string, state?: number): Promise<void> {
    const order = { do: what, state, seed: random(1e9) };
    this.#child.stdin!.write(`${JSON.stringify(order)}\n`);
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), ANSWER_MS);
    const { value, done } = await this.#lines.next();
    clearTimeout(timer);
    if (done) throw new Error(`no answer to ${JSON.stringify(order)}`);
    const { wrong } = JSON.parse(value) as { wrong?: string[] };
    if (wrong) throw new Error(`${JSON.stringify(order)}: ${wrong.join("; ")}`);
  }

  async end(): Promise<void> {
    this.#child.stdin!.end();
    if (this.#child.exitCode === null) await once(this.#child, "close");
  }
}

const workspace = await RemoteWorkspace.open(mountPoint);
const holder = new Holder();
const times: number[] = [];
let done = 0;
try {
  for (const state of [0, 1, 2]) {
    await holder.order("make", state);
    await workspace.snapshot({ name: `state-${state}` });
  }
  await holder.order("begin");
  for (let live = 2; done < restores; done++) {
    await holder.order("open", live);
    live = random(3);
    const { durationMs } = await workspace.restore(`state-${live}`);
    times.push(durationMs);
    await holder.order("check", live);
  }
  await holder.order("close");
  times.sort((a, b) => a - b);
  const [median, slowest] = [times[times.length >> 1], times.at(-1)].map((ms) => ms?.toFixed(1));
  console.log(`ok: ${done} restores, seed ${seed}, median ${median} ms, slowest ${slowest} ms`);
} catch (error) {
  console.log(`seed ${seed}, after ${done} restores: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  await holder.end();
  await workspace.close();
}
