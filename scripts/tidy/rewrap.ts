// `tidy --fix`: breaks comment lines that are too wide. Formatters leave comments alone, so this is
// the one rule that would otherwise be repaired by hand.
import { writeFileSync } from "node:fs";
import type { Source } from "./source.ts";

const MAX_WIDTH = 100;
/** A docstring on one line, which becomes one of several. */
const ONE_LINE = /^(\s*)\/\*\* (.*) \*\/$/;
const COMMENT = /^(\s*(?:\/\/[/!]?|#|\*) )(.*)$/;

/** Rewrites the file when a comment in it was too wide; true when it did. */
export function rewrapComments({ path, kind, lines }: Source): boolean {
  if (kind === "manifest" || kind === "markdown") return false;
  const out: string[] = [];
  const pending = [...lines];
  let changed = false;
  for (let text = pending.shift(); text !== undefined; text = pending.shift()) {
    const [, indent, doc] = ONE_LINE.exec(text) ?? [];
    if (text.length > MAX_WIDTH && indent !== undefined && doc !== undefined) {
      pending.unshift(`${indent} * ${doc}`, `${indent} */`);
      text = `${indent}/**`;
      changed = true;
    }
    const [, prefix = "", body = ""] = COMMENT.exec(text) ?? [];
    const room = MAX_WIDTH - prefix.length;
    const cut = body.lastIndexOf(" ", room);
    if (text.length <= MAX_WIDTH || prefix === "" || cut <= 0 || /https?:/.test(body)) {
      out.push(text);
      continue;
    }
    changed = true;
    out.push(prefix + body.slice(0, cut));
    const rest = body.slice(cut + 1);
    // What is left flows into the next line when that is the same paragraph.
    const [, nextPrefix, nextBody = ""] = COMMENT.exec(pending[0] ?? "") ?? [];
    const flows = nextPrefix === prefix && /^\w/.test(nextBody) && !/[.:]$/.test(rest);
    if (flows) pending[0] = `${prefix}${rest} ${nextBody}`;
    else pending.unshift(prefix + rest);
  }
  if (changed) writeFileSync(path, `${out.join("\n")}\n`);
  return changed;
}
