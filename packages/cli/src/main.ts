// Entry of bin/devdev.

import { enableCompileCache } from "node:module";

enableCompileCache();
// Whoever read our output has gone (`devdev ls | head -1`): there is nobody left to tell. exec
// listens for itself.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE" && process.stdout.listenerCount("error") === 1) process.exit(1);
});
// No await at top level: the bundle is CommonJS.
async function main(): Promise<void> {
  const { run } = await import("./program.js");
  process.exitCode = await run(process.argv.slice(2));
}

void main();
