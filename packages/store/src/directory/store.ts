// A store in a directory of plain files: an object each, and one file of rows that every commit
// replaces. Slower than SQLite where there are many objects, but there is nothing to it that cp,
// rsync or a text editor could not handle.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { StoreError } from "../errors.js";
import type { EventStore } from "../events.js";
import { lockDirectory } from "../lock.js";
import { Journal } from "../memory/objects.js";
import { RowMetadata } from "../memory/rows.js";
import type { Rows } from "../memory/rows.js";
import { pagesOf } from "../memory/store.js";
import type { BlockStore, MetadataStore, Store, TransactionOptions } from "../store.js";
import { asHostError } from "./host-error.js";
import { DirectoryObjects, syncPath } from "./objects.js";

export const ROWS_FILE = "rows.json";
const FORMAT = "devdev store directory";
const VERSION = 1;

interface RowsFile extends Rows {
  format: string;
  version: number;
}

class DirectoryStore implements Store {
  readonly blocks: BlockStore;
  readonly metadata: MetadataStore;
  readonly #directory: string;
  readonly #unlock: () => void;
  readonly #journal = new Journal();
  readonly #objects: [blocks: DirectoryObjects, pages: DirectoryObjects];
  readonly #rows: RowMetadata;
  #closed = false;

  constructor(directory: string, unlock: () => void) {
    this.#directory = directory;
    this.#unlock = unlock;
    const together = <T>(work: () => T): T => this.transaction(work);
    const objects = (name: string): DirectoryObjects =>
      new DirectoryObjects(join(directory, name), this.#journal, together);
    this.#objects = [objects("blocks"), objects("pages")];
    this.blocks = this.#objects[0];
    this.#rows = new RowMetadata(this.#journal, pagesOf(this.#objects[1]), readRows(directory));
    this.metadata = committing<MetadataStore>(this.#rows, WRITES, together);
  }

  transaction<T>(run: () => T, { durable = true }: TransactionOptions = {}): T {
    if (this.#closed) throw new StoreError("ERR_STORE_CLOSED", "the store is closed");
    if (this.#journal.running) return run();
    const result = this.#journal.run(() => {
      const value = run();
      if (durable) for (const objects of this.#objects) objects.sync();
      this.#writeRows(durable);
      return value;
    });
    for (const objects of this.#objects) objects.settle();
    return result;
  }

  verify(): string[] {
    try {
      readRows(this.#directory);
      return [];
    } catch (error) {
      return [(error as Error).message];
    }
  }

  maintain(): boolean {
    return false;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unlock();
  }

  #writeRows(durable: boolean): void {
    const path = join(this.#directory, ROWS_FILE);
    const file: RowsFile = { format: FORMAT, version: VERSION, ...this.#rows.rows() };
    try {
      writeFileSync(`${path}.new`, JSON.stringify(file, hexFields), { mode: 0o600 });
      if (durable) syncPath(`${path}.new`);
      renameSync(`${path}.new`, path);
      if (durable) syncPath(this.#directory);
    } catch (error) {
      throw asHostError(error, "committing");
    }
  }
}

const WRITES: ReadonlySet<PropertyKey> = new Set<keyof MetadataStore>([
  "createWorkspace",
  "updateWorkspace",
  "setCheckpoint",
  "removeWorkspace",
  "addSnapshot",
  "removeSnapshot",
  "removeSnapshots",
  "replaceSnapshot",
  "setBase",
  "setCounter",
]);
const HISTORY_WRITES: ReadonlySet<PropertyKey> = new Set<keyof EventStore>([
  "addEvent",
  "openTurn",
]);

type Together = <T>(work: () => T) => T;

/** Each change of a row is a transaction, if none is under way. */
function committing<T extends object>(
  rows: T,
  writes: ReadonlySet<PropertyKey>,
  together: Together,
): T {
  return new Proxy(rows, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (name === "history") return committing(member as EventStore, HISTORY_WRITES, together);
      if (typeof member !== "function") return member;
      if (!writes.has(name)) return member.bind(target) as unknown;
      return (...args: unknown[]): unknown => together(() => member.apply(target, args) as unknown);
    },
  });
}

function readRows(directory: string): Rows | undefined {
  const path = join(directory, ROWS_FILE);
  if (!existsSync(path)) return undefined;
  const { format, version, ...rows } = parsed(path);
  if (format !== FORMAT) {
    throw new StoreError("ERR_STORE_CORRUPT", `${path} is no store of devdev`);
  }
  if (version > VERSION) {
    throw new StoreError(
      "ERR_STORE_VERSION",
      `${path} was written by a newer devdev (version ${version}, this one reads ${VERSION})`,
    );
  }
  return rows;
}

function parsed(path: string): RowsFile {
  try {
    return JSON.parse(readFileSync(path, "utf8"), bytesFields) as RowsFile;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw asHostError(error, `reading ${path}`);
    throw new StoreError("ERR_STORE_CORRUPT", `${path} is damaged: ${error.message}`, error);
  }
}

/** Ids are hex digits behind a mark that no field of devdev's begins with by itself. */
const HEX = "hex:";

function hexFields(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const field = this[key];
  return field instanceof Uint8Array ? HEX + Buffer.from(field).toString("hex") : value;
}

function bytesFields(key: string, value: unknown): unknown {
  const isId = key === "root" && typeof value === "string" && value.startsWith(HEX);
  return isId ? Buffer.from(value.slice(HEX.length), "hex") : value;
}

/** Opens, or makes, a store in this directory and locks it until close. */
export function openDirectoryStore(directory: string): Store {
  const unlock = lockDirectory(directory);
  try {
    return new DirectoryStore(directory, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}
