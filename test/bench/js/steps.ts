// The steps of scripts/bench js over one slice of directories, each timed as a whole: microseconds
// a call.

import type { Calls, Surface } from "./surfaces.ts";

export const FORMS = ["sync", "promise"] as const;
export type Form = (typeof FORMS)[number];
export const FILES_A_DIRECTORY = 1000;
export const CONTENT = Buffer.alloc(4096, "devdev ");
/** Calls under way at once in the steps that have more than one. */
const AT_ONCE = 64;

/** One slice of a contender's tree. */
export interface Slice {
  form: Form;
  /** Numbers of its directories. */
  from: number;
  to: number;
}

type Run = (calls: Calls, directories: string[], sync: boolean) => Promise<number>;

function names(directory: string, prefix = "file"): string[] {
  const name = (i: number): string => `${directory}/${prefix}-${i}.txt`;
  return Array.from({ length: FILES_A_DIRECTORY }, (_, i) => name(i));
}

/** A call for each file, one after the other. Returns microseconds. */
async function each(paths: string[], sync: boolean, call: (path: string) => unknown) {
  const start = process.hrtime.bigint();
  if (sync) for (const path of paths) call(path);
  else for (const path of paths) await call(path);
  return Number(process.hrtime.bigint() - start) / 1000;
}

async function together(paths: string[], call: (path: string) => unknown): Promise<number> {
  const start = process.hrtime.bigint();
  for (let at = 0; at < paths.length; at += AT_ONCE) {
    await Promise.all(paths.slice(at, at + AT_ONCE).map(call));
  }
  return Number(process.hrtime.bigint() - start) / 1000;
}

function onFiles(call: (calls: Calls, path: string) => unknown): Run {
  return async (calls, directories, sync) => {
    const paths = directories.flatMap((directory) => names(directory));
    return (await each(paths, sync, (path) => call(calls, path))) / paths.length;
  };
}

export const STEPS: Record<string, Run> = {
  writeFile: async (calls, directories, sync) => {
    for (const directory of directories) await calls.mkdir(directory);
    const write = onFiles((calls, path) => calls.writeFile(path, CONTENT));
    return write(calls, directories, sync);
  },
  stat: onFiles((calls, path) => calls.stat(path)),
  readFile: onFiles((calls, path) => calls.readFile(path)),
  [`readFile, ${AT_ONCE} at once`]: async (calls, directories, sync) => {
    if (sync) return Number.NaN;
    const paths = directories.flatMap((directory) => names(directory));
    return (await together(paths, (path) => calls.readFile(path))) / paths.length;
  },
  [`readdir of ${FILES_A_DIRECTORY}`]: async (calls, directories, sync) => {
    const time = await each(directories, sync, (path) => calls.readdir(path));
    return time / directories.length;
  },
  rename: async (calls, directories, sync) => {
    const to = new Map<string, string>();
    for (const directory of directories) {
      const renamed = names(directory, "renamed");
      for (const [i, path] of names(directory).entries()) to.set(path, renamed[i]!);
    }
    const time = await each([...to.keys()], sync, (path) => calls.rename(path, to.get(path)!));
    return time / to.size;
  },
};

/** Runs a step on a slice; undefined where the API has no such form. */
export async function runStep(
  surface: Surface,
  step: string,
  { form, from, to }: Slice,
): Promise<number | undefined> {
  const calls = surface[form];
  if (calls === undefined) return undefined;
  const directory = (i: number): string => `${surface.root}/${form}-${from + i}`;
  const directories = Array.from({ length: to - from }, (_, i) => directory(i));
  const time = await STEPS[step]!(calls, directories, form === "sync");
  return Number.isNaN(time) ? undefined : time;
}
