// Entry of bin/devdev.

import { enableCompileCache } from "node:module";

enableCompileCache();
const { run } = await import("./program.js");
process.exitCode = await run(process.argv.slice(2));
