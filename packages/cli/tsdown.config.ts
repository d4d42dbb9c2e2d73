// One bundle for bin/devdev: a start then reads a handful of files instead of hundreds. Commands
// that are imported lazily become chunks of their own. It bundles what tsc has written, so build
// that first.
// main.ts must not await at top level: a chunk that imports something shared from main.js would
// then wait for main.js, which waits for the chunk.
import { defineConfig } from "tsdown";

export default defineConfig({
  entry: { main: "dist/main.js" },
  outDir: "dist/bundle",
  format: "esm",
  platform: "node",
  target: "node24",
  fixedExtension: false,
  clean: true,
  dts: false,
  sourcemap: false,
  deps: { alwaysBundle: [/./] },
  inputOptions: { resolve: { mainFields: ["module", "main"] } },
});
