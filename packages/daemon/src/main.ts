// Entry of the daemon process. It tells its starter on standard output, in one JSON line, that it
// listens or why it does not, and then lets go of it.

import { errorToPlain } from "@devdev/errno";
import { dataPaths } from "@devdev/protocol";
import { giveBackCode, leave } from "@devdev/workspace";
import { Daemon } from "./daemon.js";

const foreground = process.argv.includes("--foreground");

function tell(message: unknown): void {
  if (foreground) return;
  // The starter may be gone already; that is no reason to stop.
  process.stdout.on("error", () => undefined);
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

try {
  // A daemon keeps no directory busy.
  process.chdir("/");
  giveBackCode();
  const daemon = await Daemon.start(dataPaths(), { foreground });
  tell({ listening: daemon.socket, pid: process.pid });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => void daemon.stop(`received ${signal}`));
  }
  await daemon.stopped;
  leave(0);
} catch (error) {
  const plain = errorToPlain(error);
  tell({ error: plain });
  process.stderr.write(`devdev daemon: ${plain.message}\n`);
  process.exit(1);
}
