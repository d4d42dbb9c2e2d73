// Forks and merges of mounted workspaces from outside (SEMANTICS S70 to S76).

import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { inDirectory } from "../harness/run.ts";
import { forEachIdentity } from "../harness/suite.ts";

interface Merged {
  merged: boolean;
  entries: { path: string }[];
  conflicts: { path: string; kind: string; removedBy?: string; beside?: string }[];
  before?: { id: string };
}

const CONFLICTS = 3;

async function within(devdev: Devdev, at: string, script: string): Promise<string> {
  return (await devdev.mustHost(inDirectory(at, ["sh", "-euc", script]))).stdout;
}

/** A workspace `main` at ws, and its fork `fork` at fork; scripts run in either. */
async function pair(devdev: Devdev, script: string) {
  await devdev.mount("--name", "main");
  const at = join(devdev.directory, "fork");
  const inMain = (text: string) => within(devdev, devdev.mountPoint, text);
  const inFork = (text: string) => within(devdev, at, text);
  await inMain(script);
  await devdev.ok(["fork", "-w", "main", "fork", "--mount", at]);
  return { at, inMain, inFork };
}

forEachIdentity("forks", (who) => {
  test("S70 S71 a fork has everything, neither sees the other, and a kill loses none", async () => {
    await using devdev = await Devdev.create(await who(), "forks");
    devdev.lenient = true;
    const { inMain, inFork } = await pair(
      devdev,
      "mkdir d; head -c 300000 /dev/urandom > d/big; ln d/big hard; ln -s d s; echo one > f",
    );
    const sums = await inMain("sha256sum d/big f");
    expect(await inFork("sha256sum d/big f; stat -c %h hard; readlink s")).toBe(`${sums}2\nd\n`);
    await inFork("echo two > f; rm hard; echo new > d/new");
    expect(await inMain("cat f; ls d")).toBe("one\nbig\n");
    await inMain("echo three > f; rm -r d");
    expect(await inFork("cat f; ls d; sha256sum d/big | cut -c1-64")).toBe(
      `two\nbig\nnew\n${sums.slice(0, 64)}\n`,
    );
    // A fork of the fork's state, killed at once: what was acknowledged is there.
    const forked = await devdev.json<{ name: string; forkOf: string }>([
      "fork",
      "-w",
      "fork",
      "deep",
    ]);
    process.kill(await devdev.daemonPid(), "SIGKILL");
    expect(forked).toMatchObject({ name: "deep", forkOf: "fork" });
    const deep = join(devdev.directory, "deep");
    await devdev.ok(["mount", "--name", "deep", deep]);
    const back = await within(devdev, deep, "cat f; cat d/new; sha256sum d/big");
    expect(back).toBe(`two\nnew\n${sums.slice(0, 64)}  d/big\n`);
  });

  test("S71 source and fork outlive each other", async () => {
    await using devdev = await Devdev.create(await who(), "forks");
    const { inMain, inFork } = await pair(
      devdev,
      "head -c 200000 /dev/zero | tr '\\0' x > f; echo g > g",
    );
    await devdev.ok(["fork", "-w", "fork", "third"]);
    await devdev.ok(["rm", "-f", "-y", "main"]);
    expect(await inFork("wc -c < f; cat g")).toBe("200000\ng\n");
    await devdev.ok(["rm", "-f", "-y", "fork"]);
    const third = join(devdev.directory, "third");
    await devdev.ok(["mount", "--name", "third", third]);
    const left = await within(devdev, third, "wc -c < f; cat g");
    expect(left).toBe("200000\ng\n");
    await expect(inMain("cat g")).rejects.toThrow("cat");
  });

  test("S72 S74 S75 a merge makes both changes under the mount, once, and can be undone", async () => {
    await using devdev = await Devdev.create(await who(), "forks");
    const { inMain, inFork } = await pair(
      devdev,
      "mkdir d; seq 1 30 > d/f; echo x > gone; echo r > r; echo m > m",
    );
    await inFork(`sed -i 's/^25$/fork/' d/f; rm gone; mv r d/renamed; chmod 700 m; mkdir n
      printf 'a\\0b' > n/bin; ln -s n s; echo home > .devdev/home/fork`);
    await inMain("sed -i 's/^3$/main/' d/f; mv d e; echo own > own");
    const before = await inMain("ls; cat e/f");
    const dry = await devdev.json<Merged>(["merge", "fork", "--into", "main", "--dry-run"]);
    expect(dry).toMatchObject({ merged: false, conflicts: [] });
    expect(await inMain("ls; cat e/f")).toBe(before);
    const merged = await devdev.json<Merged>(["merge", "-w", "main", "fork"]);
    expect(merged.entries).toEqual(dry.entries);
    expect(await inMain("ls; sed -n '3p;25p' e/f; cat e/renamed; stat -c %a m; readlink s")).toBe(
      "e\nm\nn\nown\ns\nmain\nfork\nr\n700\nn\n",
    );
    expect(await inMain("ls .devdev/home")).not.toContain("fork");
    const again = await devdev.json<Merged>(["merge", "-w", "main", "fork"]);
    expect(again).toMatchObject({ merged: false, entries: [], conflicts: [] });
    // Only what is new since then, also the other way round.
    await inFork("echo later > later");
    const later = await devdev.json<Merged>(["merge", "-w", "main", "fork"]);
    expect(later.entries.map(({ path }) => path)).toEqual(["/later"]);
    const back = await devdev.json<Merged>(["merge", "-w", "fork", "main"]);
    expect(back.conflicts).toEqual([]);
    expect(await inFork("cat own; sed -n '3p;25p' e/f")).toBe("own\nmain\nfork\n");
    await devdev.ok(["restore", "-w", "main", merged.before!.id]);
    expect(await inMain("ls; cat e/f")).toBe(before);
    const remade = await devdev.json<Merged>(["merge", "-w", "main", "fork"]);
    expect(remade.merged).toBe(true);
    expect(await inMain("cat later; sed -n 25p e/f")).toBe("later\nfork\n");
  });

  test("S73 conflicts change nothing unless it is said how to resolve them", async () => {
    await using devdev = await Devdev.create(await who(), "forks");
    const { inMain, inFork } = await pair(devdev, "echo a > f; printf 'a\\0' > b; echo c > c");
    await inFork("echo theirs > f; printf 'b\\0' > b; echo theirs > c");
    await inMain("echo ours > f; printf 'c\\0' > b; rm c");
    const merge = async (...args: string[]) => {
      const result = await devdev.cli(["merge", "-w", "main", "fork", ...args, "--json"]);
      return { code: result.code, ...(JSON.parse(result.stdout) as Merged) };
    };
    const refused = await merge();
    expect(refused).toMatchObject({ code: CONFLICTS, merged: false });
    expect(refused.conflicts).toEqual([
      { path: "/b", kind: "binary" },
      { path: "/c", kind: "removed", removedBy: "ours" },
      { path: "/f", kind: "content" },
    ]);
    const show = "cat f; ls; tr '\\0' . < b";
    expect(await inMain(show)).toBe("ours\nb\nf\nc.");
    const first = await devdev.cli(["merge", "-w", "main", "fork", "--first-wins"]);
    expect([first.code, first.stderr.includes("was changed since the fork")]).toEqual([1, true]);
    const marked = await merge("--markers");
    expect(marked).toMatchObject({ code: CONFLICTS, merged: true });
    expect(await inMain(show)).toBe(
      "<<<<<<< ours\nours\n=======\ntheirs\n>>>>>>> theirs\nb\nb~fork\nc~fork\nf\nc.",
    );
    await devdev.ok(["restore", "-w", "main", marked.before!.id]);
    const theirs = await merge("--theirs");
    expect(theirs).toMatchObject({ code: 0, merged: true });
    expect(await inMain(show)).toBe("theirs\nb\nc\nf\nb.");
    await devdev.ok(["restore", "-w", "main", theirs.before!.id]);
    expect(await merge("--ours")).toMatchObject({ code: 0, merged: false, entries: [] });
    expect(await merge()).toMatchObject({ code: 0, conflicts: [] });
    const unrelated = await devdev.cli(["merge", "main", "--into", "main"]);
    expect([unrelated.code, unrelated.stderr.includes("into itself")]).toEqual([1, true]);
  });

  test("S70 forks of snapshots, and what is refused", async () => {
    await using devdev = await Devdev.create(await who(), "forks");
    const { inMain } = await pair(devdev, "echo one > f");
    await devdev.ok(["snapshot", "-w", "main", "--name", "good"]);
    await inMain("echo two > f");
    const old = join(devdev.directory, "old");
    await devdev.ok(["fork", "-w", "main", "old", "--from", "good", "--mount", old]);
    expect(await within(devdev, old, "cat f; echo more > more")).toBe("one\n");
    expect((await devdev.ok(["diff", "-w", "old"])).stdout).toBe("A more\n");
    for (const [args, text] of [
      [["fork", "-w", "main", "old"], "there is a workspace called old already"],
      [["fork", "-w", "main", "x", "--from", "nothing"], "there is no snapshot nothing"],
      [["fork", "-w", "main", "a/b"], "a workspace's name has"],
    ] as const) {
      const result = await devdev.cli(args);
      expect([result.code, result.stderr.includes(text)]).toEqual([1, true]);
    }
    const taken = await devdev.cli(["fork", "-w", "main", "y", "--mount", devdev.mountPoint]);
    expect(taken.code).toBe(1);
    expect((await devdev.ok(["ls"])).stdout).not.toContain("\ny ");
  });
});
