// However the process or the thread that hosts a mount ends, short of a kill: the mount goes with
// it, and nothing waits for what will not come (S32).

import { existsSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { base, CHECKOUT } from "../harness/base.ts";
import { mountAt } from "../harness/mounts.ts";
import { describe as describeRun, run } from "../harness/run.ts";
import { mounting } from "../harness/suite.ts";

const vfs = JSON.stringify(join(CHECKOUT, "packages/vfs/dist/index.js"));

interface Ended {
  code: number | null;
  at: string;
  said: string;
}

/** Runs a script that mounts at `at` in a Node of its own. */
async function ends(script: (at: string) => string): Promise<Ended> {
  const at = join(mkdtempSync(join(base(), "teardown-")), "mount");
  const source = `const { Vfs } = await import(${vfs});\n${script(JSON.stringify(at))}`;
  const argv = [process.execPath, "--input-type=module", "-e", source];
  const result = await run(argv, { timeoutMs: 120_000 });
  if (result.timedOut) throw new Error(describeRun(result));
  return { code: result.code, at, said: result.stderr };
}

mounting("teardown", () => {
  describe.each([
    ["process.exit", "process.exit(3)", 3],
    ["an exception", "throw new Error('on purpose')", 1],
    ["nothing left to do", "", 0],
  ])("by %s", (_, last, expected) => {
    test("unmounts, and removes the directory it made", async () => {
      const { code, at } = await ends(
        (path) => `const vfs = Vfs.create(); vfs.fs.writeFileSync("/f", "x");
          await vfs.mount(${path}); ${last}`,
      );
      expect(code).toBe(expected);
      expect(mountAt(at)).toBeUndefined();
      expect(existsSync(at)).toBe(false);
    });
  });

  test("a worker that is terminated takes its mount along, and the process goes on", async () => {
    const { code, at, said } = await ends(
      (path) => `
        const { Worker } = await import("node:worker_threads");
        const worker = new Worker(\`
          import(${vfs.replaceAll('"', "'")}).then(async ({ Vfs }) => {
            await Vfs.create().mount(${path.replaceAll('"', "'")});
            const { parentPort } = await import("node:worker_threads");
            parentPort.postMessage("mounted");
            setInterval(() => {}, 1000);
          });\`, { eval: true });
        await new Promise((resolve) => worker.once("message", resolve));
        await worker.terminate();
        const mounts = (await import("node:fs")).readFileSync("/proc/self/mountinfo", "utf8");
        process.exitCode = mounts.includes(${path}) ? 1 : 42;`,
    );
    expect([code, said]).toEqual([42, ""]);
    expect(existsSync(at)).toBe(false);
  });

  test("an engine that was mounted and closed gives its memory back", async () => {
    const { code, said } = await ends(
      (path) => `
        const content = Buffer.alloc(50 * 2 ** 20, "x");
        const round = async () => {
          const vfs = Vfs.create();
          vfs.fs.writeFileSync("/f", content);
          const tree = vfs.freeze();
          await (await vfs.mount(${path})).unmount();
          vfs.close();
          tree.dispose();
          await new Promise((resolve) => setTimeout(resolve, 20));
        };
        await round();
        const before = process.memoryUsage().rss;
        for (let n = 0; n < 10; n++) await round();
        // Another thread gives it back.
        const left = () => process.memoryUsage().rss - before;
        for (let n = 0; n < 200 && left() > 200 * 2 ** 20; n++) {
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        const grown = left();
        if (grown > 200 * 2 ** 20) throw new Error("grown by " + grown);`,
    );
    expect([code, said]).toEqual([0, ""]);
  });

  test("a call that waits for a block does not hold the process up", async () => {
    const started = Date.now();
    const { code } = await ends(
      () => `
        const { PersistJob, serveNeeds, TreeLoader } = await import(${vfs});
        const vfs = Vfs.create();
        vfs.fs.writeFileSync("/f", "x".repeat(9000));
        const pages = new Map();
        const key = (id) => Buffer.from(id).toString("hex");
        const job = PersistJob.start(vfs.freeze());
        await job.hash();
        job.setMissing(new Uint8Array([255]));
        while ((await job.blocks()).length > 0);
        for (let batch; (batch = await job.pages()).length > 0; )
          for (const page of batch) pages.set(key(page.id), { ...page, data: page.data.slice() });
        const loader = TreeLoader.start(job.root());
        for (let ids; (ids = loader.wanted()).length > 0; )
          for (const id of ids) loader.supply(pages.get(key(id)));
        const stored = Vfs.fromTree(await loader.finish());
        serveNeeds(stored.handle, () => setTimeout(() => process.exit(7), 50));
        stored.fs.readFile("/f").catch(() => {});
        setInterval(() => {}, 1000);`,
    );
    expect(code).toBe(7);
    // A call waits 30 s for what does not come.
    expect(Date.now() - started).toBeLessThan(25_000);
  });
});
