// Tar archives (SEMANTICS S56): GNU tar and Python's tarfile read ours, we read theirs, and all
// that tar can say of a file comes through. What is hostile is refused without a trace.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { manifest } from "../fixtures/manifest.ts";
import { Devdev } from "../harness/devdev.ts";
import { forEachIdentity, useDevdev } from "../harness/suite.ts";

const LONG = `${"d".repeat(120)}/${"e".repeat(120)}`;
const MAKE = `mkdir -p src/deep ${LONG} && seq 1 5000 > src/numbers && mkfifo src/pipe
  head -c 400000 /dev/urandom > src/deep/random && truncate -s 3M src/hole && printf end >> src/hole
  truncate -s 100000 src/nothing && ln src/numbers src/hard && ln -s deep src/soft
  ln -s ${LONG} ${LONG}/soft && chmod 4750 src/hard && printf y > ${LONG}/f
  printf x > "$(printf 'src/\\377\\376')" && touch -d '1999-12-31 23:59:59.987654321' src/deep/random
  touch -d '1960-01-01 00:00:00.5' src/deep && chmod 1777 src
  python3 -c "import os; os.setxattr('src/numbers', 'user.a=%3D', b'kept\\0\\nbytes')"`;

/** What GNU tar keeps of everything: it is told to keep as much as it can. */
const EXTRACT = ["tar", "--xattrs", "--xattrs-include=user.*", "-p", "-x"];
const CREATE = ["tar", "--format=posix", "--xattrs", "--xattrs-include=user.*", "--sparse", "-c"];

/** Python's view of an archive: names, types, sizes and content. */
const LIST = `
import hashlib, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    for m in sorted(archive, key=lambda m: m.name):
        data = archive.extractfile(m).read() if m.isreg() else b""
        print(ascii(m.name), m.type, m.size, oct(m.mode), m.uid, m.gid, ascii(m.linkname),
              hashlib.sha256(data).hexdigest())
`;

forEachIdentity("tar archives", (who) => {
  const devdev = useDevdev(who, "tar");
  const file = (name: string): string => join(devdev().directory, name);
  const at = (verb: string, ...args: string[]) => [verb, "-w", devdev().mountPoint, ...args];

  test("S56 through GNU tar and back, nothing is different", async () => {
    await devdev().sh(MAKE);
    await devdev().ok(at("export", "--tar", file("ours.tar")));
    await devdev().mustHost(["mkdir", file("there")]);
    await devdev().mustHost([...EXTRACT, "-C", file("there"), "-f", file("ours.tar")]);
    // One block of data, and 3 MiB of nothing.
    const blocks = (await devdev().mustHost(["stat", "-c", "%b", file("there/src/hole")])).stdout;
    expect(Number(blocks)).toBeLessThan(1000);
    expect(await devdev().json(at("diff", "--host", file("there")))).toEqual({ entries: [] });
    await devdev().mustHost([...CREATE, "-C", file("there"), "-f", file("theirs.tar"), "."]);
    await using other = await Devdev.create(devdev().identity, "tar");
    await other.ok(["import", "--tar", file("theirs.tar"), "--name", "received"]);
    await other.mount("--name", "received");
    expect(await manifest(other)).toBe(await manifest(devdev()));
  });

  test("Python's tarfile reads ours, and we read its", async () => {
    const ours = await devdev().mustHost(["python3", "-c", LIST, file("ours.tar")]);
    const theirs = await devdev().mustHost(["python3", "-c", LIST, file("theirs.tar")]);
    expect(ours.stdout).toBe(theirs.stdout);
    const pack = `import sys, tarfile
with tarfile.open(sys.argv[1], "w:gz", format=tarfile.PAX_FORMAT) as t: t.add(sys.argv[2], ".")`;
    await devdev().mustHost(["python3", "-c", pack, file("python.tar.gz"), file("there")]);
    await devdev().ok(["import", "--tar", file("python.tar.gz"), "--name", "python"]);
    const there = ["diff", "-w", "python", "--host", file("there"), "--json"];
    const { entries } = JSON.parse((await devdev().ok(there)).stdout) as {
      entries: { changed: string[] }[];
    };
    // It keeps no extended attributes; both names of the file had them.
    expect(entries.map(({ changed }) => changed[0])).toEqual(["xattrs", "xattrs"]);
  });

  test("standard output and input, compressed or not", async () => {
    const script = `"$0" export -w "$1" --tar - | gzip | "$0" import --tar - --name piped`;
    const bin = join(devdev().identity.checkout, "bin/devdev");
    await devdev().mustHost(["sh", "-euc", script, bin, devdev().mountPoint]);
    const again = `"$0" export -w piped --tar - | cmp - "$1"`;
    await devdev().mustHost(["sh", "-euc", again, bin, file("ours.tar")]);
    const old = { gnu: "--sparse -c hole nothing deep", ustar: "-c", v7: "-c" };
    for (const [name, how] of Object.entries(old)) {
      const make = `cd "$2" && tar --format=$1 ${how} numbers soft |
        "$0" import --tar - --name "$1"`;
      await devdev().mustHost(["sh", "-euc", make, bin, name, file("there/src")]);
      const diff = await devdev().json<{ entries: { path: string }[] }>([
        "diff",
        "-w",
        name,
        "--host",
        file("there/src"),
      ]);
      const paths = diff.entries.map(({ path }) => path);
      const told = name === "gnu" ? /^\/(deep|soft|hole|nothing)/ : /^\/soft/;
      expect(paths.filter((path) => told.test(path))).toEqual([]);
    }
  });

  test("hostile archives leave nothing behind", async () => {
    const evil = file("evil.tar");
    const before = (await devdev().json<unknown[]>(["ls"])).length;
    const outside = file("outside");
    mkdirSync(outside);
    const members = [
      `i = tarfile.TarInfo("../outside/x"); t.addfile(i)`,
      `i = tarfile.TarInfo("l"); i.type = b"2"; i.linkname = ${JSON.stringify(outside)}; t.addfile(i)
i = tarfile.TarInfo("l/x"); t.addfile(i)`,
      `i = tarfile.TarInfo("h"); i.type = b"1"; i.linkname = "/etc/passwd"; t.addfile(i)`,
      `i = tarfile.TarInfo("f"); i.size = 1 << 40; t.addfile(i)`,
    ];
    for (const member of members) {
      const make = `import tarfile\nt = tarfile.open(${JSON.stringify(evil)}, "w")\n${member}\nt.close()`;
      execFileSync("python3", ["-c", make]);
      const refused = await devdev().cli(["import", "--tar", evil, "--name", "evil"]);
      expect([member, refused.code]).toEqual([member, 1]);
      expect(refused.stderr).toMatch(/^devdev: the archive is (damaged|cut short)[^\n]*\n$/);
    }
    const whole = readFileSync(file("ours.tar"));
    for (const cut of [0, 600, whole.length >> 1]) {
      writeFileSync(evil, whole.subarray(0, cut));
      expect((await devdev().cli(["import", "--tar", evil])).code).toBe(1);
    }
    expect((await devdev().json<unknown[]>(["ls"])).length).toBe(before);
    expect(existsSync(join(outside, "x"))).toBe(false);
  });
});
