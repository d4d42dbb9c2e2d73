// Streams that are cut short (SEMANTICS S44, R132): Ctrl-C while an archive comes slowly, a client
// that is killed in the middle of it, and exports to readers that go away. Nothing is left of the
// one, nobody waits for the other.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { until } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";

const KINDS = [
  ["tar", ["--tar"]],
  ["ddws", []],
] as const;

interface Cut {
  code: number | null;
  stderr: string;
}

forEachIdentity("streams that are cut short", (who) => {
  let devdev: Devdev;
  const archives = new Map<string, Buffer>();
  const whole = (kind: string): string => join(devdev.directory, `whole.${kind}`);
  const bin = (): string => join(devdev.identity.checkout, "bin/devdev");
  const names = async (): Promise<string[]> =>
    (await devdev.json<{ name: string }[]>(["ls"])).map(({ name }) => name);

  beforeAll(async () => {
    devdev = await Devdev.create(await who(), "cut");
    await devdev.mount("--name", "w");
    await devdev.sh("head -c 8M /dev/urandom > large; mkdir d; seq 1 9000 > d/numbers");
    // What is a snapshot is exported as the same bytes each time.
    await devdev.ok(["snapshot", "-w", "w"]);
    for (const [kind, flags] of KINDS) {
      await devdev.ok(["export", "-w", "w", ...flags, whole(kind)]);
      archives.set(kind, readFileSync(whole(kind)));
    }
  });
  afterAll(() => devdev[Symbol.asyncDispose]());

  /** Sends the first half of that archive, and the signal when it has been read. */
  async function cut(kind: string, signal: NodeJS.Signals): Promise<Cut> {
    const archive = archives.get(kind)!;
    const flags = KINDS.find(([name]) => name === kind)![1];
    const args = ["import", ...flags, "-", "--name", "cut"];
    const [file, ...rest] = devdev.identity.wrap([bin(), ...args]) as [string, ...string[]];
    const options = { cwd: devdev.directory, env: devdev.env, detached: true };
    const child = spawn(file, rest, { ...options, stdio: ["pipe", "ignore", "pipe"] });
    const err: Buffer[] = [];
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    // What it has not read when it ends.
    child.stdin.on("error", () => {});
    const closed = once(child, "close") as Promise<[number | null]>;
    const limit = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), 60_000);
    try {
      // A pipe and a connection hold less than a mebibyte: so much is with the daemon.
      const written = new Promise((resolve) =>
        child.stdin.write(archive.subarray(0, archive.length >> 1), resolve),
      );
      await Promise.race([written, closed]);
      expect(child.exitCode).toBeNull();
      process.kill(-child.pid!, signal);
      const [code] = await closed;
      return { code, stderr: Buffer.concat(err).toString() };
    } finally {
      clearTimeout(limit);
      child.stdin.destroy();
    }
  }

  test.each(KINDS)("Ctrl-C while an archive comes leaves nothing (%s)", async (kind) => {
    const result = await cut(kind, "SIGINT");
    expect(result).toEqual({ code: 130, stderr: "" });
    // The daemon hears of it when the client is gone.
    await until("the import to be taken back", async () => !(await names()).includes("cut"));
    expect(await names()).toEqual(["w"]);
    expect((await devdev.cli(["store", "check", "--json"])).code).toBe(0);
  });

  test("nor does a client that is killed, and the name is free", async () => {
    const { code } = await cut("tar", "SIGKILL");
    expect(code).toBe(null);
    const again = async (): Promise<boolean> =>
      (await devdev.cli(["import", "--tar", whole("tar"), "--name", "cut"])).code === 0;
    await until("the name to be free", again);
    expect(await names()).toEqual(["w", "cut"]);
    await devdev.ok(["rm", "--force", "cut"]);
  });

  test.each(KINDS)("an export whose reader goes ends as by SIGPIPE (%s)", async (kind, flags) => {
    const script = `"$@" | head -c 1000 > /dev/null; echo "\${PIPESTATUS[0]}"`;
    const argv = ["bash", "-c", script, "bash", bin(), "export", "-w", "w", ...flags, "-"];
    const { code, stdout, stderr } = await devdev.host(argv);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "141\n", stderr: "" });
    // The daemon is well, and gives the whole the next time.
    const again = join(devdev.directory, `again.${kind}`);
    await devdev.ok(["export", "-w", "w", ...flags, again]);
    expect(readFileSync(again).equals(archives.get(kind)!)).toBe(true);
  });
});
