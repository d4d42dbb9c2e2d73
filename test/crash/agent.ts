// The process that touches the mount for the crash loop: it may hang or die there, the loop may
// not.
//   writer DIR LOG      replaces files for ever; LOG (on the host) gets number and time of each
//   synced DIR LOG      appends to a file for ever; LOG gets the length that fsync returned for
//   apply DIR N         moves the data tree from generation N-1 to N
//   bulk DIR SEED MB    writes bytes that nobody has seen before
//   verify DIR          says on stdout, as JSON, what is there and what is wrong with it

import * as fs from "node:fs";
import { join } from "node:path";
import {
  bytes,
  changes,
  type Entry,
  entry,
  FILES,
  mix,
  SLOTS,
  slotContent,
  syncedBytes,
} from "./model.ts";

export interface Verdict {
  /** Generation of the data tree; -1 before the first. */
  generation: number;
  /** Whether it is exactly that generation, not on the way to the next. */
  strict: boolean;
  /** Last operation of the writer; -1 before the first. */
  sequence: number;
  /** How much of the synced file is there. */
  synced: number;
  problems: string[];
}

const [verb = "", directory = "", ...rest] = process.argv.slice(2);

function writer(log: string): never {
  const dir = join(directory, "w");
  fs.mkdirSync(dir, { recursive: true });
  const counter = fs.openSync(join(dir, "seq"), fs.constants.O_RDWR | fs.constants.O_CREAT);
  const journal = fs.openSync(log, "a");
  for (let i = readSequence(dir) + 1; ; i++) {
    fs.writeFileSync(join(dir, "new"), slotContent(i));
    fs.renameSync(join(dir, "new"), join(dir, `s${i % SLOTS}`));
    fs.writeSync(counter, `${String(i).padStart(12)}\n`, 0);
    // With writeback what stays open is behind what was closed since (S52).
    if (process.env["DEVDEV_WRITEBACK"] === "1") fs.fsyncSync(counter);
    fs.writeSync(journal, `${i} ${Date.now()}\n`);
    if (i % 20 === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
}

function synced(log: string): never {
  const file = fs.openSync(join(directory, "synced"), "a+");
  const journal = fs.openSync(log, "a");
  for (let length = fs.fstatSync(file).size; ;) {
    const size = 1 + (mix(length, 3) % 9000);
    for (let i = 0; i < size; i += 1000) {
      const piece = syncedBytes(length + i, Math.min(1000, size - i));
      fs.writeSync(file, piece);
    }
    length += size;
    if (length % 2 === 0) fs.fsyncSync(file);
    else fs.fdatasyncSync(file);
    fs.writeSync(journal, `${length} ${Date.now()}\n`);
  }
}

function readSequence(dir: string): number {
  const text = readOr(join(dir, "seq"), "");
  return text === "" ? -1 : Number(text);
}

function readOr(path: string, otherwise: string, encoding: BufferEncoding = "utf8"): string {
  try {
    return fs.readFileSync(path, encoding);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return otherwise;
    throw error;
  }
}

function apply(generation: number): void {
  const root = join(directory, "data");
  for (let i = 0; i < 6; i++) fs.mkdirSync(join(root, `d${i}`), { recursive: true });
  for (let file = 0; file < FILES; file++) {
    if (!changes(file, generation)) continue;
    const { path, kind, content, mode } = entry(file, generation);
    const [at, fresh] = [join(root, path), join(root, `${path}.new`)];
    if (kind === "absent") fs.rmSync(at, { force: true });
    else {
      fs.rmSync(fresh, { force: true });
      if (kind === "symlink") fs.symlinkSync(content.toString(), fresh);
      else {
        fs.writeFileSync(fresh, content);
        fs.chmodSync(fresh, mode);
      }
      fs.renameSync(fresh, at);
    }
  }
  fs.writeFileSync(join(root, "GENERATION.new"), String(generation));
  fs.renameSync(join(root, "GENERATION.new"), join(root, "GENERATION"));
}

function bulk(seed: number, megabytes: number): void {
  fs.rmSync(join(directory, "bulk"), { recursive: true, force: true });
  fs.mkdirSync(join(directory, "bulk"));
  for (let i = 0; i < megabytes; i++) {
    fs.writeFileSync(join(directory, "bulk", `b${i}`), bytes(mix(seed, i), 1 << 20));
  }
}

function matches(expected: Entry): boolean {
  const at = join(directory, "data", expected.path);
  const st = fs.lstatSync(at, { throwIfNoEntry: false });
  if (expected.kind === "absent" || st === undefined) return expected.kind === "absent" && !st;
  if (expected.kind === "symlink") {
    return st.isSymbolicLink() && fs.readlinkSync(at) === expected.content.toString();
  }
  return (
    st.isFile() &&
    (st.mode & 0o7777) === expected.mode &&
    st.size === expected.content.length &&
    fs.readFileSync(at).equals(expected.content)
  );
}

function verify(): Verdict {
  const generation = Number(readOr(join(directory, "data/GENERATION"), "-1"));
  const problems: string[] = [];
  let strict = true;
  for (let file = 0; file < FILES; file++) {
    const expected = entry(file, generation);
    if (matches(expected)) continue;
    strict = false;
    if (!matches(entry(file, generation + 1))) {
      problems.push(`${expected.path} is of neither generation ${generation} nor the next`);
    }
  }
  const dir = join(directory, "w");
  const sequence = readSequence(dir);
  for (let i = Math.max(0, sequence - SLOTS + 1); i <= sequence; i++) {
    const found = fs.readFileSync(join(dir, `s${i % SLOTS}`));
    // The file that the next operation replaces may have been, before the counter was.
    const overtaken = i === sequence + 1 - SLOTS && found.equals(slotContent(sequence + 1));
    if (!found.equals(slotContent(i)) && !overtaken) {
      problems.push(`s${i % SLOTS} has not what operation ${i} of ${sequence} wrote`);
    }
  }
  const bytesSynced = readOr(join(directory, "synced"), "", "latin1");
  const wanted = syncedBytes(0, bytesSynced.length).toString("latin1");
  if (bytesSynced !== wanted) problems.push("the synced file has not what was written");
  return { generation, strict, sequence, synced: bytesSynced.length, problems };
}

if (verb === "writer") writer(rest[0]!);
else if (verb === "synced") synced(rest[0]!);
else if (verb === "apply") apply(Number(rest[0]));
else if (verb === "bulk") bulk(Number(rest[0]), Number(rest[1]));
else if (verb === "verify") console.log(JSON.stringify(verify()));
else process.exitCode = 2;
