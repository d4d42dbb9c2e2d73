// What a metadata store keeps of what workspaces have in common: a part of its suite.

import assert from "node:assert/strict";

import { hexOf } from "../store.js";
import type { BaseRow } from "../store.js";
import type { ConformanceCase } from "./block-store.js";
import { blockOf, pageOf } from "./objects.js";
import { assertCode, type Define, plain, sampleWorkspace } from "./samples.js";

const page = pageOf([], [blockOf("content")]);
const other = pageOf([page], []);

export function baseCases(define: Define): ConformanceCase[] {
  const base = (workspace: string, of: string, kind: BaseRow["kind"], root = page.id): BaseRow => ({
    workspace,
    other: of,
    name: `name of ${of}`,
    kind,
    root,
    at: 3,
  });
  return [
    define("keeps what workspaces have in common, and its roots", (metadata) => {
      metadata.createWorkspace(sampleWorkspace("w"));
      metadata.createWorkspace(sampleWorkspace("v"));
      const [oldest, source] = [base("w", "gone", "fork"), base("w", "v", "fork", other.id)];
      metadata.setBase(base("w", "v", "merge"));
      metadata.setBase(oldest);
      metadata.setBase(source);
      metadata.setBase(base("w", "v", "merge", other.id));
      assert.deepEqual(
        plain(metadata.bases("w")),
        plain([oldest, source, base("w", "v", "merge", other.id)]),
      );
      assert.deepEqual(metadata.bases("v"), []);
      const roots = [...new Set(metadata.roots().map(hexOf))];
      assert.deepEqual(roots.toSorted(), [page, other].map(({ id }) => hexOf(id)).toSorted());
      assertCode("ERR_STORE_NOT_FOUND", () => metadata.setBase(base("x", "v", "fork")));
    }),
    define("forgets merges that were later than a time", (metadata) => {
      for (const id of ["w", "v"]) metadata.createWorkspace(sampleWorkspace(id));
      const [early, late] = [base("w", "v", "merge"), { ...base("w", "u", "merge"), at: 4 }];
      const others = [base("w", "v", "fork"), base("v", "u", "merge")] as const;
      const from = { ...base("v", "w", "merge"), at: 4 };
      for (const row of [early, late, from, ...others]) metadata.setBase(row);
      metadata.removeMerges("w", 3);
      assert.deepEqual(plain(metadata.bases("w")), plain([others[0], early]));
      metadata.removeMerges("w", 2);
      assert.deepEqual(plain(metadata.bases("w")), plain([others[0]]));
      assert.deepEqual(plain(metadata.bases("v")), plain([others[1]]));
    }),
    define("removes merges with either workspace, and forks with their own", (metadata) => {
      for (const id of ["w", "v", "u"]) metadata.createWorkspace(sampleWorkspace(id));
      metadata.setBase(base("w", "v", "fork"));
      metadata.setBase(base("w", "v", "merge", other.id));
      metadata.setBase(base("u", "w", "fork"));
      metadata.removeWorkspace("v");
      assert.deepEqual(plain(metadata.bases("w")), plain([base("w", "v", "fork")]));
      metadata.removeWorkspace("w");
      assert.deepEqual(metadata.bases("w"), []);
      assert.deepEqual(plain(metadata.bases("u")), plain([base("u", "w", "fork")]));
      metadata.removeWorkspace("u");
      assert.deepEqual(metadata.roots(), []);
    }),
  ];
}
