// What scripts do at Ctrl-C that have daemons and mounts: they end at once, and a process of its
// own takes away what they leave, so that nothing of theirs goes on meanwhile.

import { spawn } from "node:child_process";
import { join } from "node:path";

const SIGNALS = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const;

export function sweepWhenInterrupted(): void {
  for (const [signal, code] of SIGNALS) {
    process.once(signal, () => {
      const sweeper = [join(import.meta.dirname, "sweeper.ts"), String(process.pid)];
      spawn(process.execPath, sweeper, { detached: true, stdio: ["ignore", "inherit", "inherit"] });
      process.exit(code);
    });
  }
}
