// A difference as JSON, written as it comes: as one value it could be longer than a string may be.

import { pathOf, type ShownPiece } from "@devdev/protocol";

/** Items that become one string. */
const PART = 1000;

/**
 * What JSON.stringify with an indent of 2 gives for a DiffResult, or for a ShownEvent; what fails
 * at once gives nothing.
 */
export async function* diffJson(
  pieces: AsyncIterable<ShownPiece>,
  { stat, patch }: { stat: boolean; patch: boolean },
): AsyncGenerator<string> {
  const [entries, stats] = [new JsonList("entries"), new JsonList("stats")];
  const text: Uint8Array[] = [];
  let list = entries;
  let head = `{\n${entries.begin()}`;
  for await (const piece of pieces) {
    if (piece.event) {
      const fields = JSON.stringify(piece.event, null, 2).slice("{\n".length, -"\n}".length);
      head = `{\n${fields},\n${entries.begin()}`;
    }
    if (piece.stats && list === entries) {
      head += `${entries.end()},\n${stats.begin()}`;
      list = stats;
    }
    yield head + list.add(piece.entries ?? piece.stats ?? []);
    head = "";
    if (piece.patch) text.push(piece.patch);
  }
  yield head + list.end();
  if (stat && list === entries) yield `,\n${stats.begin()}${stats.end()}`;
  if (patch) yield `,\n  "patch": ${indented(pathOf(Buffer.concat(text)))}`;
  yield "\n}\n";
}

/** The same for any object; of its lists a part at a time. */
export function* jsonOf(value: object): Generator<string> {
  let before = "{\n";
  for (const [name, field] of Object.entries(value)) {
    if (Array.isArray(field)) {
      const list = new JsonList(name);
      yield before + list.begin();
      for (let at = 0; at < field.length; at += PART) yield list.add(field.slice(at, at + PART));
      yield list.end();
    } else if (field !== undefined) yield `${before}  ${JSON.stringify(name)}: ${indented(field)}`;
    else continue;
    before = ",\n";
  }
  yield "\n}\n";
}

class JsonList {
  readonly #name: string;
  #isEmpty = true;

  constructor(name: string) {
    this.#name = name;
  }

  begin(): string {
    return `  ${JSON.stringify(this.#name)}: [`;
  }

  add(items: readonly unknown[]): string {
    if (items.length === 0) return "";
    const before = this.#isEmpty ? "" : ",";
    this.#isEmpty = false;
    return before + items.map((item) => `\n    ${indented(item, "    ")}`).join(",");
  }

  end(): string {
    return this.#isEmpty ? "]" : "\n  ]";
  }
}

function indented(value: unknown, by = "  "): string {
  return JSON.stringify(value, null, 2).replaceAll("\n", `\n${by}`);
}
