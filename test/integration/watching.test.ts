// S140, S144: programs that watch files of a mounted workspace are told of restores, undos and
// redos: development servers reload, and a copy that is kept from events alone stays true.

import { join } from "node:path";
import { expect, test } from "vitest";
import { CHECKOUT } from "../harness/base.ts";
import { Devdev } from "../harness/devdev.ts";
import { describe, run, type RunResult } from "../harness/run.ts";
import { forEachIdentity, lacks } from "../harness/suite.ts";

const seed = Number(process.env["DEVDEV_SEED"] ?? 1);

/** A program of test/fixtures, as the identity. */
function fixture(devdev: Devdev, name: string, ...args: string[]): Promise<RunResult> {
  const { checkout } = devdev.identity;
  const program = ["python3", join(checkout, "test/fixtures", name), devdev.mountPoint, ...args];
  const env = { ...devdev.env, DEVDEV_BIN: join(checkout, "bin/devdev") };
  return run(devdev.identity.wrap(program), { env, timeoutMs: 220_000 });
}

/** Snapshots "one" and "two": a file says which it is. `replace`: another file each time. */
async function oneAndTwo(
  devdev: Devdev,
  file: (value: string) => string,
  replace: boolean,
): Promise<void> {
  const at = replace ? "app/src/value.new" : "app/src/value.mjs";
  for (const value of ["one", "two"]) {
    const script = `mkdir -p app/src && printf '%s' '${file(value)}' > ${at}
      ${replace ? `mv ${at} app/src/value.mjs` : ""}`;
    await devdev.sh(script);
    await devdev.ok(["snapshot", "-w", devdev.mountPoint, "--name", value]);
  }
}

/** What comes of a program that is to say "got one" and "got two" as these are restored in turn. */
async function reloads(devdev: Devdev, command: string[]): Promise<string> {
  const result = await fixture(devdev, "reloads.py", "one,two", ...command);
  return result.code === 0 ? "ok" : describe(result);
}

forEachIdentity("programs that watch files", (who) => {
  test.skipIf(lacks("python3"))("S144 a copy kept from events is what is there", async () => {
    await using devdev = await Devdev.create(await who(), "mirror");
    await devdev.mount();
    const result = await fixture(devdev, "watcher.py", `${seed}`, "12");
    if (result.code !== 0) expect.fail(describe(result));
    expect(result.stdout).toMatch(/^ok: 12 rounds/);
  });

  // (With 20000 it gives the figures of docs/PERFORMANCE.md.)
  test.skipIf(lacks("python3"))("S143 S144 many files under a recursive watch", async () => {
    await using devdev = await Devdev.create(await who(), "many-watched");
    await devdev.mount();
    const files = process.env["DEVDEV_WATCHED_FILES"] ?? "2000";
    const result = await fixture(devdev, "many_watched.py", files);
    if (result.code !== 0) expect.fail(describe(result));
    expect(result.stdout).toMatch(/^ok: /m);
  });

  test.skipIf(lacks("python3"))("S140 node --watch restarts a server", async () => {
    await using devdev = await Devdev.create(await who(), "watch");
    await devdev.mount();
    const server = `import value from "./src/value.mjs";
      import { createServer } from "node:http";
      createServer().listen(0, "127.0.0.1", () => console.log("got " + value));`;
    await devdev.sh("mkdir -p app && cat > app/server.mjs", { input: server });
    // It watches the file itself, and does not find one that takes its place.
    await oneAndTwo(devdev, (value) => `export default "${value}";`, false);
    const node = process.execPath.replace(CHECKOUT, devdev.identity.checkout);
    expect(await reloads(devdev, [node, "--watch", "app/server.mjs"])).toBe("ok");
  });

  test.skipIf(lacks("python3", "npm"))(
    "S140 chokidar, by which vite and others watch",
    async () => {
      await using devdev = await Devdev.create(await who(), "chokidar");
      await devdev.mount();
      const install = "npm install --no-audit --no-fund --loglevel=error chokidar@4.0.3";
      await devdev.sh(
        `mkdir -p app && cd app && echo '{"private":true}' > package.json && ${install}`,
        {
          timeoutMs: 220_000,
        },
      );
      const watcher = `import { readFileSync } from "node:fs";
      import { watch } from "chokidar";
      const say = () => { try { console.log(readFileSync("app/src/value.mjs", "utf8")) } catch {} };
      watch("app/src").on("all", say);`;
      await devdev.sh("cat > app/watch.mjs", { input: watcher });
      await oneAndTwo(devdev, (value) => `got ${value}`, true);
      const node = process.execPath.replace(CHECKOUT, devdev.identity.checkout);
      expect(await reloads(devdev, [node, "app/watch.mjs"])).toBe("ok");
    },
  );
});
