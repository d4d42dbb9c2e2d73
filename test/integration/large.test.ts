// Large things through a real mount: a directory of a million entries, sparse files of 100 GiB, ten
// thousand open files, a thousand processes, paths, names, links at their limits; and snapshots,
// restores, exports of them. What runs in the mount is test/fixtures/large.py. DEVDEV_LARGE=10
// makes ten times as much of it.

import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Devdev } from "../harness/devdev.ts";
import { identity, identityNames } from "../harness/identity.ts";
import { inDirectory } from "../harness/run.ts";
import { forEachIdentity, mounting, useDevdev } from "../harness/suite.ts";

const LARGE = "test/fixtures/large.py";
/** How many times more than usual. */
const TIMES = Number(process.env["DEVDEV_LARGE"] ?? 1);
const STEP_MS = 300_000 * TIMES;
const MIB = 2 ** 20;

/** One step of large.py in the workspace. */
async function large(devdev: Devdev, step: string, ...args: (string | number)[]): Promise<string> {
  const script = join(devdev.identity.checkout, LARGE);
  const argv = ["python3", script, step, ...args.map(String)];
  const options = { timeoutMs: STEP_MS };
  return (await devdev.mustHost(inDirectory(devdev.mountPoint, argv), options)).stdout;
}

/** A subcommand on the workspace. */
function at(devdev: Devdev, verb: string, ...args: string[]): string[] {
  return [verb, "-w", devdev.mountPoint, ...args];
}

async function timed(what: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await what();
  return performance.now() - start;
}

forEachIdentity("large things", (who) => {
  const devdev = useDevdev(who, "large");
  const step = (name: string, ...args: (string | number)[]) => large(devdev(), name, ...args);
  const take = (name: string) =>
    devdev().ok(at(devdev(), "snapshot", "--name", name), { timeoutMs: STEP_MS });
  const restore = (name: string) =>
    devdev().ok(at(devdev(), "restore", name), { timeoutMs: STEP_MS });

  test("sparse files of 100 GiB: holes, copies, snapshot, export, truncation", async () => {
    await step("sparse_create", "sparse");
    await step("sparse_copies", "sparse");
    expect(await timed(() => take("sparse"))).toBeLessThan(60_000);
    const file = join(devdev().directory, "sparse.export");
    await devdev().ok(at(devdev(), "export", file, "sparse"));
    expect(statSync(file).size).toBeLessThan(MIB);
    await devdev().mustHost(["truncate", "-s", "0", join(devdev().mountPoint, "sparse")]);
    await restore("sparse");
    await step("sparse_check", "sparse");
    await using other = await Devdev.create(devdev().identity, "large");
    await other.ok(["import", file, "--name", "sparse"]);
    await other.mount("--name", "sparse");
    await large(other, "sparse_check", "sparse");
    await devdev().mustHost(["rm", join(devdev().mountPoint, "sparse")]);
  });

  test("10,000 open files, half of them without a name", async () => {
    expect(await step("open_many", 10_000 * TIMES)).toMatch(/^open_many: /m);
  });

  test("1,000 processes at once", async () => {
    expect(await step("processes", 1000 * TIMES)).toMatch(/^processes: /m);
  });

  test("names of 255 bytes, chains of 40 symlinks", async () => {
    await step("long_names");
    expect(await step("chains")).toMatch(/^chains: /m);
  });

  test("a path 500 directories deep, much longer than PATH_MAX", async () => {
    const depth = 500 * TIMES;
    await step("deep_create", depth);
    await take("deep");
    const file = join(devdev().directory, "deep.export");
    await devdev().ok(at(devdev(), "export", file, "deep"));
    await devdev().mustHost(["rm", "-rf", join(devdev().mountPoint, "deep")]);
    await restore("deep");
    await step("deep_check", depth);
    await devdev().mustHost(["rm", "-rf", join(devdev().mountPoint, "deep")]);
    await using other = await Devdev.create(devdev().identity, "large");
    await other.ok(["import", file, "--name", "deep"]);
    await other.mount("--name", "deep");
    expect(await large(other, "deep_check", depth)).toMatch(/^deep_check: /m);
  });

  test("a file with 66,000 names", async () => {
    const count = 66_000 * TIMES;
    await step("links", count);
    await take("links");
    await step("links_remove", count);
    await restore("links");
    expect(await step("links_check", count)).toMatch(/^links_check: /m);
    await devdev().mustHost(["rm", "-rf", join(devdev().mountPoint, "links")]);
  });
});

mounting("a very large directory", () => {
  const who = identityNames[0]!;

  test(
    "1,000,000 entries: made, listed once, found, removed while listed, restored",
    async () => {
      await using devdev = await Devdev.create(await identity(who), "million");
      await devdev.mount();
      const count = 1_000_000 * TIMES;
      const patience = { timeoutMs: STEP_MS };
      await large(devdev, "create_many", "big", count);
      await large(devdev, "listed_once", "big", count);
      await devdev.ok(at(devdev, "snapshot", "--name", "full"), patience);
      const gone = count / 5;
      await large(devdev, "remove_while_listing", "big", count, gone);
      const differences = await devdev.ok(at(devdev, "diff", "full"), patience);
      expect(differences.stdout.match(/^D big\/entry/gm)).toHaveLength(gone);
      await devdev.ok(at(devdev, "restore", "full"), patience);
      await large(devdev, "listed_once", "big", count);
    },
    STEP_MS * 2,
  );
});
