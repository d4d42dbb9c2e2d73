// Memory that a virtual machine touches for the first time is several times slower, which makes
// whatever is measured first look bad: more than a round needs is written before the first one. The
// kernel hands out first what was freed last.

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { base } from "../harness/base.ts";
import { isRoot } from "../harness/identity.ts";
import { must } from "../harness/run.ts";

/** Of the free memory. */
const PART = 0.8;
const MOST_MIB = 8192;

export async function warmMemory(): Promise<void> {
  if (!isRoot()) {
    console.error("bench: only root can warm the memory up: the first round may be slow");
    return;
  }
  const free = /^MemFree:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "utf8"))![1];
  const mib = Math.min(MOST_MIB, Math.floor((Number(free) * PART) / 1024));
  const at = join(base(), "warm-up");
  mkdirSync(at, { recursive: true });
  await must(["mount", "-t", "tmpfs", "-o", "size=100%", "tmpfs", at]);
  try {
    const fill = ["sh", "-c", `head -c ${mib}M /dev/zero >"$0"`, join(at, "zeros")];
    const { durationMs } = await must(fill, { timeoutMs: 300_000 });
    console.error(`bench: wrote ${mib} MiB of memory in ${(durationMs / 1000).toFixed(1)} s`);
  } finally {
    await must(["umount", at]);
  }
}
