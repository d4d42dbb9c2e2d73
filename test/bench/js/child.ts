// One contender of scripts/bench js in a process of its own: runs the step that its parent names
// and answers with the time, until the parent lets it go.

import { runStep, type Slice } from "./steps.ts";
import { SURFACES } from "./surfaces.ts";

export interface Order {
  step: string;
  slice: Slice;
}
export interface Answer {
  time?: number;
  failure?: string;
}

const surface = await SURFACES[process.argv[2]!]!();
const answer = (of: Answer): unknown => process.send!(of);

process.on("message", ({ step, slice }: Order) => {
  runStep(surface, step, slice).then(
    (time) => answer(time === undefined ? {} : { time }),
    (error: unknown) => answer({ failure: String(error) }),
  );
});
process.once("disconnect", () => void surface[Symbol.asyncDispose]());
answer({});
