// Promises of small calls are answered on the calling thread: nobody can tell but by the clock.

import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Vfs } from "../vfs.js";

test("a program that awaits call after call still gets its events", async () => {
  using vfs = Vfs.create();
  await vfs.fs.writeFile("/file", "content");
  const calls = [
    () => vfs.fs.stat("/file"),
    () => vfs.fs.readFile("/file"),
    () => vfs.fs.writeFile("/file", "other"),
    () => vfs.fs.access("/none").catch(() => {}),
  ];
  for (const call of calls) {
    const seen = { event: false, calls: 0 };
    const event = turn().then(() => (seen.event = true));
    for (; !seen.event && seen.calls < 10_000; seen.calls++) await call();
    expect(seen.calls).toBeLessThan(1000);
    await event;
  }
});

test("the promise form does what the sync form does, call after call", async () => {
  using vfs = Vfs.create();
  const { fs } = vfs;
  // More than are answered at once in a row, so that both ways are taken.
  for (let i = 0; i < 100; i++) {
    const content = Buffer.alloc(i * 1000, `${i} `);
    await fs.mkdir(`/dir-${i}`, { mode: 0o700 });
    await fs.writeFile(`/dir-${i}/new`, content, { mode: 0o640 });
    await fs.rename(`/dir-${i}/new`, `/dir-${i}/file`);
    expect(await fs.readFile(`/dir-${i}/file`)).toEqual(content);
    expect(await fs.stat(`/dir-${i}/file`)).toEqual(fs.statSync(`/dir-${i}/file`));
    expect(await fs.access(`/dir-${i}/file`)).toBe(undefined);
    if (i % 2 === 0) await fs.unlink(`/dir-${i}/file`);
    expect(fs.readdirSync(`/dir-${i}`)).toEqual(i % 2 === 0 ? [] : ["file"]);
  }
  const stat = await fs.stat("/dir-1/file", { bigint: true });
  expect([stat.mode & 0o7777n, stat.size]).toEqual([0o640n, 1000n]);
});

test("a failure rejects, with the fields of the sync form's", async () => {
  using vfs = Vfs.create();
  const { fs } = vfs;
  fs.mkdirSync("/dir");
  const pairs: [() => Promise<unknown>, () => unknown][] = [
    [() => fs.stat("/none"), () => fs.statSync("/none")],
    [() => fs.readFile("/dir"), () => fs.readFileSync("/dir")],
    [() => fs.readFile("/none", "utf8"), () => fs.readFileSync("/none", "utf8")],
    [() => fs.writeFile("/dir", ""), () => fs.writeFileSync("/dir", "")],
    [() => fs.access("/none"), () => fs.accessSync("/none")],
    [() => fs.mkdir("/dir"), () => fs.mkdirSync("/dir")],
    [() => fs.rename("/none", "/to"), () => fs.renameSync("/none", "/to")],
    [() => fs.unlink("/dir"), () => fs.unlinkSync("/dir")],
  ];
  const fields = (error: unknown) => ({ ...(error as Error), text: String(error) });
  for (const [promise, sync] of pairs) {
    const failures: unknown[] = [];
    // Enough that one of them took the other way.
    for (let i = 0; i < 40; i++) failures.push(fields(await promise().catch((e: unknown) => e)));
    let thrown: unknown;
    try {
      sync();
    } catch (error) {
      thrown = error;
    }
    expect(failures).toEqual(Array.from({ length: 40 }, () => fields(thrown)));
  }
});

test("each pending stat keeps its own numbers", async () => {
  using vfs = Vfs.create();
  const { fs } = vfs;
  const sizes = Array.from({ length: 100 }, (_, i) => i);
  for (const size of sizes) fs.writeFileSync(`/${size}`, Buffer.alloc(size));
  const stats = await Promise.all(sizes.map((size) => fs.stat(`/${size}`)));
  expect(stats.map(({ size }) => size)).toEqual(sizes);
});
