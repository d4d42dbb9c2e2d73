// Graphs of histories.

import { expect, it } from "vitest";
import { drawGraph } from "./graph.js";

/** Parents by number, from 1 on. */
function drawn(...parents: Array<number | undefined>): string[] {
  const events = parents.map((parent, n) => ({
    number: n + 1,
    ...(parent !== undefined && { parent }),
  }));
  return drawGraph(events.toReversed(), () => "*").flatMap(({ event, joins, line }) => [
    ...(joins === undefined ? [] : [joins]),
    `${line} ${event.number}`,
  ]);
}

it("draws a line as a line", () => {
  expect(drawn()).toEqual([]);
  expect(drawn(undefined, 1, 2)).toEqual(["* 3", "* 2", "* 1"]);
});

it("draws what went back as a branch", () => {
  expect(drawn(undefined, 1, 2, 1, 4)).toEqual(["* 5", "* 4", "| * 3", "| * 2", "|/", "* 1"]);
  expect(drawn(undefined, 1, 1, 1)).toEqual(["* 4", "| * 3", "| | * 2", "|/ /", "* 1"]);
});

it("names what only moved beside the graph", () => {
  const events = [
    { number: 5, parent: 4 },
    { number: 4, parent: 1 },
    { number: 3, parent: 2 },
    { number: 2, parent: 1 },
    { number: 1 },
  ];
  const lines = drawGraph(events, ({ number }) => (number === 4 ? undefined : "*"));
  expect(lines.map(({ joins = "", line }) => joins + line)).toEqual([
    "*",
    "|",
    "| *",
    "| *",
    "|/*",
  ]);
});

it("uses a column again when it has ended, also when the parent is not shown", () => {
  expect(drawn(undefined, undefined, 2, 1)).toEqual(["* 4", "| * 3", "| * 2", "* 1"]);
  const [first] = drawGraph([{ number: 9, parent: 4 }], () => "o");
  expect(first).toEqual({ event: { number: 9, parent: 4 }, line: "o" });
});
