// Where docs/BENCHMARKS.md holds what scripts/bench snapshots wrote: each benchmark leaves alone
// what the other one wrote.

export const BEGIN = "<!-- scripts/bench snapshots -->";
export const END = "<!-- end of it -->";

/** A text without the section, and the section if there is one. */
export function split(text: string): [rest: string, found: string] {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) return [text, ""];
  const end = to + END.length;
  return [text.slice(0, from) + text.slice(end), text.slice(from, end)];
}
