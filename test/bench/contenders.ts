// What is measured: directories on tmpfs, on the disk, and in a workspace, and others that the
// caller names. Each can be brought to rest, so that none pays for what another left to be written.

import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { base } from "../harness/base.ts";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { must, sleep } from "../harness/run.ts";

export interface Contender {
  name: string;
  directory: string;
  /** Waits until nothing is left to be written in the background. */
  settle(): Promise<void>;
}

const SETTLE_LIMIT_MS = 30_000;

export class Contenders implements AsyncDisposable {
  readonly all: Contender[];
  readonly devdev: Devdev;
  readonly #made: string[];

  private constructor(all: Contender[], devdev: Devdev, made: string[]) {
    this.all = all;
    this.devdev = devdev;
    this.#made = made;
  }

  static async create(also: Record<string, string>): Promise<Contenders> {
    const devdev = await Devdev.create(await identity(identityNames[0]!), "bench");
    const workspace = await devdev.mount();
    const tmpfs = mkdtempSync("/dev/shm/devdev-suite-");
    const disk = join(base(), "disk");
    mkdirSync(disk);
    const sync = async (directory: string): Promise<void> => {
      await must(["sync", "-f", directory], { timeoutMs: 120_000 });
    };
    const all: Contender[] = [
      { name: "tmpfs", directory: tmpfs, settle: async () => {} },
      { name: "disk", directory: disk, settle: () => sync(disk) },
      { name: "workspace", directory: workspace, settle: () => stored(devdev) },
    ];
    for (const [name, path] of Object.entries(also)) {
      const directory = mkdtempSync(join(path, "devdev-bench-"));
      all.push({ name, directory, settle: async () => {} });
    }
    return new Contenders(all, devdev, [tmpfs, ...all.slice(3).map((c) => c.directory)]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const directory of this.#made) {
      await must(["rm", "-rf", "--one-file-system", directory], { timeoutMs: 120_000 });
    }
    await this.devdev[Symbol.asyncDispose]();
  }
}

/** Until the store has taken everything. */
async function stored(devdev: Devdev): Promise<void> {
  const end = Date.now() + SETTLE_LIMIT_MS;
  while (Date.now() < end) {
    const args = ["status", "-w", devdev.mountPoint];
    const { usage } = await devdev.json<{ usage: { dirtyBytes: number } }>(args);
    if (usage.dirtyBytes === 0) return;
    await sleep(200);
  }
  console.error("bench: the store did not come to rest; measuring all the same");
}
