// Tar archives beside libarchive (SEMANTICS S56): what bsdtar unpacks of ours is what we have, and
// what it packs in any of its formats is what we get, as far as that format goes.

import { join } from "node:path";
import { expect, test } from "vitest";
import { manifest } from "../fixtures/manifest.ts";
import { Devdev } from "../harness/devdev.ts";
import { forEachIdentity, lacks, useDevdev } from "../harness/suite.ts";

const LONG = `${"d".repeat(120)}/${"e".repeat(120)}`;
const MAKE = `mkdir -p src/deep ${LONG} && seq 1 5000 > src/numbers && mkfifo src/pipe
  head -c 400000 /dev/urandom > src/deep/random && truncate -s 3M src/hole && printf end >> src/hole
  ln src/numbers src/hard && ln -s deep src/soft && ln -s ${LONG} ${LONG}/soft
  chmod 4750 src/hard && printf y > ${LONG}/f && chmod 1777 src
  printf x > "$(printf 'src/\\377\\376')" && touch -d '1999-12-31 23:59:59.987654321' src/deep/random
  python3 -c "import os; os.setxattr('src/numbers', 'user.a', b'kept\\0\\nbytes')"`;

interface Diff {
  entries: { path: string; changed: string[] }[];
}

forEachIdentity("libarchive", (who) => {
  const devdev = useDevdev(who, "bsdtar");
  const file = (name: string): string => join(devdev().directory, name);

  test.skipIf(lacks("bsdtar"))("S56 through bsdtar and back, nothing is different", async () => {
    await devdev().sh(MAKE);
    const { mountPoint } = devdev();
    await devdev().ok(["export", "-w", mountPoint, "--tar", file("ours.tar")]);
    await devdev().mustHost(["mkdir", file("there")]);
    await devdev().mustHost(["bsdtar", "-xp", "-C", file("there"), "-f", file("ours.tar")]);
    const there = ["diff", "-w", mountPoint, "--host", file("there")];
    expect(await devdev().json<Diff>(there)).toEqual({ entries: [] });
    const pack = ["bsdtar", "--format=pax", "-c", "-C", file("there"), "-f", file("theirs.tar")];
    await devdev().mustHost([...pack, "."]);
    await using other = await Devdev.create(devdev().identity, "bsdtar");
    await other.ok(["import", "--tar", file("theirs.tar"), "--name", "received"]);
    await other.mount("--name", "received");
    expect(await manifest(other)).toBe(await manifest(devdev()));
  });

  test.skipIf(lacks("bsdtar"))("its other formats and its compression are read", async () => {
    // What each has no place for: long names, xattrs, parts of a second, special files.
    const formats = { gnutar: [], ustar: ["--gzip"], pax: ["--zstd"] };
    for (const [format, flags] of Object.entries(formats)) {
      const archive = file(`${format}.tar`);
      const pack = [
        "bsdtar",
        `--format=${format}`,
        ...flags,
        "-c",
        "-f",
        archive,
        "numbers",
        "hard",
      ];
      await devdev().mustHost([...pack, "soft", "deep"], { cwd: file("there/src") });
      await devdev().ok(["import", "--tar", archive, "--name", format]);
      const compared = ["diff", "-w", format, "--host", file("there/src")];
      const { entries } = await devdev().json<Diff>(compared);
      const packed = entries.filter(({ path }) => /^\/(numbers|hard|soft|deep)/.test(path));
      const lost = new Set(packed.flatMap(({ changed }) => changed));
      expect([format, [...lost].sort()]).toEqual([
        format,
        format === "pax" ? [] : ["mtime", "xattrs"],
      ]);
    }
  });
});
