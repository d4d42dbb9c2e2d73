// Mounts as the kernel lists them, and getting rid of one whatever state it is in. Reading the list
// touches no mount; everything else is done by children with a time limit.

import { readFileSync } from "node:fs";
import { run } from "./run.ts";

export interface MountEntry {
  mountPoint: string;
  type: string;
  source: string;
  /** major:minor of the file system. */
  device: string;
}

/** What is mounted in this mount namespace. */
export function mounts(file = "/proc/self/mountinfo"): MountEntry[] {
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => {
    const [left = "", right = ""] = line.split(" - ");
    const fields = left.split(" ");
    const [type = "", source = ""] = right.split(" ");
    const unescaped = (fields[4] ?? "").replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return { mountPoint: unescaped, type, source, device: fields[2] ?? "" };
  });
}

export function mountAt(path: string): MountEntry | undefined {
  return mounts().findLast((entry) => entry.mountPoint === path);
}

export function mountsBelow(directory: string): MountEntry[] {
  return mounts().filter(({ mountPoint }) => mountPoint.startsWith(`${directory}/`));
}

/** Takes away every mount below a directory, the newest first. */
export async function clearMounts(directory: string): Promise<string[]> {
  const found = mountsBelow(directory).toReversed();
  for (const { mountPoint } of found) {
    const commands =
      process.getuid?.() === 0
        ? [
            ["umount", "-f", mountPoint],
            ["umount", "-l", mountPoint],
          ]
        : [["fusermount3", "-u", "-z", mountPoint]];
    for (const command of commands) {
      if (mountAt(mountPoint) === undefined) break;
      await run(command, { timeoutMs: 5000 });
    }
  }
  return found.map(({ mountPoint }) => mountPoint);
}

/** A stat by a child process: whether the path answers at all, and how. */
export async function probe(path: string, timeoutMs = 5000): Promise<"ok" | "error" | "hangs"> {
  const result = await run(["stat", "-c", "%i", path], { timeoutMs });
  if (result.timedOut) return "hangs";
  return result.code === 0 ? "ok" : "error";
}
