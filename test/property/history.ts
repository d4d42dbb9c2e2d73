// One history: a workspace, what is known of its states, and the steps that can be taken. The model
// is a directory on tmpfs on which the same operations run, and a copy of it for every state.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { RemoteWorkspace } from "@devdev/client";
import { DECK, type Step } from "./history-steps.ts";

const execute = promisify(execFile);

/** Both sides should be equal and are not. */
export class MismatchError extends Error {}

export interface HistoryOptions {
  /** Where the workspace is mounted; forks are beside it. */
  mountPoint: string;
  /** A directory on tmpfs that is ours. */
  tmpfs: string;
  fsops: string;
  random: (below: number) => number;
}

/** A snapshot and the directory that is a copy of what it must hold. */
interface State {
  ref: string;
  id: string;
  copy: string;
}

/** A workspace and its model. */
interface Line {
  workspace: RemoteWorkspace;
  mountPoint: string;
  model: string;
  /** Its state is one that is known, as nothing was done since. */
  at: State | undefined;
  known: State[];
}

/** Workspaces at once. */
const LINES = 4;
/** States that are remembered, and how many of them are restored at the end. */
const STATES = 40;
const LAST = 10;
const SHORTEST = 10;
const LONGEST = 300;
const LIMIT_MS = 60_000;

export class History implements AsyncDisposable {
  readonly #options: HistoryOptions;
  readonly #lines: Line[] = [];
  #copies = 0;
  #forks = 0;
  /** What was done, for who has to find out. */
  readonly told: string[] = [];
  readonly counts: Partial<Record<Step, number>> = {};

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  async begin(): Promise<void> {
    const workspace = await RemoteWorkspace.create({ name: "history" });
    const { mountPoint, tmpfs } = this.#options;
    await workspace.mount(mountPoint);
    const model = join(tmpfs, "model");
    await run("mkdir", ["-m", "755", model]);
    this.#lines.push({ workspace, mountPoint, model, at: undefined, known: [] });
  }

  async step(): Promise<void> {
    const step = this.#pick(DECK);
    const line = this.#pick(this.#lines);
    if (line.known.length === 0 && (step === "restore" || step === "look")) return;
    if (step === "fork" && this.#lines.length >= LINES) return;
    if (step === "drop" && this.#lines.length === 1) return;
    this.counts[step] = (this.counts[step] ?? 0) + 1;
    await this.#take(step, line);
    while (line.known.length > STATES) {
      const forgotten = line.known.splice(this.#options.random(STATES), 1)[0]!;
      await run("rm", ["-rf", forgotten.copy]);
    }
  }

  /** States are still what they were. */
  async finish(): Promise<void> {
    for (const line of this.#lines) {
      for (let i = 0; i < LAST && line.known.length > 0; i++) {
        await this.#restore(line, this.#pick(line.known));
      }
    }
  }

  async #take(step: Step, line: Line): Promise<void> {
    switch (step) {
      case "work":
        return this.#work(line);
      case "snapshot":
        return this.#snapshot(line);
      case "restore":
        return this.#restore(line, this.#pick(line.known));
      case "look":
        return this.#look(line, this.#pick(line.known));
      case "fork":
        return this.#fork(line);
      case "drop":
        return this.#drop(line);
      case "gc":
        this.#tell("gc");
        return run(process.env["DEVDEV_BIN"]!, ["gc"]);
      case "remount":
        this.#tell("unmount, mount");
        await line.workspace.unmount();
        await line.workspace.mount(line.mountPoint);
        return this.#same(line.model, line.mountPoint);
      case "restart":
        return this.#restart();
    }
  }

  async #work(line: Line): Promise<void> {
    const { random, fsops } = this.#options;
    const [seed, ops] = [random(1e9), SHORTEST + random(LONGEST - SHORTEST)];
    const args = ["advance", line.model, line.mountPoint, "--seed", `${seed}`, "--ops", `${ops}`];
    this.#tell(args.join(" "));
    line.at = undefined;
    await this.#compared(run(fsops, args));
  }

  async #snapshot(line: Line): Promise<void> {
    const { id, sequence } = await line.workspace.snapshot();
    this.#tell(`snapshot #${sequence} ${id.slice(0, 8)}`);
    if (line.at !== undefined && line.at.id !== id) {
      throw new MismatchError(`nothing was done since ${line.at.id}, and now it is ${id} (S21)`);
    }
    line.at = await this.#keep(line, `#${sequence}`, id);
  }

  async #restore(line: Line, state: State): Promise<void> {
    const { before } = await line.workspace.restore(state.ref);
    this.#tell(`restore ${state.ref} ${state.id.slice(0, 8)}, before #${before.sequence}`);
    await this.#keep(line, `#${before.sequence}`, before.id);
    await run("rm", ["-rf", line.model]);
    await run("cp", ["-a", state.copy, line.model]);
    line.at = state;
    await this.#same(line.model, line.mountPoint);
  }

  /** From the live state or a snapshot; from then on neither sees what the other does. */
  async #fork(line: Line): Promise<void> {
    const from = this.#options.random(2) === 0 ? undefined : line.known.at(-1);
    const name = `fork-${this.#forks++}`;
    this.#tell(`fork ${line.workspace.name} as ${name} from ${from?.ref ?? "the live state"}`);
    const workspace = await line.workspace.fork(name, from ? { from: from.ref } : {});
    const mountPoint = `${this.#options.mountPoint}-${name}`;
    await workspace.mount(mountPoint);
    const model = join(this.#options.tmpfs, `model-${name}`);
    await run("cp", ["-a", from?.copy ?? line.model, model]);
    this.#lines.push({ workspace, mountPoint, model, at: from ?? line.at, known: [] });
    await this.#same(model, mountPoint);
  }

  /** A workspace goes, whether it is a fork or was forked; the others keep what they share. */
  async #drop(line: Line): Promise<void> {
    const { workspace, model, known } = line;
    this.#tell(`rm ${workspace.name}`);
    this.#lines.splice(this.#lines.indexOf(line), 1);
    await workspace.unmount();
    await workspace.close();
    await run(process.env["DEVDEV_BIN"]!, ["rm", "--yes", workspace.name]);
    await run("rm", ["-rf", model, ...known.map(({ copy }) => copy)]);
  }

  /** Remembers the present state of the model as that of a snapshot. */
  async #keep(line: Line, ref: string, id: string): Promise<State> {
    const copy = join(this.#options.tmpfs, `copy-${this.#copies++}`);
    await run("cp", ["-a", line.model, copy]);
    // A copy that is not equal would be blamed on the workspace.
    await this.#same(line.model, copy);
    const state = { ref, id, copy };
    line.known.push(state);
    return state;
  }

  /** A snapshot below `.devdev/snapshots`. */
  #look(line: Line, { ref, copy }: State): Promise<void> {
    this.#tell(`look at ${ref}`);
    return this.#same(copy, join(line.mountPoint, ".devdev/snapshots", ref));
  }

  /** What is live comes back from the store. */
  async #restart(): Promise<void> {
    this.#tell("stop the daemon, mount");
    const names = this.#lines.map(({ workspace }) => workspace.name);
    for (const { workspace } of this.#lines) await workspace.close();
    await run(process.env["DEVDEV_BIN"]!, ["daemon", "stop"]);
    for (const [n, line] of this.#lines.entries()) {
      line.workspace = await RemoteWorkspace.open(names[n]!);
      await line.workspace.mount(line.mountPoint);
      await this.#same(line.model, line.mountPoint);
    }
  }

  #same(a: string, b: string): Promise<void> {
    return this.#compared(run(this.#options.fsops, ["same", a, b]));
  }

  async #compared(running: Promise<unknown>): Promise<void> {
    await running.catch((error: unknown) => {
      const { stdout = "", message } = error as { stdout?: string; message: string };
      throw new MismatchError(stdout.trim() || message);
    });
  }

  #pick<T>(all: readonly T[]): T {
    return all[this.#options.random(all.length)]!;
  }

  #tell(what: string): void {
    this.told.push(what);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#lines.map(({ workspace }) => workspace.close()));
  }
}

async function run(file: string, args: string[]): Promise<void> {
  await execute(file, args, { cwd: "/", timeout: LIMIT_MS, killSignal: "SIGKILL" });
}
