// diff against another workspace, from the command line (SEMANTICS S120).

import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { inDirectory } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";

forEachIdentity("diff against another workspace", (who) => {
  test("S120 a patch brings a fork to the state of its source, mounted or not", async () => {
    await using devdev = await Devdev.create(await who(), "against");
    await devdev.mount("--name", "main");
    const at = join(devdev.directory, "fork");
    const script = (text: string, where = devdev.mountPoint) =>
      devdev.mustHost(inDirectory(where, ["sh", "-euc", text]));
    await script("mkdir d && seq 50 > d/f && echo r > r && printf 'a\\0b' > bin && ln -s d l");
    await devdev.ok(["fork", "-w", "main", "fork", "--mount", at]);
    await script(
      "echo new > new-here && sed -i s/^7$/seven/ d/f && printf 'a\\0c' > bin && chmod +x r",
    );
    await script("echo other > new-there && mv r moved && rm l", at);
    await devdev.ok(["snapshot", "-w", "fork", "--name", "good"]);
    const diff = (...args: string[]) => devdev.ok(["diff", "-w", "main", "--against", ...args]);
    const expected = "M bin\nM d/f\nA l\nA new-here\nD new-there\nR moved -> r\n";
    expect((await diff("fork")).stdout).toBe(expected);
    expect((await diff("fork:good", "--name-only")).stdout).toBe(
      "bin\nd/f\nl\nnew-here\nnew-there\nr\n",
    );
    expect((await diff(`${at}:good`, "--stat")).stdout).toContain(" d/f       | 2 +-\n");
    const listed = await devdev.json<{ entries: object[]; stats: object[] }>([
      "diff",
      "-w",
      "main",
      "--against",
      "fork",
      "-R",
      "--stat",
    ]);
    expect([listed.entries.length, listed.stats.length]).toEqual([6, 6]);
    const renamed = { kind: "renamed", path: "/moved", oldPath: "/r" };
    expect(listed.entries).toContainEqual(expect.objectContaining(renamed));
    const bin = join(devdev.identity.checkout, "bin/devdev");
    await devdev.mustHost([
      "sh",
      "-euc",
      `"$0" diff -w main --binary --against fork | git -C "$1" apply`,
      bin,
      at,
    ]);
    // git keeps no empty directories and no owners; the rest is the same.
    expect((await diff("fork")).stdout).toBe("");
    // Workspaces that no process has open are brought back for it.
    await script("echo once more > new-here");
    await devdev.ok(["daemon", "stop"]);
    expect((await diff("fork")).stdout).toBe("M new-here\n");
    expect((await diff("fork:good")).stdout).toBe(expected);
  });

  test("what cannot be compared is refused, and says why", async () => {
    await using devdev = await Devdev.create(await who(), "against");
    await devdev.mount("--name", "main");
    await devdev.ok(["fork", "-w", "main", "fork"]);
    for (const [args, code, text] of [
      [["--against", "nobody"], 1, "there is no workspace nobody"],
      [["--against", "fork:none"], 1, "there is no snapshot none"],
      [["--against", "fork:"], 2, "write WORKSPACE or WORKSPACE:SNAPSHOT"],
      [["--against", ":good"], 2, "write WORKSPACE or WORKSPACE:SNAPSHOT"],
      [["--against", "fork", "--host", "/"], 1, "not with a host directory"],
    ] as const) {
      const result = await devdev.cli(["diff", "-w", "main", ...args]);
      expect([result.code, result.stderr, result.stdout]).toEqual([
        code,
        expect.stringContaining(text),
        "",
      ]);
    }
  });
});
