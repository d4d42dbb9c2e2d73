// Recorded commands, the history, and going back and forth in it, from outside (SEMANTICS S60 to
// S65).

import { expect, test } from "vitest";
import { manifest } from "../fixtures/manifest.ts";
import { forEachIdentity, marked, useDevdev } from "../harness/suite.ts";

interface Event {
  number: number;
  kind: string;
  parent?: number;
  current?: true;
  paths?: string[];
  snapshot?: { sequence: number };
  turn?: {
    argv: string[];
    cwd: string;
    exitCode?: number;
    signal?: string;
    interrupted?: true;
    overlapping?: true;
    before: number;
    after: number;
    effects?: Record<string, number>;
  };
}

interface Shown extends Event {
  entries: Array<{ kind: string; path: string; oldPath?: string }>;
}

const RECORD = { flags: ["--snapshot"] };

forEachIdentity("turns", (who) => {
  const devdev = useDevdev(who, "turns");
  const at = (command: string, ...args: string[]) => [command, "-w", devdev().mountPoint, ...args];
  const sh = async (script: string): Promise<string> => (await devdev().sh(script)).stdout;
  const turn = (script: string) => devdev().sh(script, RECORD);
  const log = () => devdev().json<Event[]>(at("log"));
  const last = async (): Promise<Event> => (await log()).at(-1)!;
  const show = (...args: string[]) => devdev().json<Shown>(at("show", ...args));
  const everything = (): Promise<string> => manifest(devdev());
  const refusal = async (...args: [string, ...string[]]): Promise<string> => {
    const { code, stderr } = await devdev().cli(at(...args));
    expect(code).toBe(1);
    return stderr;
  };

  test("S60 a recorded command: how it ended, and what it did", async () => {
    expect(await refusal("undo")).toMatch(/nothing to undo/);
    expect((await devdev().cli(at("log"))).stdout).toMatch(/nothing has happened/);
    await turn("mkdir d; echo one > d/f; echo two > g; ln g h");
    const command = at("exec", "-T", "--snapshot", "--cwd", "/d", "--", "sh", "-c");
    const failed = await devdev().cli([...command, "mv f moved; echo more >> ../g; exit 7"]);
    expect(failed.code).toBe(7);
    const event = await last();
    expect(event).toMatchObject({ kind: "exec", current: true });
    expect(event.turn).toMatchObject({
      argv: ["sh", "-c", "mv f moved; echo more >> ../g; exit 7"],
      cwd: "/d",
      exitCode: 7,
      effects: { added: 0, removed: 0, renamed: 1, oldBytes: 12, newBytes: 22 },
    });
    const { entries } = await show();
    expect(entries.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      "renamed /d/moved",
      "modified /g",
      "modified /h",
    ]);
    expect((await devdev().ok(at("show"))).stdout).toMatch(/R d\/f -> d\/moved {2}4 B/);
    expect((await devdev().ok(at("show", "--stat"))).stdout).toMatch(/insertions/);
    expect((await devdev().ok(at("show", "-p"))).stdout).toMatch(/^rename to d\/moved$/m);
  });

  test("S60 a command that changes nothing adds no snapshot, nor does one that is not asked", async () => {
    const before = await devdev().json<unknown[]>(at("snapshots"));
    await turn("cat g > /dev/null");
    expect((await last()).turn?.effects).toMatchObject({ added: 0, changed: 0, removed: 0 });
    expect(await devdev().json<unknown[]>(at("snapshots"))).toHaveLength(before.length);
    const events = await log();
    await sh("true");
    expect(await log()).toHaveLength(events.length);
  });

  test("S61 undo and redo walk the states, and keep what is in no snapshot", async () => {
    const states = [await everything()];
    for (const n of ["1", "2"]) {
      await turn(`echo ${n} > step; mkdir s${n}`);
      states.push(await everything());
    }
    await devdev().ok(at("undo"));
    expect(await everything()).toBe(states[1]);
    await devdev().ok(at("undo"));
    expect(await everything()).toBe(states[0]);
    await devdev().ok(at("redo", "--steps", "2"));
    expect(await everything()).toBe(states[2]);
    expect(await refusal("redo")).toMatch(/nothing to redo/);
    await sh("echo unsaved > unsaved");
    const unsaved = await everything();
    const undone = await devdev().json<{ saved?: object }>(at("undo"));
    expect([undone.saved !== undefined, await everything()]).toEqual([true, states[2]]);
    await devdev().ok(at("redo"));
    expect(await everything()).toBe(unsaved);
    await devdev().ok(at("undo", "--steps", "3"));
    expect(await everything()).toBe(states[0]);
    await sh("echo other > step");
    expect(await refusal("redo")).toMatch(/changed since the undo/);
    await devdev().ok(at("undo"));
  });

  test("S61 a restore is a step too; the log draws where it led", async () => {
    const before = await everything();
    await devdev().ok(at("restore", "#1"));
    const { kind, parent } = await last();
    expect([kind, parent]).toEqual(["restore", 1]);
    await devdev().ok(at("undo"));
    expect(await everything()).toBe(before);
    const drawn = (await devdev().ok(at("log"))).stdout;
    expect(drawn).toMatch(/^.*@ .*<- here$/m);
    expect(drawn).toMatch(/^[ |]+\d+ .* undo +to \d+$/m);
  });

  test("S62 single paths come back as they were, in one step", async () => {
    await sh("rm -rf ./*; mkdir -p src/lib && echo a > src/lib/a && echo b > src/b && echo c > c");
    await sh("ln src/b src/hard && chmod 640 src/b && touch -d 2011-11-11 src/lib");
    await devdev().ok(at("snapshot", "--name", "paths"));
    const src = await sh("find src | sort | xargs stat -c '%n %i %a %h %s %Y'");
    await sh("rm -rf src/lib; echo changed > src/b; echo changed > c; echo new > src/new; mkdir x");
    await devdev().ok(at("restore", "paths", "--", "src", "x"));
    expect(await sh("find src | sort | xargs stat -c '%n %i %a %h %s %Y'")).toBe(src);
    expect(await sh("cat c; ls")).toBe("changed\nc\nsrc\n");
    expect(await last()).toMatchObject({ kind: "restore", paths: ["/src", "/x"] });
    await devdev().ok(at("undo"));
    expect(await sh("cat src/b src/new; ls")).toBe("changed\nnew\nc\nsrc\nx\n");
    const state = await everything();
    expect(await refusal("restore", "paths", "--", "src", "nothing")).toMatch(/ENOENT.*\/nothing/);
    await sh("rm -rf src; echo file > src");
    expect(await refusal("restore", "paths", "--", "src/b")).toMatch(/ENOTDIR.*\/src\/b/);
    await devdev().ok(at("undo"));
    expect(await everything()).toBe(state);
    const script = `cd "$1/src" && exec "$0" restore paths -- b "$1/c"`;
    const devdevAt = `${devdev().identity.checkout}/bin/devdev`;
    await devdev().mustHost(["sh", "-c", script, devdevAt, devdev().mountPoint]);
    expect(await sh("cat src/b c")).toBe("b\nc\n");
  });

  test("S63 undo of paths takes back what one command did to them, and nothing else", async () => {
    await turn("echo one > p1; echo one > p2; mkdir made; echo x > made/x");
    const { number } = await last();
    await turn("echo two > p2; rm p1; mv made/x made/y");
    await devdev().ok(at("undo", "--", "p1", "made/y"));
    expect(await sh("cat p1 p2; ls made")).toBe("one\ntwo\nx\n");
    expect(await refusal("undo", "--turn", String(number), "--", "p2")).toMatch(
      /changed again.*p2/,
    );
    await devdev().ok(at("undo", "--turn", String(number), "--force", "--", "p2"));
    expect(await sh("ls p2 2>/dev/null || echo gone")).toBe("gone\n");
    expect(await refusal("undo", "--", "never")).toMatch(/no recorded command.*never/);
  });

  test("S64 commands that overlap are recorded each, and say so", async () => {
    const waiting = "until [ -e go ]; do sleep 0.05; done";
    const slow = turn(`touch .devdev/tmp/slow-began; ${waiting}; touch slow`);
    await marked(devdev(), "slow-began");
    await turn("touch fast");
    await sh("touch go");
    await slow;
    const [fast, waited] = (await log()).slice(-2);
    expect(fast?.turn?.overlapping).toBe(true);
    expect(waited?.turn?.overlapping).toBe(true);
    expect(await sh("ls fast slow")).toBe("fast\nslow\n");
    await devdev().ok(at("undo"));
    expect(await sh("ls fast; ls slow 2>/dev/null || echo gone")).toBe("fast\ngone\n");
  });

  test("S65 autosnapshot records every command, until it is switched off", async () => {
    const { length } = await log();
    await devdev().ok(at("autosnapshot", "exec"));
    await sh("echo auto > auto");
    expect((await log()).length).toBeGreaterThan(length);
    const { length: recorded } = await log();
    await devdev().sh("echo not > not", { flags: ["--no-snapshot"] });
    expect(await log()).toHaveLength(recorded);
    await devdev().ok(at("unmount"));
    await devdev().mount();
    expect((await devdev().ok(at("autosnapshot"))).stdout).toMatch(/exec/);
    await devdev().ok(at("autosnapshot", "off"));
  });

  test("S60 a turn survives the death of the daemon, with what was found after it", async () => {
    const events = await log();
    const dying = devdev().cli(
      at(
        "exec",
        "-T",
        "--snapshot",
        "--",
        "sh",
        "-c",
        "echo x > begun; sync begun; touch .devdev/tmp/up; sleep 60",
      ),
    );
    await marked(devdev(), "up");
    await devdev().ok(at("snapshot"));
    // The command outlives its daemon.
    devdev().lenient = true;
    process.kill(await devdev().daemonPid(), "SIGKILL");
    await dying;
    await devdev().mount();
    const after = await log();
    expect(after.slice(0, events.length).map(({ number }) => number)).toEqual(
      events.map(({ number }) => number),
    );
    const interrupted = after.at(-1)!;
    expect(interrupted.turn).toMatchObject({ interrupted: true, effects: { added: 1 } });
    await devdev().ok(at("undo"));
    expect(await sh("ls begun 2>/dev/null || echo gone")).toBe("gone\n");
  });
});
