// The engine from the outside: limits, names, clock, freezing, restoring, comparing, many calls at
// once.

import { describe, expect, it } from "vitest";
import { PersistJob, pinnedBlocks, Tree, Vfs } from "@devdev/vfs";

const code = (expected: string): unknown => expect.objectContaining({ code: expected });

describe("limits", () => {
  it("answers ENOSPC beyond the bytes, and changes nothing", async () => {
    using vfs = Vfs.create({ maxBytes: 100 * 4096 });
    await vfs.fs.writeFile("/full", Buffer.alloc(90 * 4096, 1));
    const before = vfs.usage();
    expect(() => vfs.fs.writeFileSync("/more", Buffer.alloc(20 * 4096, 2))).toThrow(
      expect.objectContaining({ code: "ENOSPC", syscall: "write" }),
    );
    expect(vfs.fs.statSync("/more").size).toBe(0);
    expect(vfs.usage().bytes).toBe(before.bytes);
    vfs.fs.unlinkSync("/full");
    vfs.fs.writeFileSync("/more", Buffer.alloc(20 * 4096, 2));
    const { bsize, blocks, bfree } = vfs.fs.statfsSync("/");
    expect([bsize, blocks]).toEqual([4096, 100]);
    expect(bfree).toBe(80);
  });

  it("answers ENOSPC beyond the inodes", () => {
    using vfs = Vfs.create({ maxInodes: 20 });
    const made: string[] = [];
    expect(() => {
      for (let n = 0; ; n++) {
        vfs.fs.writeFileSync(`/${n}`, "");
        made.push(`/${n}`);
      }
    }).toThrow(code("ENOSPC"));
    expect(made.length).toBeGreaterThan(10);
    expect(() => vfs.fs.mkdirSync("/d")).toThrow(code("ENOSPC"));
    vfs.fs.unlinkSync("/0");
    vfs.fs.mkdirSync("/d");
    expect(vfs.usage()).toMatchObject({ inodes: 20, maxInodes: 20 });
  });
});

describe("names", () => {
  it("takes any bytes but / and NUL, and gives them back", async () => {
    using vfs = Vfs.create();
    const odd = Buffer.from([0x2f, 0xff, 0xfe, 0x80, 0x0a]);
    await vfs.fs.writeFile(odd, "odd");
    expect(vfs.fs.readdirSync("/", "buffer")).toEqual([odd.subarray(1)]);
    expect((await vfs.fs.readFile(odd)).toString()).toBe("odd");
    expect(vfs.fs.readdirSync("/", { encoding: "latin1" })).toEqual(["\xff\xfe\x80\n"]);
    vfs.fs.symlinkSync(odd, "/link");
    expect(vfs.fs.readlinkSync("/link", "buffer")).toEqual(odd);
    expect(vfs.fs.realpathSync("/link", "buffer")).toEqual(odd);
    const empty = Vfs.create().freeze();
    const [change] = await empty.diff(vfs.freeze());
    expect(change).toMatchObject({ kind: "added", path: "/link" });
    const paths = (await empty.diff(vfs.freeze())).map(({ path }) => path);
    expect(paths).toContainEqual({ b64: odd.toString("base64") });
  });

  it("keeps .devdev out of listings and from being taken", () => {
    using vfs = Vfs.create();
    expect(vfs.fs.readdirSync("/")).toEqual([]);
    expect(vfs.fs.readdirSync("/.devdev")).toEqual(["home", "snapshots", "tmp"]);
    expect(() => vfs.fs.rmSync("/.devdev", { recursive: true })).toThrow(/^E/);
    expect(() => vfs.fs.renameSync("/.devdev", "/x")).toThrow(/^E/);
    vfs.fs.writeFileSync("/.devdev/home/profile", "kept");
    vfs.fs.writeFileSync("/.devdev/tmp/scratch", "not kept");
    expect(() => vfs.fs.renameSync("/.devdev/tmp/scratch", "/scratch")).toThrow(code("EXDEV"));
    using fork = Vfs.fromTree(vfs.freeze());
    expect(fork.fs.readdirSync("/.devdev/home")).toEqual(["profile"]);
    expect(fork.fs.readdirSync("/.devdev/tmp")).toEqual([]);
  });
});

describe("time travel", () => {
  it("gives the same ids for the same calls under the same clock", async () => {
    const run = async (): Promise<string[]> => {
      let now = 1_000_000_000_123_456_789n;
      using vfs = Vfs.create({ clock: () => (now += 1_000_000_007n), uid: 7, gid: 8 });
      vfs.fs.mkdirSync("/d");
      await vfs.fs.writeFile("/d/f", "content");
      const { mtimeNs, birthtimeNs, uid } = vfs.fs.statSync("/d/f", { bigint: true });
      expect(uid).toBe(7n);
      return [await vfs.freeze().contentId(), String(mtimeNs), String(birthtimeNs)];
    };
    const [first, second] = [await run(), await run()];
    expect(first).toEqual(second);
    expect(first[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(first[1]).toBe("1000000003123456810");
  });

  it("freezes, compares, restores and forks", async () => {
    using vfs = Vfs.create();
    vfs.fs.writeFileSync("/same", "same");
    vfs.fs.writeFileSync("/changed", "before");
    vfs.fs.writeFileSync("/moved", "moved");
    vfs.fs.symlinkSync("same", "/link");
    const before = vfs.freeze();
    expect(before.pauseNs).toBeGreaterThan(0);
    vfs.fs.writeFileSync("/changed", "after!!");
    vfs.fs.renameSync("/moved", "/elsewhere");
    vfs.fs.chmodSync("/same", 0o600);
    vfs.fs.unlinkSync("/link");
    vfs.fs.writeFileSync("/new", "new");
    const after = vfs.freeze();
    const changes = await before.diff(after);
    expect(changes.map(({ kind, path, oldPath }) => [kind, path, oldPath])).toEqual([
      ["modified", "/changed", undefined],
      ["renamed", "/elsewhere", "/moved"],
      ["removed", "/link", undefined],
      ["added", "/new", undefined],
      ["modified", "/same", undefined],
    ]);
    expect(changes[0]).toMatchObject({ changed: ["content", "mtime"], oldSize: 6, newSize: 7 });
    expect(changes[4]).toMatchObject({ changed: ["mode"], oldMode: 0o644, newMode: 0o600 });
    expect(String(await before.readFile("/changed"))).toBe("before");
    expect(String(await before.readlink("/link"))).toBe("same");
    await expect(after.readFile("/link")).rejects.toMatchObject({ code: "ENOENT", path: "/link" });
    await expect(after.readFile("/")).rejects.toMatchObject({ code: "EISDIR" });

    using fork = Vfs.fromTree(before);
    const report = await vfs.restore(before);
    expect(report.namesChanged).toBe(4);
    expect(vfs.fs.readFileSync("/changed", "utf8")).toBe("before");
    expect(vfs.fs.readdirSync("/")).toEqual(["changed", "link", "moved", "same"]);
    expect(await vfs.freeze().contentId()).toBe(await before.contentId());
    fork.fs.writeFileSync("/changed", "in the fork");
    expect(vfs.fs.readFileSync("/changed", "utf8")).toBe("before");
  });

  it("reaches engines and trees by number, and not after they are closed", () => {
    const vfs = Vfs.create();
    const attached = Vfs.attach(vfs.handle);
    attached.fs.writeFileSync("/f", "one engine");
    expect(vfs.fs.readFileSync("/f", "utf8")).toBe("one engine");
    const tree = vfs.freeze();
    const second = Tree.attach(tree.handle);
    tree.dispose();
    expect(second.inodes).toBe(tree.inodes);
    expect(() => Tree.attach(tree.handle)).toThrow(code("ERR_CLOSED"));
    attached.close();
    expect(vfs.changeCount()).toBe(vfs.changeCount());
    vfs.close();
    expect(() => vfs.fs.readFileSync("/f")).toThrow(code("ERR_CLOSED"));
    expect(() => Vfs.attach(vfs.handle)).toThrow(code("ERR_CLOSED"));
  });

  it("names the blocks of stored files that lost their name while open", async () => {
    using vfs = Vfs.create();
    await vfs.fs.writeFile("/f", "f".repeat(5000));
    using job = PersistJob.start(vfs.freeze());
    const ids = await job.hash();
    job.setMissing(new Uint8Array([0xff]));
    while ((await job.blocks()).length > 0);
    while ((await job.pages()).length > 0);
    job.committed();
    const file = await vfs.fs.open("/f");
    expect(pinnedBlocks(vfs.handle).length).toBe(0);
    vfs.fs.unlinkSync("/f");
    expect(Buffer.from(pinnedBlocks(vfs.handle))).toEqual(Buffer.from(ids));
    await file.close();
    expect(pinnedBlocks(vfs.handle).length).toBe(0);
  });

  it("counts changes and dirty bytes", () => {
    using vfs = Vfs.create();
    const start = vfs.changeCount();
    vfs.fs.writeFileSync("/f", Buffer.alloc(8192, 1));
    expect(vfs.changeCount()).not.toBe(start);
    expect(vfs.usage().dirtyBytes).toBe(8192);
    vfs.markClean(vfs.freeze());
    expect(vfs.usage().dirtyBytes).toBe(0);
    const count = vfs.changeCount();
    vfs.fs.readFileSync("/f");
    expect(vfs.changeCount()).toBe(count);
  });
});

it("copies what a call is given before it returns (S41)", async () => {
  using vfs = Vfs.create();
  const buffer = Buffer.alloc(200_000, "a");
  const path = Buffer.from("/first");
  const writing = vfs.fs.writeFile(path, buffer);
  buffer.fill("b");
  path.write("/other");
  await writing;
  expect(vfs.fs.readdirSync("/")).toEqual(["first"]);
  expect(vfs.fs.readFileSync("/first").equals(Buffer.alloc(200_000, "a"))).toBe(true);
});

it("serves many calls at once", { timeout: 240_000 }, async () => {
  using vfs = Vfs.create();
  const worker = async (n: number): Promise<void> => {
    const dir = `/w${n % 4}`;
    await vfs.fs.mkdir(dir, { recursive: true });
    for (let i = 0; i < 60; i++) {
      const path = `${dir}/${n}-${i}`;
      await vfs.fs.writeFile(path, `${n} ${i}`);
      await vfs.fs.rename(path, `${path}.x`);
      expect(await vfs.fs.readFile(`${path}.x`, "utf8")).toBe(`${n} ${i}`);
      if (i % 3 === 0) await vfs.fs.unlink(`${path}.x`);
      if (i % 10 === 0) vfs.freeze().dispose();
      await vfs.fs.readdir(dir);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, n) => worker(n)));
  const left = vfs.fs.readdirSync("/", { recursive: true }).filter((name) => name.endsWith(".x"));
  expect(left.length).toBe(16 * 40);
  // root, home, tmp, four directories and the files: nothing leaked.
  expect(vfs.usage().inodes).toBe(3 + 4 + 16 * 40);
});
