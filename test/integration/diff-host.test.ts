// diff against a directory of the host (SEMANTICS S58), and patches through the command line (S57):
// piece by piece, for files of any size.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { forEachIdentity, useDevdev } from "../harness/suite.ts";

forEachIdentity("diff with the host", (who) => {
  const devdev = useDevdev(who, "diff");
  const there = (): string => join(devdev().directory, "there");
  const at = (...args: string[]) => ["diff", "-w", devdev().mountPoint, ...args];
  const bin = (): string => join(devdev().identity.checkout, "bin/devdev");

  test("S57 S58 a patch brings the directory to the state of the workspace", async () => {
    await devdev().sh(`mkdir dir && seq 100 > dir/text && printf 'no newline' > end && : > empty
      head -c 10000000 /dev/urandom > large && printf 'a\\0b' > small && ln -s dir link
      printf 'odd' > "$(printf 'n\\377')" && echo x > gone`);
    await devdev().mustHost(["mkdir", there()]);
    const patch = `"$0" diff -w "$1" --binary --host "$2" | git -C "$2" apply --whitespace=nowarn`;
    const apply = () =>
      devdev().mustHost(["sh", "-euc", patch, bin(), devdev().mountPoint, there()]);
    await apply();
    expect(await devdev().json(at("--host", there()))).toEqual({ entries: [] });
    await devdev().sh(`rm gone && mv dir moved && echo more >> moved/text && chmod +x end
      printf 'middle' | dd of=large bs=1 seek=1000000 conv=notrunc status=none
      printf 'a\\0c' > small && rm link && mkdir link && echo in > link/file`);
    const names = await devdev().ok(at("--host", there(), "--name-only"));
    expect(names.stdout).toContain("link/file\n");
    await apply();
    await devdev().mustHost(["sh", "-euc", `find "$0" -type d -empty -delete`, there()]);
    expect(await devdev().json(at("--host", there()))).toEqual({ entries: [] });
  });

  test("modes, attributes and links are told; --reverse turns it round", async () => {
    await devdev().mustHost([
      "sh",
      "-euc",
      `cd "$0" && chmod 600 small && echo new > new &&
      python3 -c "import os; os.setxattr('empty', 'user.x', b'y')"`,
      there(),
    ]);
    const kinds = async (...args: string[]) => {
      const { entries } = await devdev().json<{
        entries: { kind: string; path: string; changed: string[] }[];
      }>(at("--host", there(), ...args));
      return entries.map(({ kind, path, changed }) => [
        kind,
        path,
        ...changed.filter((what) => what !== "mtime"),
      ]);
    };
    const same = [
      ["modified", "/empty", "xattrs"],
      ["modified", "/small", "mode"],
    ];
    expect(await kinds()).toEqual([same[0], ["removed", "/new"], same[1]]);
    expect(await kinds("--reverse")).toEqual([same[0], ["added", "/new"], same[1]]);
  });

  test("S58 a directory inside of a mount is refused", async () => {
    for (const directory of [devdev().mountPoint, join(devdev().mountPoint, "moved")]) {
      const { code, stderr } = await devdev().cli(at("--host", directory));
      expect([code, stderr]).toEqual([1, expect.stringMatching(/is inside of workspace/)]);
    }
    mkdirSync(join(devdev().directory, "empty"));
    const missing = await devdev().cli(at("--host", join(devdev().directory, "missing")));
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/missing/)]);
  });
});
