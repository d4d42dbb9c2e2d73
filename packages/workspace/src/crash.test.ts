// kill -9 in every phase of keeping a state: what was promised is there afterwards, whole, and the
// store passes its check.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { silentLog } from "@devdev/testing";
import { Workspace, WorkspaceHost } from "@devdev/workspace";
import { expect, it } from "vitest";

const PROGRAM = fileURLToPath(new URL("../dist/test-programs/crash-writer.js", import.meta.url));
const LIMIT_MS = 20_000;

interface Promised {
  generation: number;
  sequence: number;
  id: string;
}

/** Runs the writer until it ends by itself or, without a fault, for that long. */
async function work(dataDir: string, first: number, fault: string | number): Promise<Promised[]> {
  const env = typeof fault === "string" ? { DEVDEV_FAULT: fault } : {};
  const child = spawn(process.execPath, [PROGRAM, dataDir, `${first}`], {
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = () => child.kill("SIGKILL");
  const limit = setTimeout(kill, typeof fault === "number" ? fault : LIMIT_MS);
  let printed = "";
  for await (const chunk of child.stdout) printed += String(chunk);
  clearTimeout(limit);
  expect(child.exitCode, "the writer fails of itself").toBeNull();
  return [...printed.matchAll(/^snapshot (\d+) (\d+) ([0-9a-f]{64})$/gm)].map((match) => ({
    generation: Number(match[1]),
    sequence: Number(match[2]),
    id: match[3]!,
  }));
}

/** The generation that the whole live tree is of; throws when it is a mixture. */
async function generationOf(ws: Workspace): Promise<number> {
  const generation = Number(await ws.fs.readFile("/generation", "utf8"));
  for (let i = 0; i < 20; i++) {
    const length = 1 + ((generation * 7919 + i * 104_729) % 30_000);
    const content = await ws.fs.readFile(`/file-${i}`, "utf8");
    expect(content === `${generation} `.repeat(length), `file ${i} of ${generation}`).toBe(true);
  }
  return generation;
}

const hostOptions = (dataDir: string) => ({
  dataDir,
  runDir: dataDir,
  log: silentLog,
});

it("keeps every promise through twenty kills", { timeout: 400_000 }, async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "devdev-test-"));
  const promised: Promised[] = [];
  const phases = ["flush", "freeze", "persist", "commit", "restore"];
  try {
    for (let round = 0; round < 20; round++) {
      const phase = phases[round % 5]!;
      const fault = round % 4 === 3 ? 200 + round * 40 : `kill:${phase}:${1 + ((round * 5) % 9)}`;
      const next = Math.max(0, ...promised.map(({ generation }) => generation + 1));
      // A name that a killed run may have used, promised or not, is not used again.
      promised.push(...(await work(dataDir, round === 0 ? 0 : next + round, fault)));
      const host = await WorkspaceHost.open(hostOptions(dataDir));
      expect(await host.check(), `after ${fault}`).toEqual([]);
      await host.close();
      await using ws = await Workspace.open("w", { dataDir });
      const there = new Map((await ws.snapshots()).map((each) => [each.sequence, each]));
      for (const { sequence, id, generation } of promised) {
        expect(there.get(sequence), `${generation} after ${fault}`).toMatchObject({ id });
      }
      const last = promised.at(-1);
      if (!last) continue;
      await ws.restore(`#${last.sequence}`);
      expect(await generationOf(ws)).toBe(last.generation);
    }
    expect(promised.length).toBeGreaterThan(20);
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
