// docs/FORMAT.md is enough to read exports and stores from: readers in Python, written from that
// page alone (test/fixtures/read_export.py, read_store.py), see the same as a program in the mount.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { forEachIdentity, lacks, useDevdev } from "../harness/suite.ts";

const READER = join(import.meta.dirname, "../fixtures/read_export.py");
const STORE_READER = join(import.meta.dirname, "../fixtures/read_store.py");
const MAKE = `mkdir -p src/deep && seq 1 9000 > src/numbers && mkfifo src/pipe
  head -c 100000 /dev/urandom > src/deep/random && cp src/deep/random src/same
  truncate -s 3M src/hole && printf end >> src/hole && truncate -s 70000 src/nothing
  seq 1 200000 > src/long && mkdir src/many
  i=0; while [ $i -lt 200 ]; do echo $i > src/many/f$i; i=$((i+1)); done
  ln src/numbers src/hard && ln -s deep src/soft && chmod 4750 src/hard && : > src/empty
  printf x > "$(printf 'src/\\377\\376')" && touch -d '1960-12-31 23:59:59.99' src/deep/random
  printf room > src/room && fallocate -n -l 200000 src/room && truncate -s 100000 src/zeros
  python3 -c "import os; os.setxattr('src/numbers', 'user.note', b'kept\\0bytes')"
  ln src/soft src/deep/soft && ln src/soft .devdev/home/soft && ln src/deep/random src/a-link
  dd if=/dev/zero of=src/zeros bs=4096 count=3 conv=notrunc status=none`;

/** The same lines as the reader's, from the system calls of a program in the mount. */
const SEE = `
import hashlib, json, os, stat
def see(path, shown):
    s = os.lstat(path)
    names = sorted(os.listxattr(path, follow_symlinks=False))
    xattrs = {n.encode().hex(): os.getxattr(path, n, follow_symlinks=False).hex() for n in names}
    line = {"path": shown.hex(), "mode": s.st_mode, "uid": s.st_uid, "gid": s.st_gid,
            "mtime": str(s.st_mtime_ns), "xattrs": xattrs,
            "nlink": 1 if stat.S_ISDIR(s.st_mode) else s.st_nlink}
    if stat.S_ISLNK(s.st_mode): line["target"] = os.readlink(path).hex()
    if stat.S_ISREG(s.st_mode):
        data = open(path, "rb").read()
        line.update(size=len(data), allocated=s.st_blocks * 512,
                    sha256=hashlib.sha256(data).hexdigest())
    print(json.dumps(line, sort_keys=True))
def tree(top, prefix):
    see(top, prefix or b"/")
    for at, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(at, name)
            see(path, prefix + path[len(top):])
tree(b".", b"")
tree(b".devdev/home", b"/.devdev/home")
`;

forEachIdentity("the export format", (who) => {
  const devdev = useDevdev(who, "format");
  const file = (name: string): string => join(devdev().directory, name);

  test.skipIf(lacks("zstd"))("an independent reader sees what the mount shows", async () => {
    await devdev().sh(MAKE);
    const seen = await devdev().exec(["python3", "-c", SEE]);
    const snapshot = ["snapshot", "-w", devdev().mountPoint, "--name", "read"];
    const { id } = await devdev().json<{ id: string }>(snapshot);
    await devdev().ok(["export", "-w", devdev().mountPoint, file("export"), "read"]);
    const read = await devdev().mustHost(["python3", READER, file("export")]);
    const sorted = (text: string): string[] => text.split("\n").filter(Boolean).toSorted();
    expect(sorted(read.stdout)).toEqual(sorted(seen.stdout));
    expect(sorted(read.stdout).length).toBeGreaterThan(200);
    const named = await devdev().mustHost(["python3", READER, "--id", file("export")]);
    expect(named.stdout.trim()).toBe(id);
  });

  test.skipIf(lacks("zstd"))("so does one of the store's pages and blocks", async () => {
    const database = join(devdev().home, "store/devdev.sqlite");
    const [workspace] = await devdev().json<{ name: string }[]>(["ls"]);
    const reader = ["python3", STORE_READER, database, workspace!.name, "read"];
    const read = await devdev().mustHost(reader);
    const exported = await devdev().mustHost(["python3", READER, file("export")]);
    expect(read.stdout).toBe(exported.stdout);
  });

  test.skipIf(lacks("zstd"))("and refuses what was changed", async () => {
    const whole = readFileSync(file("export"));
    for (const place of [0, 8, 12, whole.length >> 1, whole.length - 1]) {
      const damaged = Buffer.from(whole);
      damaged[place]! ^= 1;
      writeFileSync(file("damaged"), damaged, { mode: 0o644 });
      const { code, stderr } = await devdev().host(["python3", READER, file("damaged")]);
      expect([place, code, stderr]).toEqual([place, 1, expect.stringMatching(/^refused: /)]);
    }
  });
});
