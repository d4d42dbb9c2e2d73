// The command line as a demanding user writes it: options anywhere, references of every form, paths
// and names, redirections, errors as JSON, completion that completes.

import { existsSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { lacks, mounting, useDevdev } from "../harness/suite.ts";

const who = () => identity(identityNames[0] ?? "user");

mounting("options and references", () => {
  const devdev = useDevdev(who, "usage");
  const ok = async (...args: string[]) => (await devdev().ok(args)).stdout;

  test("options stand before the command, behind it, and not behind --", async () => {
    const mount = devdev().mountPoint;
    expect(await ok("-w", "ws", "exec", "-T", "--", "echo", "-w", "x")).toBe("-w x\n");
    expect(await ok("exec", "-w", "ws", "-T", "--", "echo", "--json")).toBe("--json\n");
    expect(await ok("exec", "-w", mount, "-T", "echo", "-T", "-t")).toBe("-T -t\n");
    expect(JSON.parse(await ok("--json", "-w", "ws", "status"))).toHaveProperty("name", "ws");
    expect(JSON.parse(await ok("status", "--json", "-w", "./ws"))).toHaveProperty("name", "ws");
  });

  test("restore and diff take -1, names, ids, and refuse what is no option", async () => {
    await devdev().sh("echo one > f");
    await ok("snapshot", "--name", "good");
    await devdev().sh("echo two > f");
    await ok("snapshot", "-m", "worse");
    expect(await ok("diff", "-p", "good", "-1")).toContain("-one\n+two\n");
    expect(await ok("diff", "-1", "good", "-p")).toContain("-two\n+one\n");
    expect(await ok("diff", "--stat", "good")).toContain(" f | 2 +-\n 1 file changed, 1 insertion");
    await ok("restore", "-2");
    expect(await devdev().sh("cat f")).toHaveProperty("stdout", "one\n");
    for (const args of [
      ["restore", "--lvie", "good"],
      ["restore", "-x"],
      ["diff", "--sttat"],
      ["diff", "-p", "a", "b", "c"],
      ["export", "f", "-q"],
    ]) {
      const { code, stderr, stdout } = await devdev().cli(args);
      expect([args, code, stdout]).toEqual([args, 2, ""]);
      expect(stderr).toMatch(/^devdev: (unknown option|too many arguments)/);
    }
    const beyond = await devdev().cli(["restore", "-99"]);
    expect([beyond.code, beyond.stderr]).toEqual([1, expect.stringMatching(/no snapshot -99/)]);
  });

  test("names and messages stay on their line and are escaped, but for programs", async () => {
    const message = "a\nb \u001b[31mred";
    await ok("snapshot", "-m", message);
    const shown = String.raw`a\nb \033[31mred`;
    expect(await ok("status")).toContain(`${shown}\n`);
    expect((await ok("snapshots")).split("\n").at(-2)).toContain(shown);
    const list = await devdev().json<{ message?: string }[]>(["snapshots"]);
    expect(list.map((one) => one.message)).toContain(message);
    const refused = await devdev().cli(["status", "-w", message]);
    expect(refused.stderr).toContain(`devdev: there is no workspace ${shown}\n`);
  });

  test.for([
    [["restore", "nothing"], 1, "ERR_NO_SNAPSHOT"],
    [["restore", "--nope"], 2, "ERR_USAGE"],
    [["nonsense"], 2, "ERR_USAGE"],
    [["exec", "-w", "none", "--", "true"], 125, "ERR_NO_WORKSPACE"],
    [["exec", "--env", "novalue", "--", "true"], 2, "ERR_USAGE"],
    [["unmount", "none"], 1, "ERR_NO_WORKSPACE"],
    [["mount", "/dev/null"], 1, undefined],
    [["export", "/none/f"], 1, "ENOENT"],
    [["import", "/none"], 1, "ENOENT"],
    [["rm", "none"], 1, "ERR_NO_WORKSPACE"],
    [["diff", "none"], 1, "ERR_NO_SNAPSHOT"],
  ] as const)("%j --json fails in JSON", async ([args, code, error]) => {
    const result = await devdev().cli(["--json", ...args]);
    expect([result.code, result.stdout]).toEqual([code, ""]);
    const parsed = JSON.parse(result.stderr) as { error: { message: string; code?: string } };
    expect(parsed.error.message).not.toBe("");
    if (error !== undefined) expect(parsed.error.code).toBe(error);
  });

  test("standard input from a file, from nothing, closed, from a pipe that stays open", async () => {
    const bin = join(devdev().identity.checkout, "bin/devdev");
    const sh = async (script: string) => (await devdev().host(["sh", "-c", script])).stdout;
    writeFileSync(join(devdev().directory, "in"), "file\n");
    const exec = `${bin} exec -w ws -T -- cat`;
    expect(await sh(`${exec} < ${devdev().directory}/in`)).toBe("file\n");
    expect(await sh(`${exec} < /dev/null; echo $?`)).toBe("0\n");
    expect(await sh(`${exec} <&-; echo $?`)).toBe("0\n");
    expect(await sh(`(echo a; sleep 1; echo b) | ${exec}`)).toBe("a\nb\n");
    const ends = `sleep 50 | { ${bin} exec -w ws -T -- true; echo $?; kill -TERM 0; }`;
    const { stdout, durationMs } = await devdev().host(["setsid", "-w", "sh", "-c", ends]);
    expect(stdout).toBe("0\n");
    expect(durationMs).toBeLessThan(49_000);
  });

  test("a reader that stops early ends the command", async () => {
    const bin = join(devdev().identity.checkout, "bin/devdev");
    for (const command of ["yes", "sh -c 'trap \"\" PIPE; while :; do echo y; done'"]) {
      const script = `${bin} exec -w ws -T -- ${command} | head -1`;
      const { stdout, stderr, durationMs } = await devdev().host(["sh", "-c", script]);
      expect(stdout).toBe("y\n");
      expect(stderr).not.toMatch(/Error|devdev:/);
      expect(durationMs).toBeLessThan(90_000);
    }
    const listed = await devdev().host(["sh", "-c", `${bin} --help | head -1; ${bin} ls | true`]);
    expect(listed.stderr).toBe("");
    await ok("exec", "-w", "ws", "-T", "--", "sh", "-c", "mkdir m; cd m; seq 5000 | xargs touch");
    for (const form of ["", "--json"]) {
      const cut = `${bin} diff -w ws ${form} | head -1`;
      const { stdout, stderr } = await devdev().host(["sh", "-c", cut]);
      expect(stdout).not.toBe("");
      expect(stderr).toBe("");
    }
    await ok("exec", "-w", "ws", "-T", "--", "rm", "-r", "m");
    type Running = { processes: unknown[] };
    const running = () => devdev().json<Running>(["status", "-w", "ws"]);
    await expect.poll(async () => (await running()).processes).toEqual([]);
  });

  test("a path through a symlink means the workspace behind it", async () => {
    symlinkSync(devdev().directory, join(devdev().directory, "link"));
    const path = join(devdev().directory, "link/ws");
    expect(await ok("-w", path, "exec", "-T", "--", "pwd")).toBe(`${devdev().mountPoint}\n`);
    expect(JSON.parse(await ok("status", "--json", "-w", path))).toHaveProperty("name", "ws");
  });

  test.skipIf(lacks("bash"))("bash completes commands, options and names", async () => {
    const bin = join(devdev().identity.checkout, "bin");
    const complete = async (...words: string[]) => {
      const script = `PATH=${bin}:$PATH; source <(devdev completion bash)
        COMP_WORDS=(devdev "$@"); COMP_CWORD=$#
        __devdev_complete; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout, stderr } = await devdev().host(["bash", "-c", script, "bash", ...words]);
      expect(stderr).toBe("");
      return stdout.trim().split("\n");
    };
    expect(await complete("sna")).toEqual(["snapshot", "snapshots"]);
    expect(await complete("restore", "--")).toEqual(expect.arrayContaining(["--live", "--kill"]));
    expect(await complete("exec", "--profile", "")).toEqual(["node", "rust", "python", "go"]);
    expect(await complete("unmount", "")).toEqual(["ws"]);
    expect(await complete("status", "-w", "w")).toEqual(["ws"]);
    expect(await complete("restore", "go")).toEqual(["good"]);
    // What was typed is not run.
    const file = join(devdev().directory, "typed");
    await complete("exec", `$(touch ${file})`, "`touch " + file + "`", "");
    expect(existsSync(file)).toBe(false);
  });
});

mounting("completion in other shells", () => {
  const devdev = useDevdev(who, "completion");

  test("where nothing is to be offered, the shell completes file names", async () => {
    const complete = async (...words: string[]) =>
      (await devdev().ok(["complete", "--", ...words])).stdout;
    expect(await complete("import", "")).toBe(":0\n");
    expect(await complete("mount", "/tm")).toBe(":0\n");
    expect(await complete("doc")).toMatch(/^doctor\t.*\n:4\n$/);
    expect(await complete("-w", "")).toBe("ws\t\n:4\n");
  });

  test.skipIf(lacks("fish"))("fish completes commands, names and files", async () => {
    const bin = join(devdev().identity.checkout, "bin");
    const complete = async (line: string) => {
      const script = `set PATH ${bin} $PATH; devdev completion fish | source; complete -C '${line}'`;
      const { stdout } = await devdev().mustHost(["fish", "--no-config", "-c", script]);
      return stdout.split("\n").flatMap((each) => each.split("\t")[0] || []);
    };
    expect(await complete("devdev sna")).toEqual(["snapshot", "snapshots"]);
    expect(await complete("devdev exec --profile ")).toEqual(["go", "node", "python", "rust"]);
    expect(await complete("devdev unmount ")).toEqual(["ws"]);
    expect(await complete("devdev import /etc/hostn")).toEqual(["/etc/hostname"]);
  });
});

mounting("names, paths and mounts", () => {
  test("S45 ws is a name and a path, and never a guess", async () => {
    await using devdev = await Devdev.create(await who(), "names");
    const there = join(devdev.directory, "there");
    await devdev.mustHost(["mkdir", there]);
    await devdev.mount();
    await devdev.ok(["mount", "./ws"], { cwd: there });
    const unsure = await devdev.cli(["unmount", "ws"], { cwd: there });
    expect([unsure.code, unsure.stderr]).toEqual([1, expect.stringMatching(/\.\/ws is ws-2/)]);
    await devdev.ok(["unmount", "ws-2"]);
    await devdev.ok(["mount", "other"], { cwd: there });
    // A relative path without a slash, and no workspace of that name.
    await devdev.ok(["mount", "--name", "renamed", "plain"], { cwd: there });
    expect((await devdev.ok(["unmount", "plain"], { cwd: there })).stdout).toContain("renamed");
    await devdev.ok(["unmount", "other"]);
    expect((await devdev.ok(["unmount", "ws"])).stdout).toContain(devdev.mountPoint);
  });

  test("a workspace is mounted elsewhere, once; what it is cannot be changed by the way", async () => {
    await using devdev = await Devdev.create(await who(), "mounts");
    await devdev.mount("--limit", "100m");
    await devdev.sh("echo kept > f");
    const other = join(devdev.directory, "other");
    const refused = async (args: string[], words: RegExp) => {
      const { code, stderr } = await devdev.cli(args);
      expect([args, code]).toEqual([args, 1]);
      expect(stderr).toMatch(words);
    };
    await refused(["mount", devdev.mountPoint], /already the mount point of workspace ws/);
    await refused(["mount", "--name", "ws", other], /already mounted at/);
    await refused(["mount", join(devdev.mountPoint, "in")], /is inside of workspace ws/);
    await refused(["rm", "ws", "--yes"], /is mounted at/);
    await devdev.ok(["unmount", "ws"]);
    expect(existsSync(devdev.mountPoint)).toBe(false);
    await refused(["mount", "--limit", "200m", "./ws"], /limit of 104857600 bytes/);
    await refused(["mount", "--ephemeral", "./ws"], /is not ephemeral/);
    await devdev.ok(["mount", "--name", "ws", "--limit", "100m", other]);
    expect(
      (await devdev.ok(["exec", "-T", "--", "cat", "f"], { cwd: devdev.directory })).stdout,
    ).toBe("kept\n");
    await devdev.ok(["rm", "ws", "--force"]);
    expect(existsSync(other)).toBe(false);
    expect(await devdev.json(["ls"])).toEqual([]);
  });

  test("two mounts at one place at one moment: one is refused, nothing is left over", async () => {
    await using devdev = await Devdev.create(await who(), "race");
    await devdev.ok(["daemon", "start"]);
    const both = await Promise.all([devdev.cli(["mount", "ws"]), devdev.cli(["mount", "ws"])]);
    expect(both.filter(({ code }) => code === 0)).toHaveLength(1);
    expect(both.filter(({ code }) => code === 1)).toHaveLength(1);
    expect(await devdev.json<unknown[]>(["ls"])).toHaveLength(1);
  });
});

describe("without a daemon", () => {
  test("help, version, usage errors and completion scripts start none", async () => {
    await using devdev = await Devdev.create(await who(), "none");
    await devdev.ok(["--help"]);
    await devdev.ok(["--version"]);
    await devdev.ok(["completion", "zsh"]);
    expect((await devdev.cli(["nonsense"])).code).toBe(2);
    expect((await devdev.cli(["daemon", "logs"])).stderr).toMatch(
      /no daemon is running\n *what the last one logged is in .*\/log\n$/,
    );
    expect(readdirSync(devdev.directory)).not.toContain("devdev-home");
  });
});
