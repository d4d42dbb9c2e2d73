// What the project demands of its figures, checked against a run of the matrix: a workspace beside
// a bare prototype of a FUSE file system with the same transport and user, and beside tmpfs.

import { ratio } from "./statistics.ts";

export interface Figures {
  contenders: { name: string; kind: string; transport?: string | undefined; who: string }[];
  results: Record<string, Record<string, { unit: string; median: number } | object>>;
}

export interface Limit {
  what: string;
  /** The figure of which the limit speaks. */
  value: string;
  holds: boolean;
}

/**
 * The steps of a day with a project, and what a trip and a large read cost. Not the first git
 * status: how much it reads depends on where in a second the clone has ended.
 */
const STEPS = [
  "git clone",
  "git status, again",
  "search, first",
  "search, warm",
  "find",
  "cp -r",
  "tar",
  "npm install",
  "rm -rf",
  "tsc",
  "cargo build",
  "getattr, uncached",
  "sequential read, cold",
];
const TO_PROTOTYPE = 1.1;
const SURPLUS = 1.15;
const BETTER = { steps: ["git clone", "cp -r", "tar", "rm -rf", "search, first"], least: 3 };
const BUILDS = { steps: ["npm install", "tsc", "cargo build"], most: 1.15 };
const WARM = { steps: ["git status, again", "search, warm", "find"], most: 1.2 };
const GETATTR_MICROS: Record<string, number> = { classic: 24, io_uring: 10 };
const COLD_READ_PART = 0.25;

type Value = { unit: string; median: number };

class Place {
  readonly #figures: Figures;
  readonly where: string;
  readonly transport: string;
  readonly who: string;

  constructor(figures: Figures, transport: string, who: string) {
    this.#figures = figures;
    this.where = `${transport}, ${who}`;
    this.transport = transport;
    this.who = who;
  }

  value(kind: string, step: string): Value | undefined {
    const name = this.#figures.contenders.find(
      (one) =>
        one.kind === kind &&
        one.who === this.who &&
        (one.transport === this.transport || one.transport === undefined),
    )?.name;
    return name === undefined ? undefined : (this.#figures.results[name]?.[step] as Value);
  }

  /** How much longer `kind` takes than `of`. */
  ratio(kind: string, of: string, step: string): number | undefined {
    const [a, b] = [this.value(kind, step), this.value(of, step)];
    return a && b && ratio(a.unit, a.median, b.median);
  }

  /** One limit for the ratios of several steps: the worst decides, and those above are named. */
  most(steps: string[], kind: string, of: string, most: number): Limit[] {
    const found = steps
      .map((step) => ({ step, is: this.ratio(kind, of, step) }))
      .filter((one): one is { step: string; is: number } => one.is !== undefined)
      .sort((a, b) => b.is - a.is);
    if (found.length === 0) return [];
    const above = found.filter(({ is }) => is > most);
    const named = above.length > 0 ? above : found.slice(0, 1);
    const value = named.map(({ step, is }) => `${step} ${is.toFixed(2)} x`).join("; ");
    const which = steps.length > 3 ? "each step" : steps.join("; ");
    const what = `${this.where}: ${which} of ${kind} <= ${most} x ${of}`;
    return [{ what, value, holds: above.length === 0 }];
  }
}

/** Those that can be told from what was measured. */
export function limits(figures: Figures): Limit[] {
  const places = new Map<string, Place>();
  for (const { transport, who } of figures.contenders) {
    if (transport !== undefined) {
      places.set(`${transport} ${who}`, new Place(figures, transport, who));
    }
  }
  return [...places.values()].flatMap((place) => [
    ...place.most(STEPS, "bare", "prototype", TO_PROTOTYPE),
    ...better(place),
    ...place.most(STEPS, "default", "bare", SURPLUS),
    ...["bare", "default"].flatMap((kind) => [
      ...place.most(BUILDS.steps, kind, "tmpfs", BUILDS.most),
      ...place.most(WARM.steps, kind, "tmpfs", WARM.most),
      ...getattr(place, kind),
      ...coldRead(place, kind),
    ]),
  ]);
}

function better(place: Place): Limit[] {
  const found = BETTER.steps.filter((step) => (place.ratio("bare", "prototype", step) ?? 9) < 1);
  if (place.ratio("bare", "prototype", BETTER.steps[0]!) === undefined) return [];
  const what = `${place.where}: ${BETTER.least} of ${BETTER.steps.join("; ")} of bare take less than prototype`;
  return [{ what, value: found.join("; ") || "none", holds: found.length >= BETTER.least }];
}

function getattr(place: Place, kind: string): Limit[] {
  const [is, most] = [place.value(kind, "getattr, uncached"), GETATTR_MICROS[place.transport]!];
  if (is === undefined) return [];
  const what = `${place.where}: an uncached getattr of ${kind} <= ${most} µs`;
  return [{ what, value: `${is.median.toFixed(1)} µs`, holds: is.median <= most }];
}

function coldRead(place: Place, kind: string): Limit[] {
  const less = place.ratio(kind, "tmpfs", "sequential read, cold");
  if (less === undefined) return [];
  const what = `${place.where}: a cold read of 1 GiB of ${kind} >= ${COLD_READ_PART} x tmpfs`;
  return [{ what, value: `${(1 / less).toFixed(2)} x`, holds: 1 / less >= COLD_READ_PART }];
}

export function limitsText(all: Limit[]): string[] {
  const rows = all.map(({ what, value, holds }) => {
    return `| ${what} | ${holds ? "holds" : "EXCEEDED"} | ${value} |`;
  });
  return ["| limit | | the worst, or all that exceed it |", "| --- | --- | --- |", ...rows];
}
