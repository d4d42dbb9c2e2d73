// Many forks of one workspace in one process: what each takes, in time and in memory.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WorkspaceHost } from "@devdev/workspace";

export interface ForkFigures {
  files: number;
  forks: number;
  /** Of one fork, without the change in it: milliseconds. */
  medianMs: number;
  p99Ms: number;
  /** Resident: with the source alone, and with all forks. */
  sourceMiB: number;
  allMiB: number;
}

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function residentMiB(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage.rss() / 2 ** 20;
}

/** Forks a workspace of so many files, and changes one file in each fork. */
export async function manyForks(files: number, forks: number): Promise<ForkFigures> {
  const dataDir = mkdtempSync(join(tmpdir(), "devdev-forks-"));
  const host = await WorkspaceHost.open({ dataDir, runDir: dataDir, log: quiet });
  try {
    const source = await host.create({ name: "source" });
    for (let n = 0; n < files; n++) {
      if (n % 100 === 0) source.fs.mkdirSync(`/d${n / 100}`);
      source.fs.writeFileSync(pathOf(n), `content of file ${n}\n`.repeat(20));
    }
    await source.checkpoint();
    const sourceMiB = residentMiB();
    const times: number[] = [];
    for (let n = 0; n < forks; n++) {
      const started = performance.now();
      const fork = await host.fork(source.id, { name: `fork-${n}` });
      times.push(performance.now() - started);
      fork.fs.writeFileSync(pathOf((n * 37) % files), `changed in fork ${n}`);
    }
    await Promise.all(host.opened().map((each) => each.checkpoint()));
    await check(host, files);
    times.sort((a, b) => a - b);
    const at = (part: number): number => times[Math.floor((times.length - 1) * part)] ?? 0;
    const allMiB = residentMiB();
    return { files, forks, medianMs: at(0.5), p99Ms: at(0.99), sourceMiB, allMiB };
  } finally {
    await host.close();
    rmSync(dataDir, { recursive: true });
  }
}

function pathOf(n: number): string {
  return `/d${Math.floor(n / 100)}/f${n}`;
}

/** Each has its own change, and nobody else's. */
async function check(host: WorkspaceHost, files: number): Promise<void> {
  for (const each of host.opened()) {
    const n = each.name === "source" ? undefined : Number(each.name.slice("fork-".length));
    const path = pathOf(n === undefined ? 0 : (n * 37) % files);
    const text = each.fs.readFileSync(path, "utf8");
    const expected = n === undefined ? "content of file 0" : `changed in fork ${n}`;
    if (!text.startsWith(expected)) throw new Error(`${each.name}: ${path} has ${text}`);
  }
}
