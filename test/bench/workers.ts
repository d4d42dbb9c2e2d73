// Who does the steps: root or an ordinary user, each with an environment and a HOME of its own on
// the disk, the same for every file system that is measured.

import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { base } from "../harness/base.ts";
import { type Identity, identity, identityNames, SYSTEM_PATH } from "../harness/identity.ts";
import { inDirectory, must, type RunResult } from "../harness/run.ts";
import type { Prepared } from "./prepare.ts";

export type Who = "root" | "user";

const TIMEOUT_MS = 600_000;

export class Worker {
  readonly identity: Identity;
  readonly #env: Record<string, string>;

  private constructor(who: Identity, env: Record<string, string>) {
    this.identity = who;
    this.#env = env;
  }

  static async create(who: Who, prepared: Prepared): Promise<Worker> {
    if (!identityNames.includes(who)) throw new Error(`bench: only root can measure as ${who}`);
    const found = await identity(who);
    const home = join(base(), `home-${who}`);
    mkdirSync(home);
    // The repository belongs to whoever has prepared it.
    writeFileSync(join(home, ".gitconfig"), "[safe]\n\tdirectory = *\n");
    cpSync(prepared.npmCache, join(home, ".npm"), { recursive: true });
    await must(["chown", "-R", `${found.uid}:${found.gid}`, home], { timeoutMs: TIMEOUT_MS });
    const places = [found.rustBin, SYSTEM_PATH, found.path].filter((place) => place !== undefined);
    const env = { HOME: home, PATH: places.join(":"), LANG: "C.UTF-8", TERM: "dumb" };
    return new Worker(found, env);
  }

  /** Runs a program in a directory as this one; it must succeed. */
  run(directory: string, argv: readonly string[]): Promise<RunResult> {
    const command = this.identity.wrap(inDirectory(directory, argv));
    return must(command, { env: this.#env, timeoutMs: TIMEOUT_MS });
  }

  sh(directory: string, script: string): Promise<RunResult> {
    return this.run(directory, ["sh", "-euc", script]);
  }

  /** Makes a directory that belongs to this one. */
  async own(directory: string): Promise<string> {
    const { uid, gid } = this.identity;
    await must(["sh", "-euc", `mkdir "$0" && chown ${uid}:${gid} "$0"`, directory]);
    return directory;
  }
}
