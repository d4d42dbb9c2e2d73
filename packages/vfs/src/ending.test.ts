// A process whose thread pool waits for something that does not come ends all the same.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect, it } from "vitest";

const LIMIT_MS = 60_000;

it("ends though a thread of its pool does not return", { timeout: LIMIT_MS }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "devdev-ending-"));
  const fifo = join(directory, "fifo");
  await promisify(execFile)("mkfifo", [fifo]);
  // Opening a FIFO waits for somebody at its other end.
  const script = `
    import { open } from "node:fs";
    import { leave } from ${JSON.stringify(new URL("../dist/index.js", import.meta.url).href)};
    open(${JSON.stringify(fifo)}, "r", () => undefined);
    setTimeout(() => leave(7), 100);
  `;
  const ended = promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    timeout: LIMIT_MS / 2,
  });
  await expect(ended).rejects.toMatchObject({ code: 7 });
  rmSync(directory, { recursive: true });
});
