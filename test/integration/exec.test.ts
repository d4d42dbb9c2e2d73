// devdev exec from outside: exit codes, signals, standard input, time limits, the terminal, and the
// environment, of which every variable is listed (SEMANTICS S35 to S37).

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processesOf } from "../harness/processes.ts";
import { run, until } from "../harness/run.ts";
import { forEachIdentity, lacks, useDevdev } from "../harness/suite.ts";

forEachIdentity("exec", (who) => {
  const devdev = useDevdev(who, "exec");
  const cli = (flags: string[], argv: string[], options = {}) =>
    devdev().cli(["exec", "-w", devdev().mountPoint, ...flags, "--", ...argv], options);
  const terminal = async (flags: string[], argv: string[]) => {
    const result = await cli(["-t", ...flags], argv);
    return { ...result, lines: result.stdout.split("\r\n") };
  };

  test.for([
    ["0", ["true"], 0],
    ["of the command", ["sh", "-c", "exit 37"], 37],
    ["255", ["sh", "-c", "exit 255"], 255],
    ["128+15", ["sh", "-c", "kill -TERM $$"], 143],
    ["128+9", ["sh", "-c", "kill -KILL $$"], 137],
    ["128+6", ["sh", "-c", "kill -ABRT $$"], 134],
    ["127 when there is no such program", ["no-such-program"], 127],
    ["127 when there is no such file", ["./no-such-file"], 127],
    ["126 for a directory", ["/usr/bin"], 126],
  ] as const)("S36 exit code %s", async ([, argv, code]) => {
    for (const flags of [["-T"], ["-t"]]) {
      const result = await cli(flags, [...argv]);
      expect({ flags, code: result.code }).toEqual({ flags, code });
    }
  });

  test("not found and not executable say so in one sentence", async () => {
    const missing = await cli(["-T"], ["no-such-program"]);
    expect(missing.stderr).toMatch(/no-such-program.*not found|not found.*no-such-program/);
    await devdev().sh("echo text > plain && chmod 644 plain");
    const plain = await cli(["-T"], ["./plain"]);
    expect(plain.code).toBe(126);
    expect(plain.stderr).toMatch(/plain/);
  });

  test("S37 all output arrives, before the exit code, in order", async () => {
    const script = "seq 1 20000; echo end >&2; exit 3";
    const piped = await cli(["-T"], ["sh", "-c", script]);
    expect(piped.code).toBe(3);
    expect(piped.stdout.split("\n").length).toBe(20_001);
    expect(piped.stderr).toBe("end\n");
    const { lines, code } = await terminal([], ["sh", "-c", script]);
    expect(code).toBe(3);
    expect(lines.length).toBe(20_002);
    expect(lines.at(-2)).toBe("end");
  });

  test("bytes go through pipes unchanged, in both directions", async () => {
    const all = Buffer.alloc(3_000_000, Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
    const echoed = await cli(["-T"], ["cat"], { input: all });
    expect(echoed.bytes.equals(all)).toBe(true);
    const file = join(devdev().directory, "input");
    writeFileSync(file, all);
    const fromFile = await cli(["-T"], ["sha256sum"], { inputFile: file });
    const host = await run(["sha256sum"], { inputFile: file });
    expect(fromFile.stdout).toBe(host.stdout);
  });

  test("no standard input is an end of file; a reader that stops early is no error", async () => {
    expect((await cli(["-T"], ["cat"])).stdout).toBe("");
    const all = Buffer.alloc(5_000_000, "x\n");
    expect((await cli(["-T"], ["head", "-n1"], { input: all })).stdout).toBe("x\n");
  });

  test("the working directory: root, --cwd, below the mount, the caller's", async () => {
    const mount = devdev().mountPoint;
    await devdev().sh("mkdir -p sub/dir");
    expect((await cli(["-T"], ["pwd"])).stdout).toBe(`${mount}\n`);
    expect((await cli(["-T", "--cwd", "/sub/dir"], ["pwd"])).stdout).toBe(`${mount}/sub/dir\n`);
    expect((await cli(["-T", "--cwd", `${mount}/sub`], ["pwd"])).stdout).toBe(`${mount}/sub\n`);
    const devdevBin = join(devdev().identity.checkout, "bin/devdev");
    const inside = `cd ${mount}/sub && exec ${devdevBin} exec -T -- pwd`;
    expect((await devdev().host(["sh", "-c", inside])).stdout).toBe(`${mount}/sub\n`);
    const missing = await cli(["-T", "--cwd", "/nowhere"], ["pwd"]);
    expect(missing.code).toBe(125);
    expect(missing.stderr).toMatch(/nowhere/);
  });

  test("--timeout ends the whole group with 124 and keeps what was printed", async () => {
    const script = "echo started; sleep 100 & sleep 100; echo never";
    const result = await cli(["-T", "--timeout", "3"], ["sh", "-c", script]);
    expect(result.code).toBe(124);
    expect(result.stdout).toBe("started\n");
    expect(result.durationMs).toBeLessThan(50_000);
    const stubborn = "trap '' TERM; echo started; while :; do sleep 1; done";
    const killed = await cli(["-T", "--timeout", "3"], ["sh", "-c", stubborn]);
    expect([killed.code, killed.stdout]).toEqual([124, "started\n"]);
    expect(killed.durationMs).toBeLessThan(50_000);
    const left = () => processesOf(devdev().mountPoint).filter((p) => /sleep/.test(p.command));
    await until("the end of the commands", () => left().length === 0, 30_000);
  });

  test("a terminal: size, type, one stream with carriage returns", async () => {
    const { stdout, code } = await terminal(
      [],
      ["sh", "-c", "test -t 0 && test -t 1 && stty size"],
    );
    expect([code, stdout]).toEqual([0, "24 80\r\n"]);
    const piped = await cli(["-T"], ["sh", "-c", "test -t 0 || test -t 1 || echo none"]);
    expect(piped.stdout).toBe("none\n");
  });

  test.skipIf(lacks("script"))(
    "the caller's window size arrives, and so does its change",
    async () => {
      const devdevBin = join(devdev().identity.checkout, "bin/devdev");
      const mark = join(devdev().directory, "winch");
      // The caller's stty changes the rows first, then the columns.
      const inner = `stty size; trap 'stty size | grep -x 44.99 && exit 5' WINCH; : > ${mark}; while :; do sleep 0.1; done`;
      const exec = `${devdevBin} exec -w ${devdev().mountPoint} -- sh -c "${inner}"`;
      const command = `stty rows 33 cols 111; ${exec} </dev/tty & pid=$!
      until [ -e ${mark} ]; do sleep 0.1; done; sleep 1; stty rows 44 cols 99; kill -WINCH $pid; wait $pid; echo code $?`;
      const argv = ["script", "-qec", command, "/dev/null"];
      const result = await devdev().host(["timeout", "-k1", "120", ...argv], {
        env: { SHELL: "/bin/bash" },
      });
      expect(result.stdout).toContain("33 111\r\n");
      expect(result.stdout).toContain("44 99\r\n");
      expect(result.stdout).toContain("code 5");
    },
  );

  test.skipIf(lacks("script"))("Ctrl-C and Ctrl-D reach the command", async () => {
    const devdevBin = join(devdev().identity.checkout, "bin/devdev");
    const at = (inner: string): string => `${devdevBin} exec -w ${devdev().mountPoint} -- ${inner}`;
    const mark = join(devdev().directory, "typed");
    // The keys come when the command is there to get them.
    const typed = (keys: string, inner: string) => {
      const command = at(`sh -c ": > ${mark}; exec ${inner}"`);
      const typing = `until [ -e ${mark} ]; do sleep 0.1; done; sleep 1; printf '${keys}'; sleep 2`;
      const script = `rm -f ${mark}; (${typing}) | script -qec '${command}; echo code $?' /dev/null`;
      return devdev().host(["timeout", "-k1", "120", "bash", "-c", script]);
    };
    expect((await typed("\\003", "sleep 50")).stdout).toContain("code 130");
    expect((await typed("word\\n\\004", "wc -w")).stdout).toMatch(/1\r\ncode 0/);
  });

  test("words that are no UTF-8, empty, or start with dashes arrive as they are", async () => {
    const devdevBin = join(devdev().identity.checkout, "bin/devdev");
    const words = `'' -- --json "$(printf '\\377\\376')" 'a  b'`;
    const script = `exec ${devdevBin} exec -T -w ${devdev().mountPoint} -- printf '[%s]' ${words}`;
    const { bytes } = await devdev().host(["sh", "-c", script]);
    expect(bytes.toString("latin1")).toBe("[][--][--json][\xff\xfe][a  b]");
  });
});

forEachIdentity("the environment of commands", (who) => {
  const devdev = useDevdev(who, "env");
  const env = async (flags: string[], caller: Record<string, string> = {}) => {
    const argv = ["exec", "-w", devdev().mountPoint, ...flags, "--", "env", "-0"];
    const { stdout } = await devdev().ok(argv, {
      env: { SECRET_TOKEN: "x", GH_TOKEN: "y", ...caller },
    });
    const pairs = stdout.split("\0").filter((pair) => pair !== "");
    return Object.fromEntries(
      pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
  };
  const table = () => ({
    HOME: `${devdev().mountPoint}/.devdev/home`,
    TMPDIR: `${devdev().mountPoint}/.devdev/tmp`,
    USER: devdev().identity.user,
    LOGNAME: devdev().identity.user,
    SHELL: "/bin/sh",
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    TERM: "dumb",
    LANG: "C.UTF-8",
    PAGER: "cat",
    GIT_PAGER: "cat",
    GIT_TERMINAL_PROMPT: "0",
    PWD: devdev().mountPoint,
  });

  test("S35 is the table and nothing else", async () => {
    expect(await env(["-T"])).toEqual(table());
    expect(await env(["-t"])).toEqual({ ...table(), COLUMNS: "80", LINES: "24" });
  });

  test("--env, --pass-env and --path add what they name", async () => {
    const flags = [
      "-T",
      "--env",
      "A=b=c",
      "-e",
      "EMPTY=",
      "--pass-env",
      "GH_TOKEN",
      "--pass-env",
      "UNSET",
      "--path",
      "/opt/x",
    ];
    const expected = {
      ...table(),
      A: "b=c",
      EMPTY: "",
      GH_TOKEN: "y",
      PATH: `/opt/x:${table().PATH}`,
    };
    expect(await env(flags)).toEqual(expected);
  });

  test("HOME and TMPDIR are there, private and writable", async () => {
    const script =
      "cd ~ && touch here && ls -A && cd $TMPDIR && mktemp ./XXXX >&2; stat -c '%a %u' ~ .";
    const { stdout } = await devdev().sh(script);
    const uid = devdev().identity.uid;
    expect(stdout).toMatch(new RegExp(`^here\\n7\\d\\d ${uid}\\n1?7\\d\\d ${uid}\\n$`));
  });

  test("an unknown profile and a bad --env are usage errors that name themselves", async () => {
    const where = ["exec", "-w", devdev().mountPoint, "-T"];
    const profile = await devdev().cli([...where, "--profile", "cobol", "--", "true"]);
    expect(profile.code).toBe(125);
    expect(profile.stderr).toMatch(/cobol/);
    const bad = await devdev().cli([...where, "--env", "novalue", "--", "true"]);
    expect(bad.code).toBe(2);
    expect(bad.stderr).toMatch(/novalue/);
  });
});
