// The contract of snapshots, restore, diff and bytes, and of a workspace's beginning and end.

import assert from "node:assert/strict";
import { type ContractCase, onWorkspace, rejection } from "./contract.js";

const PATCH = `--- a/f
+++ b/f
@@ -1,1 +1,1 @@
-one
+two
`;

export const timeCases: ContractCase[] = [
  onWorkspace("snapshot, change, restore, undo", async (workspace) => {
    const { fs } = workspace;
    await fs.writeFile("/f", "one\n");
    const first = await workspace.snapshot({ name: "good", message: "first" });
    assert.match(first.id, /^[0-9a-f]{64}$/);
    const { name, message, sequence, automatic, filesChanged } = first;
    assert.deepEqual(
      [name, message, sequence, automatic, filesChanged],
      ["good", "first", 1, false, 1],
    );
    assert.ok(first.durationMs >= 0 && first.pauseMs >= 0 && first.inodes >= 2);
    await fs.writeFile("/f", "two\n");
    await fs.mkdir("/new");
    const restored = await workspace.restore("good");
    assert.deepEqual([restored.id, restored.before.automatic], [first.id, true]);
    assert.ok(restored.filesChanged >= 2 && restored.durationMs >= 0);
    assert.equal(fs.readFileSync("/f", "utf8"), "one\n");
    assert.equal(fs.existsSync("/new"), false);
    await workspace.restore(restored.before.id);
    assert.equal(await fs.readFile("/f", "utf8"), "two\n");
    const all = await workspace.snapshots();
    assert.deepEqual(
      all.map((s) => s.sequence),
      [1, 2, 3],
    );
    assert.equal(all[0]?.id, first.id);
  }),

  onWorkspace("a snapshot is found by id, prefix, name, #n and -n", async (workspace) => {
    const { fs } = workspace;
    const ids: string[] = [];
    for (const text of ["a", "b", "c"]) {
      await fs.writeFile("/f", text);
      ids.push((await workspace.snapshot({ name: `s-${text}` })).id);
    }
    const restored = async (ref: string | number): Promise<string> => {
      await workspace.restore(ref);
      return fs.readFile("/f", "utf8");
    };
    assert.equal(await restored(ids[0] ?? ""), "a");
    assert.equal(await restored((ids[1] ?? "").slice(0, 12)), "b");
    assert.equal(await restored("s-c"), "c");
    assert.equal(await restored("#2"), "b");
    // The newest is now the state before the restore above.
    assert.equal(await restored(-1), "c");
    assert.equal(await restored("-1"), "b");
  }),

  onWorkspace("unknown and ambiguous references are refused", async (workspace) => {
    const none = await rejection(workspace.restore("nothing"));
    assert.equal(none["code"], "ERR_NO_SNAPSHOT");
    assert.equal(none.message, "there is no snapshot nothing");
    assert.equal(none["hint"], "take one first: the workspace has none");
    await workspace.snapshot({ name: "taken" });
    assert.equal((await rejection(workspace.restore(-2)))["code"], "ERR_NO_SNAPSHOT");
    assert.equal((await rejection(workspace.restore(0)))["code"], "ERR_NO_SNAPSHOT");
    assert.equal((await rejection(workspace.restore("")))["code"], "ERR_NO_SNAPSHOT");
    assert.equal((await rejection(workspace.diff("x", "y")))["code"], "ERR_NO_SNAPSHOT");
    assert.equal((await rejection(workspace.snapshot({ name: "taken" })))["code"], "EEXIST");
    const bad = await rejection(workspace.snapshot({ name: "-1" }));
    assert.deepEqual([bad instanceof RangeError, bad["code"]], [true, "ERR_INVALID_ARG_VALUE"]);
    assert.equal((await workspace.snapshots()).length, 1);
  }),

  onWorkspace("diff lists, counts and patches", async (workspace) => {
    const { fs } = workspace;
    await fs.writeFile("/f", "one\n");
    await fs.writeFile("/gone", "x");
    await workspace.snapshot({ name: "before" });
    await fs.writeFile("/f", "two\n");
    await fs.rm("/gone");
    await fs.writeFile(Buffer.from([0x2f, 0xff]), "");
    const { entries, stats, patch } = await workspace.diff(undefined, undefined, {
      patch: true,
      stat: true,
    });
    const odd = { b64: Buffer.from([0x2f, 0xff]).toString("base64") };
    const found = entries.map(({ kind, path }) => ({ kind, path }));
    const known = [
      { kind: "added", path: odd },
      { kind: "modified", path: "/f" },
      { kind: "removed", path: "/gone" },
    ];
    assert.deepEqual(new Set(found), new Set(known));
    assert.ok(stats?.some((s) => s.path === "/f" && s.added === 1 && s.removed === 1));
    const text = typeof patch === "string" ? patch : "";
    assert.ok(text.includes("-one\n+two\n"), `${text} is like ${PATCH}`);
    const pieces: Buffer[] = [];
    for await (const piece of workspace.patch()) pieces.push(piece);
    assert.equal(Buffer.concat(pieces).toString(), text);
    await workspace.snapshot({ name: "after" });
    const between = await workspace.diff("before", "after");
    assert.deepEqual(between.entries.length, entries.length);
    assert.deepEqual([between.stats, between.patch], [undefined, undefined]);
    assert.deepEqual((await workspace.diff()).entries, []);
  }),

  {
    name: "toBytes and fromBytes make an equal workspace",
    async run(maker) {
      await using workspace = await maker.create();
      await workspace.fs.writeFile("/big", Buffer.alloc(3 * 2 ** 20, "abc"));
      await workspace.fs.symlink("big", "/link");
      const taken = await workspace.snapshot({ name: "s" });
      const bytes = await taken.toBytes();
      assert.deepEqual(await (await workspace.snapshots())[0]?.toBytes(), bytes);
      await using copy = await maker.fromBytes(bytes, { maxBytes: 2 ** 24 });
      assert.notEqual(copy.id, workspace.id);
      assert.match(copy.name, /^[a-z]+-[a-z]+(-\d+)?$/);
      assert.equal(copy.fs.readFileSync("/link").length, 3 * 2 ** 20);
      assert.equal((await copy.usage()).maxBytes, 2 ** 24);
      const [snapshot] = await copy.snapshots();
      assert.equal(snapshot?.id, taken.id);
      assert.deepEqual(await snapshot?.toBytes(), bytes);
      const damaged = Buffer.from(bytes);
      damaged[damaged.length >> 1]! ^= 1;
      await rejection(maker.fromBytes(damaged));
      await rejection(maker.fromBytes(Buffer.from("nonsense")));
    },
  },

  {
    name: "a name is kept, unique and checked",
    async run(maker) {
      const name = `named-${process.pid}-${Math.trunc(performance.now())}`;
      await using workspace = await maker.create({ name });
      assert.equal(workspace.name, name);
      assert.match(workspace.id, /^[0-9a-f]{16}$/);
      for (const bad of ["a/b", "-w", ""]) {
        const error = await rejection(maker.create({ name: bad }));
        assert.deepEqual(
          [error instanceof RangeError, error["code"]],
          [true, "ERR_INVALID_ARG_VALUE"],
        );
      }
      for (const maxBytes of [0, -1, 1.5]) {
        assert.equal((await rejection(maker.create({ maxBytes })))["code"], "ERR_OUT_OF_RANGE");
      }
    },
  },

  onWorkspace("without a mount there are no commands", async (workspace) => {
    assert.equal(workspace.mountPoint, undefined);
    const error = await rejection(workspace.exec("true"));
    assert.equal(error["code"], "ERR_NOT_MOUNTED");
    assert.equal((await rejection(workspace.unmount()))["code"], "ERR_NOT_MOUNTED");
    assert.deepEqual(await workspace.processes(), []);
    await workspace.checkpoint();
  }),

  {
    name: "closed twice is closed; what comes later is refused",
    async run(maker) {
      const workspace = await maker.create();
      await workspace.fs.writeFile("/f", "");
      await Promise.all([workspace.close(), workspace.close()]);
      await workspace.close();
      await rejection(workspace.fs.readFile("/f"));
      assert.throws(() => workspace.fs.readFileSync("/f"));
      await rejection(workspace.snapshot());
    },
  },
];
