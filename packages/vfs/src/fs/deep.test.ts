// S152: the calls that work on whole trees, at a depth where no path would be short enough.

import { expect, test } from "vitest";
import { Vfs } from "../vfs.js";

const NAME = "twenty-bytes-of-name";
/** Directories below each other whose path may be handed over. */
const SOME = 170;

test("cp, rm and readdir go as deep as a tree is", async () => {
  using vfs = Vfs.create();
  const { fs } = vfs;
  const below = `/${NAME}`.repeat(SOME);
  // Renames put together what no call could make.
  for (const top of ["a", "b", "c"]) fs.mkdirSync(`/${top}${below}`, { recursive: true });
  fs.writeFileSync(`/a${below}/end`, "the end");
  fs.symlinkSync("end", `/a${below}/link`);
  fs.renameSync("/a", `/b${below}/a`);
  fs.renameSync("/b", `/c${below}/b`);
  const depth = 3 * SOME + 2;
  fs.cpSync("/c", "/copied", { recursive: true });
  await fs.cp("/copied", "/again", { recursive: true });
  // Onto what is there.
  await fs.cp("/c", "/again", { recursive: true });
  for (const top of ["/c", "/copied", "/again"]) {
    const listed = fs.readdirSync(top, { recursive: true });
    expect(listed).toHaveLength(depth + 2);
    expect(listed.at(-1)).toBe(`${below.slice(1)}/b${below}/a${below}/link`);
    expect(await fs.readdir(top, { recursive: true })).toEqual(listed);
  }
  fs.rmSync("/c", { recursive: true });
  await fs.rm("/copied", { recursive: true });
  fs.renameSync(`/again${below}/b`, "/b");
  fs.renameSync(`/b${below}/a`, "/a");
  expect(fs.readFileSync(`/a${below}/link`, "utf8")).toBe("the end");
  expect(fs.readdirSync("/")).toEqual(["a", "again", "b"]);
});
