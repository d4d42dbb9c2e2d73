// A difference as JSON, written as it comes: as one value it could be longer than a string may be.

import { type DiffEntry, type DiffPiece, type DiffStat, pathOf } from "@devdev/protocol";

/**
 * What JSON.stringify with an indent of 2 gives for a DiffResult; what fails at once gives nothing.
 */
export async function* diffJson(
  pieces: AsyncIterable<DiffPiece>,
  { stat, patch }: { stat: boolean; patch: boolean },
): AsyncGenerator<string> {
  const [entries, stats] = [new JsonList("entries"), new JsonList("stats")];
  const text: Uint8Array[] = [];
  let list = entries;
  let head = `{\n${entries.begin()}`;
  for await (const piece of pieces) {
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

class JsonList {
  readonly #name: string;
  #isEmpty = true;

  constructor(name: string) {
    this.#name = name;
  }

  begin(): string {
    return `  ${JSON.stringify(this.#name)}: [`;
  }

  add(items: ReadonlyArray<DiffEntry | DiffStat>): string {
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
