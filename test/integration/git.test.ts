// git on a mounted workspace: the whole of a day's commands on a repository of more than 5,000
// files.

import { expect, test } from "vitest";
import { makeRepository, REPOSITORY_FILES } from "../fixtures/repository.ts";
import { forEachIdentity, useDevdev } from "../harness/suite.ts";

const ME = "-c user.name=Test -c user.email=test@example.org";

forEachIdentity("git", (who) => {
  const devdev = useDevdev(who, "git");
  let repository = "";

  test("init, add, commit, status", async () => {
    const { stdout } = await devdev().sh(`
      git init -q -b main own && cd own
      echo one > a; mkdir d; echo two > d/b; ln -s a l; chmod +x a
      git add -A && git ${ME} commit -qm first
      git status --porcelain; git ls-files -s | cut -c1-6 | sort | uniq -c | tr -s ' '
      git log --oneline | wc -l`);
    expect(stdout.trim().split(/\s*\n\s*/)).toEqual(["1 100644", "1 100755", "1 120000", "1"]);
  });

  test("clone of a bare repository is complete and clean", async () => {
    repository = await makeRepository(devdev());
    await devdev().exec(["git", "clone", "-q", repository, "app"]);
    const { stdout } = await devdev().sh(
      "cd app && git ls-files | wc -l; git status --porcelain | wc -l; git fsck --full --strict",
    );
    expect(stdout.trim().split("\n")).toEqual([String(REPOSITORY_FILES), "0"]);
  });

  test("the clone has the bytes of a clone on the disk", async () => {
    const disk = `${devdev().directory}/clone`;
    await devdev().mustHost(["git", "clone", "-q", repository, disk]);
    const mount = `${devdev().mountPoint}/app`;
    const diff = ["diff", "-r", "--no-dereference", "-x", ".git", disk, mount];
    expect((await devdev().mustHost(diff)).stdout).toBe("");
    await devdev().mustHost(["rm", "-rf", disk]);
  });

  test("commit, gc, checkout of older states, stash", async () => {
    const { stdout } = await devdev().sh(`
      cd app
      echo more >> README.md && git rm -q link && git ${ME} commit -qam change
      git gc -q --prune=now && git count-objects -v | grep '^count: 0'
      git checkout -q HEAD~3 && git status --porcelain | wc -l
      git checkout -q main && git log --oneline | wc -l
      echo dirty >> README.md && git ${ME} stash -q && git diff --stat && git ${ME} stash pop -q
      git diff --name-only
      git checkout -q -- . && git reset -q --hard HEAD~1 && git ls-files | wc -l`);
    const lines = stdout.trim().split("\n");
    expect(lines).toEqual(["count: 0", "0", "4", "README.md", String(REPOSITORY_FILES)]);
  });

  test("worktree, branch, merge, fsck", async () => {
    const { stdout } = await devdev().sh(`
      cd app
      git worktree add -q -b side ../side && cd ../side && ls | wc -l
      echo side > side.txt && git add -A && git ${ME} commit -qm side
      cd ../app && git ${ME} merge -q --no-edit side && cat side.txt
      git worktree remove ../side && git worktree list | wc -l
      git fsck --full --strict --no-dangling && git status --porcelain | wc -l`);
    expect(stdout.trim().split("\n")).toEqual(["4", "side", "1", "0"]);
  });

  test("a second status reads no file again", async () => {
    const script = "cd app && git status --porcelain && git status --porcelain";
    const { stdout, durationMs } = await devdev().sh(script);
    expect(stdout).toBe("");
    expect(durationMs).toBeLessThan(40_000);
  });

  test("rm -rf leaves nothing", async () => {
    expect((await devdev().sh("rm -rf app own && ls -A")).stdout).toBe("");
  });
});
