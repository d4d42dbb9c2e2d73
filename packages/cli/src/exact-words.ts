// Words of the command line as the bytes that they were.

import { readFile } from "node:fs/promises";
import type { ExecWord } from "@devdev/protocol";

/** Node decodes argv as UTF-8; words that were not are taken from the kernel. They end the line. */
export async function exactWords(words: string[]): Promise<ExecWord[]> {
  if (!words.some((word) => word.includes("\ufffd")) || process.platform !== "linux") return words;
  const line = await readFile("/proc/self/cmdline");
  const all: Buffer[] = [];
  for (let at = 0; at < line.length;) {
    const end = line.indexOf(0, at);
    all.push(line.subarray(at, end));
    at = end + 1;
  }
  return all.slice(-words.length);
}
