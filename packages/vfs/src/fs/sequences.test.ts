// Random sequences of calls on node:fs and on an engine: after each call the outcomes agree, at the
// end the trees. Few names, so that they collide. A failure prints fast-check's seed and the
// shortest sequence it found.

import * as nodeFs from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { comparable, comparableTree, type SyncFs } from "@devdev/testing";
import { Vfs } from "@devdev/vfs";

process.umask(0o022);
const host = mkdtempSync(join(tmpdir(), "devdev-seq-"));
afterAll(() => rmSync(host, { recursive: true, force: true }));

type Step = [name: string, ...args: unknown[]];
const at = (path: string) => ({ path });

const path = fc
  .constantFrom("/a", "/b", "/c", "/a/a", "/a/b", "/b/a", "/b/b", "/a/a/a", "/c/a")
  .map(at);
const bytes = fc.nat(3).chain((n) => fc.constantFrom("", "x", "hello", "y".repeat(5000 * n)));
const size = fc.constantFrom(0, 1, 4095, 4096, 4097, 70_000, 200_000);
const mode = fc.constantFrom(0o600, 0o755, 0o4755, 0o2770, 0o1777);
const target = fc.constantFrom("a", "b", "../a", "a/b", "../b/b", "nowhere");

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant("writeFile"), path, bytes),
  fc.tuple(fc.constant("appendFile"), path, bytes),
  fc.tuple(fc.constant("truncate"), path, size),
  fc.tuple(fc.constant("mkdir"), path),
  fc.tuple(fc.constant("mkdir"), path, fc.constant({ recursive: true })),
  fc.tuple(fc.constant("rmdir"), path),
  fc.tuple(fc.constant("unlink"), path),
  fc.tuple(fc.constant("rm"), path, fc.constant({ recursive: true })),
  fc.tuple(fc.constant("rename"), path, path),
  fc.tuple(fc.constant("link"), path, path),
  fc.tuple(fc.constant("symlink"), target, path),
  fc.tuple(fc.constant("chmod"), path, mode),
  fc.tuple(fc.constant("chown"), path, fc.nat(3), fc.nat(3)),
  fc.tuple(fc.constant("utimes"), path, fc.nat(99), fc.nat(99)),
  fc.tuple(fc.constant("stat"), path),
  fc.tuple(fc.constant("readFile"), path, fc.constant("latin1")),
  fc.tuple(fc.constant("readdir"), path),
);

function outcome(fs: SyncFs, root: string, [name, ...args]: Step): unknown {
  const placed = args.map((arg) =>
    typeof arg === "object" && arg !== null && "path" in arg ? root + String(arg.path) : arg,
  );
  try {
    return comparable(name, fs[`${name}Sync`]?.(...placed), root);
  } catch (error) {
    return comparable(name, error, root);
  }
}

let runs = 0;
it("agrees with node:fs on random sequences", { timeout: 400_000 }, () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      // A directory above each root, because symlinks may lead out of it.
      const above = join(host, String(runs++));
      const root = join(above, "w");
      nodeFs.mkdirSync(root, { recursive: true });
      using vfs = Vfs.create();
      vfs.fs.mkdirSync("/w");
      const node = nodeFs as unknown as SyncFs;
      const ours = vfs.fs as unknown as SyncFs;
      for (const one of steps) {
        expect([one, outcome(ours, "/w", one)]).toEqual([one, outcome(node, root, one)]);
      }
      expect(comparableTree(ours, "/w")).toEqual(comparableTree(node, root));
      rmSync(above, { recursive: true });
    }),
    { numRuns: Number(process.env.DEVDEV_RUNS ?? 300) },
  );
});
