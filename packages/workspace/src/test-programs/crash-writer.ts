// Run by crash.test.ts: works on a workspace of a store and takes snapshots until it is killed, and
// prints the id and generation of each one that it was promised. Usage: crash-writer DATA_DIR
// FIRST_GENERATION

import { writeSync } from "node:fs";

import { Workspace } from "../workspace.js";

const [dataDir = "", first = "0"] = process.argv.slice(2);

/** A write to a pipe of less than 4 KiB is whole or not there. */
function say(...words: unknown[]): void {
  writeSync(1, `${words.join(" ")}\n`);
}

const ws =
  Number(first) === 0
    ? await Workspace.create({ dataDir, name: "w" })
    : await Workspace.open("w", { dataDir });
for (let generation = Number(first); ; generation++) {
  // Every file of a generation says which, so that a mixture of two is seen.
  for (let i = 0; i < 20; i++) {
    await ws.fs.writeFile(
      `/file-${i}`,
      `${generation} `.repeat(1 + ((generation * 7919 + i * 104_729) % 30_000)),
    );
  }
  await ws.fs.writeFile("/generation", `${generation}`);
  const { id, sequence } = await ws.snapshot({ name: `generation-${generation}` });
  say("snapshot", generation, sequence, id);
  if (generation % 3 === 2) {
    await ws.restore("-2");
    say("restored");
  }
}
