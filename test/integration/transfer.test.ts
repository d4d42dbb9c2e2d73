// Export and import (SEMANTICS S30, S31): the same bytes each time, elsewhere the same tree, and
// files that are damaged, cut off or made up are refused without a trace.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mix } from "../crash/model.ts";
import { manifest } from "../fixtures/manifest.ts";
import { Devdev } from "../harness/devdev.ts";
import { forEachIdentity, useDevdev } from "../harness/suite.ts";

const MAKE = `mkdir -p src/deep && seq 1 5000 > src/numbers && mkfifo src/pipe
  head -c 400000 /dev/urandom > src/deep/random && truncate -s 3M src/hole
  ln src/numbers src/hard && ln -s deep src/soft && chmod 4750 src/hard
  printf x > "$(printf 'src/\\377\\376')" && touch -d '1999-12-31 23:59:59.99' src/deep/random
  python3 -c "import os; os.setxattr('src/numbers', 'user.note', b'kept\\0bytes')"`;

forEachIdentity("export and import", (who) => {
  const devdev = useDevdev(who, "transfer");
  const file = (name: string): string => join(devdev().directory, name);
  const at = (verb: string, ...args: string[]) => [verb, "-w", devdev().mountPoint, ...args];

  test("S30 export, import, export: the same bytes", async () => {
    await devdev().sh(MAKE);
    await devdev().ok(at("snapshot", "--name", "sent"));
    const first = await devdev().json<{ id: string; bytes: number }>(
      at("export", file("first"), "sent"),
    );
    await devdev().ok(at("export", file("again"), "sent"));
    expect(readFileSync(file("again")).equals(readFileSync(file("first")))).toBe(true);
    expect(readFileSync(file("first")).length).toBe(first.bytes);
    await using other = await Devdev.create(devdev().identity, "transfer");
    await other.ok(["import", file("first"), "--name", "received"]);
    await other.mount("--name", "received");
    expect(await manifest(other)).toBe(await manifest(devdev()));
    const back = join(other.directory, "back");
    const second = await other.json<{ id: string }>(["export", "-w", other.mountPoint, back]);
    expect(second.id).toBe(first.id);
    expect(readFileSync(back).equals(readFileSync(file("first")))).toBe(true);
  });

  test("without a name the live state is exported; a file is kept unless --force", async () => {
    await devdev().sh("echo live > live");
    await devdev().ok(at("export", file("live")));
    expect(existsSync(file("live"))).toBe(true);
    const before = readFileSync(file("first"));
    const refused = await devdev().cli(at("export", file("first")));
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/first/)]);
    expect(readFileSync(file("first")).equals(before)).toBe(true);
    await devdev().ok(at("export", "--force", file("live"), "sent"));
    expect(readFileSync(file("live")).equals(before)).toBe(true);
  });

  /** Imports a file; returns whether it was refused properly. */
  async function expectRefused(name: string, content: Buffer): Promise<void> {
    writeFileSync(file("damaged"), content, { mode: 0o644 });
    const before = (await devdev().json<unknown[]>(["ls"])).length;
    const result = await devdev().cli(["import", file("damaged"), "--name", "damaged"]);
    const left = (await devdev().json<unknown[]>(["ls"])).length;
    expect({ name, code: result.code, left }).toEqual({ name, code: 1, left: before });
    expect(result.stderr).toMatch(/^devdev: \S[^\n]+\n(        [^\n]+\n)?$/);
  }

  test("cut off anywhere: refused", async () => {
    const whole = readFileSync(file("first"));
    const cuts = [0, 1, 7, 8, 64, 1000, whole.length >> 1, whole.length - 33, whole.length - 1];
    for (const cut of cuts) await expectRefused(`cut at ${cut}`, whole.subarray(0, cut));
    await expectRefused("one byte more", Buffer.concat([whole, Buffer.from("x")]));
  });

  test("one flipped bit anywhere: refused", async () => {
    const whole = readFileSync(file("first"));
    const places = [0, 5, 9, 20, 40, 100, whole.length - 1, whole.length - 40];
    for (let i = 0; i < 12; i++) places.push(mix(i, 77) % whole.length);
    for (const place of places) {
      const damaged = Buffer.from(whole);
      damaged[place]! ^= 1 << (place % 8);
      await expectRefused(`bit at ${place}`, damaged);
    }
  });

  test("something else altogether: refused", async () => {
    await expectRefused("text", Buffer.from("this is no snapshot\n".repeat(100)));
    await expectRefused("zeros", Buffer.alloc(1_000_000));
    const whole = readFileSync(file("first"));
    await expectRefused("twice", Buffer.concat([whole, whole]));
    const missing = await devdev().cli(["import", file("no-such-file")]);
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/no-such-file/)]);
    const directory = await devdev().cli(["import", devdev().directory]);
    expect(directory.code).toBe(1);
  });

  test("after all that the store is whole", async () => {
    const { checks } = JSON.parse((await devdev().cli(["doctor", "--json"])).stdout) as {
      checks: { name: string; ok: boolean }[];
    };
    expect(checks.find(({ name }) => name === "store")?.ok).toBe(true);
    expect((await devdev().sh("cat live")).stdout).toBe("live\n");
  });
});
