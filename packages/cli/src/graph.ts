// A history as a graph of characters: newest first, each event above the one that it went on from.
// Pure, so that it is easily tested.

/** An event, and the one from which it went on. */
export interface GraphEvent {
  number: number;
  parent?: number;
}

/** For each event, newest first: what is drawn on a line above it, if anything, and beside it. */
export interface Drawn<E> {
  event: E;
  joins?: string;
  line: string;
}

/**
 * `events`: newest first. One without a mark only moved along the graph: it is named beside it, and
 * what went on from it is drawn where it had led.
 */
export function drawGraph<E extends GraphEvent>(
  events: readonly E[],
  markOf: (event: E) => string | undefined,
): Array<Drawn<E>> {
  const moves = new Map<number, number | undefined>();
  for (const event of events) {
    if (markOf(event) === undefined) moves.set(event.number, event.parent);
  }
  const from = (number: number | undefined): number | undefined =>
    number !== undefined && moves.has(number) ? from(moves.get(number)) : number;
  // Which event each column leads down to.
  const columns: Array<number | undefined> = [];
  return events.map((event) => {
    const mark = markOf(event);
    if (mark === undefined) return { event, line: drawLine(columns, -1, "") };
    let at = columns.indexOf(event.number);
    if (at < 0) at = free(columns);
    const joining = columns.flatMap((to, n) => (n !== at && to === event.number ? [n] : []));
    const joins = joining.length > 0 ? { joins: drawJoins(columns, joining) } : {};
    for (const n of joining) columns[n] = undefined;
    const line = drawLine(columns, at, mark);
    columns[at] = from(event.parent);
    while (columns.length > 0 && columns.at(-1) === undefined) columns.pop();
    return { event, ...joins, line };
  });
}

function free(columns: Array<number | undefined>): number {
  const hole = columns.indexOf(undefined);
  return hole < 0 ? columns.push(undefined) - 1 : hole;
}

function drawLine(columns: Array<number | undefined>, at: number, mark: string): string {
  const cells = columns.map((to, n) => (n === at ? mark : to === undefined ? " " : "|"));
  return cells.join(" ").trimEnd();
}

/** Columns that end in one further left lean towards it. */
function drawJoins(columns: Array<number | undefined>, joining: readonly number[]): string {
  let text = "";
  columns.forEach((to, n) => {
    const leans = joining.includes(n);
    if (n > 0) text += leans ? "/" : " ";
    text += leans || to === undefined ? " " : "|";
  });
  return text.trimEnd();
}
