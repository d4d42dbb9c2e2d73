// Snapshots and restores of a mounted workspace from outside (SEMANTICS S16 to S27).

import { expect, test } from "vitest";
import { manifest } from "../fixtures/manifest.ts";
import { writeback } from "../harness/devdev.ts";
import { until } from "../harness/run.ts";
import { forEachIdentity, marked, useDevdev } from "../harness/suite.ts";

interface Info {
  id: string;
  sequence: number;
  name?: string;
  message?: string;
  automatic: boolean;
}

interface Entry {
  kind: string;
  path: string;
  oldPath?: string;
  changed: string[];
}

forEachIdentity("snapshots", (who) => {
  const devdev = useDevdev(who, "snapshots");
  const at = (...args: string[]) => [
    ...args.slice(0, 1),
    "-w",
    devdev().mountPoint,
    ...args.slice(1),
  ];
  const sh = async (script: string): Promise<string> => (await devdev().sh(script)).stdout;
  const everything = (): Promise<string> => manifest(devdev());
  const take = (...args: string[]) => devdev().json<Info>(at("snapshot", ...args));

  test("S19 take, wreck, restore: every byte and attribute is back", async () => {
    await sh(`mkdir -p a/b && echo one > a/f && head -c 300000 /dev/urandom > a/b/big
      ln a/f a/hard && ln -s f a/soft && mkfifo a/p && truncate -s 5M a/sparse
      chmod 4711 a/f && mkdir -m 1777 sticky && printf x > "$(printf 'bad\\377name')"
      touch -d '2011-11-11 11:11:11.111' a/b`);
    const before = await everything();
    const { id } = await take("--name", "good", "-m", "before the wreck");
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    await sh(
      "rm -rf a/b sticky; echo broken > a/f; mv a/soft out; echo x > new; chmod 777 a; rm bad*",
    );
    expect(await everything()).not.toBe(before);
    const restored = await devdev().json<{ id: string; filesChanged: number; before: Info }>(
      at("restore", "good"),
    );
    expect(restored.id).toBe(id);
    expect(restored.filesChanged).toBeGreaterThan(3);
    expect(await everything()).toBe(before);
    expect(restored.before.automatic).toBe(true);
  });

  test("S21 S26 equal trees have equal ids; a restore can be undone", async () => {
    const good = (await devdev().json<Info[]>(at("snapshots"))).find(
      ({ name }) => name === "good",
    )!;
    expect((await take()).id).toBe(good.id);
    await sh("echo later > later");
    const later = await everything();
    const { before } = await devdev().json<{ before: Info }>(at("restore", "good"));
    await devdev().ok(at("restore", before.id));
    expect(await everything()).toBe(later);
  });

  test("restore by id, by a prefix, by -1 and -2; what is unknown is refused", async () => {
    const ids: string[] = [];
    for (const n of ["1", "2", "3"]) {
      await sh(`echo ${n} > number`);
      ids.push((await take()).id);
    }
    await devdev().ok(at("restore", ids[0]!.slice(0, 10)));
    expect(await sh("cat number")).toBe("1\n");
    await devdev().ok(at("restore", ids[2]!));
    expect(await sh("cat number")).toBe("3\n");
    await sh("echo dirty > number");
    await devdev().ok(at("restore", "-1"));
    expect(await sh("cat number")).toMatch(/^\d\n$/);
    const unknown = await devdev().cli(at("restore", "nothing"));
    expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringMatching(/nothing/)]);
    const twice = await devdev().cli(at("snapshot", "--name", "good"));
    expect([twice.code, twice.stderr]).toEqual([1, expect.stringMatching(/good/)]);
  });

  test("S18 .devdev/snapshots/NAME is a read-only tree to copy from", async () => {
    await sh("echo first > copied && mkdir -p dd && echo in > dd/in");
    await take("--name", "readable");
    await sh("echo second > copied && rm -rf dd");
    const where = ".devdev/snapshots/readable";
    const copies = `cp -a ${where}/dd . && cat dd/in; cp ${where}/copied . && cat copied`;
    expect(await sh(`cat ${where}/copied; ${copies}`)).toBe("first\nin\nfirst\n");
    const script = `cd ${where}; echo x > new; rm copied; mkdir d
      chmod 777 copied; touch copied; mv copied moved`;
    const refused = await devdev().exec(["sh", "-c", `${script}; ls`]);
    const complaints = refused.stderr.trim().split("\n");
    const readOnly = complaints.filter((line) => line.endsWith("Read-only file system"));
    expect([complaints, readOnly.length]).toEqual([readOnly, 6]);
    // The kernel opens it without asking; the write is refused. With writeback that is told at the
    // end, in words for any error (S53).
    const dd = `dd if=/dev/zero of=${where}/copied bs=1 count=1 oflag=append conv=notrunc`;
    const words = writeback ? "Input/output error" : "Read-only file system";
    expect(await sh(`${dd} 2>&1 | grep -c '${words}'`)).toBe("1\n");
    // With writeback the mount shows what was refused until the kernel has dropped it.
    const isWhole = async () => (await sh(`cat ${where}/copied`)) === "first\n";
    await until("the snapshot's content", isWhole, writeback ? 60_000 : 0);
    expect(await sh("ls .devdev/snapshots | grep -c readable")).toBe("1\n");
    await devdev().mustHost([
      "cp",
      `${devdev().mountPoint}/${where}/copied`,
      `${devdev().directory}/out`,
    ]);
  });

  test("S15 .devdev is hidden, cannot be removed, renamed or replaced", async () => {
    expect(await sh("ls -A | grep -c devdev || true; find . -name .devdev | wc -l")).toBe("0\n0\n");
    expect(await sh("ls -A .devdev | tr '\\n' ' '")).toBe("home snapshots tmp ");
    const all = `rmdir .devdev; rm -rf .devdev; mv .devdev x; mkdir .devdev; touch .devdev
      mv copied .devdev; ln -s x .devdev`;
    const { stderr } = await devdev().exec(["sh", "-c", `${all}; true`]);
    expect(stderr).not.toBe("");
    expect(
      await sh(
        "test -d .devdev/home && test -d .devdev/tmp && ls -d x 2>/dev/null || echo all there",
      ),
    ).toBe("all there\n");
  });

  test("S16 S17 home is in every snapshot, tmp is in none; rename between is EXDEV", async () => {
    await sh("echo at-home > ~/.profile-of-mine && echo temporary > $TMPDIR/t");
    await take("--name", "homely");
    await sh("echo changed > ~/.profile-of-mine && echo newer > $TMPDIR/t");
    await devdev().ok(at("restore", "homely"));
    expect(await sh("cat ~/.profile-of-mine $TMPDIR/t")).toBe("at-home\nnewer\n");
    const link = await devdev().exec([
      "sh",
      "-c",
      "ln $TMPDIR/t here; mv $TMPDIR/t moved && cat moved",
    ]);
    expect(link.stderr).toMatch(/Invalid cross-device link/);
    expect(link.stdout).toBe("newer\n");
  });

  test("S25 open files and directories live through a restore", async () => {
    await sh("echo old > held && mkdir -p hd && echo x > hd/x");
    await take("--name", "held");
    const script = `exec 3< held; cd hd; echo ready; : > $TMPDIR/in-hd; until [ -e ../go ]; do sleep 0.1; done; cat <&3
      cat ../held; ls; echo new > made && ls`;
    const running = devdev().cli([
      "exec",
      "-w",
      devdev().mountPoint,
      "-T",
      "--",
      "sh",
      "-c",
      `echo new-content > held; ${script}`,
    ]);
    await marked(devdev(), "in-hd");
    const refused = await devdev().cli(at("restore", "held"));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/live.*kill/);
    expect(refused.stderr).toMatch(/sh/);
    await devdev().ok(at("restore", "--live", "held"));
    await sh("touch go");
    const { stdout, stderr, code } = await running;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe("ready\nold\nold\nx\nmade\nx\n");
  });

  test("restore --kill ends the commands first", async () => {
    const script = ": > $TMPDIR/asleep; exec sleep 60";
    const running = devdev().cli(at("exec", "-T", "--", "sh", "-c", script));
    await marked(devdev(), "asleep");
    await devdev().ok(at("restore", "--kill", "held"));
    expect([137, 143]).toContain((await running).code);
  });

  test("S24 cached names, attributes and pages are those of the restored state", async () => {
    await sh("mkdir cache && echo v1 > cache/a && echo x > cache/gone && ln -s a cache/l");
    await take("--name", "cached");
    await sh(
      `echo version2 > cache/a; rm cache/gone; echo y > cache/appeared
       ln -sf b cache/l; chmod 600 cache/a`,
    );
    const look = `cat cache/a; stat -c '%s %a' cache/a; cat cache/gone cache/appeared 2>&1
      readlink cache/l; ls cache`;
    await devdev().exec(["sh", "-c", `${look}; true`]);
    await devdev().ok(at("restore", "cached"));
    const { stdout } = await devdev().exec(["sh", "-c", `${look}; true`]);
    expect(stdout).toBe(
      "v1\n3 644\nx\ncat: cache/appeared: No such file or directory\na\na\ngone\nl\n",
    );
  });

  test("diff: names, --stat, -p, against the live tree and between snapshots", async () => {
    await sh(
      `mkdir diff && seq 1 10 > diff/text && echo same > diff/same
       echo moved-content > diff/old-name && echo x > diff/rm`,
    );
    await take("--name", "d1");
    await sh(
      `sed -i s/5/five/ diff/text && mv diff/old-name diff/new-name && rm diff/rm
       echo + > diff/added && chmod 755 diff/same`,
    );
    await take("--name", "d2");
    const { stdout } = await devdev().ok(at("diff", "d1"));
    const lines = stdout
      .trim()
      .split("\n")
      .filter((line) => line.includes("diff/"));
    expect(lines.sort()).toEqual([
      "A diff/added",
      "D diff/rm",
      "M diff/same (mode)",
      "M diff/text",
      "R diff/old-name -> diff/new-name",
    ]);
    const { entries } = await devdev().json<{ entries: Entry[] }>(at("diff", "d1", "d2"));
    expect(entries.find(({ path }) => path.endsWith("diff/text"))?.changed).toContain("content");
    expect((await devdev().json<{ entries: Entry[] }>(at("diff", "d2"))).entries).toEqual([]);
    const patch = await devdev().ok(at("diff", "-p", "d1", "d2"));
    expect(patch.stdout).toMatch(/^-5\n\+five$/m);
    const stat = await devdev().ok(at("diff", "--stat", "d1"));
    expect(stat.stdout).toMatch(/diff\/text\s*\|\s*2 \+-/);
  });

  test("a mapping's stores are in the snapshot, without msync", async () => {
    const script = `import mmap, os, time
f = os.open("mapped", os.O_RDWR | os.O_CREAT); os.ftruncate(f, 8192)
m = mmap.mmap(f, 8192); m[0:4] = b"AAAA"; m[5000:5004] = b"BBBB"
tmp = os.environ["TMPDIR"]; open(f"{tmp}/stored", "w").close()
while not os.path.exists(f"{tmp}/taken"): time.sleep(0.05)`;
    const running = devdev().exec(["python3", "-c", script]);
    await marked(devdev(), "stored");
    await take("--name", "mapped");
    const read = await sh(
      "cd .devdev/snapshots/mapped && head -c 4 mapped && tail -c +5001 mapped | head -c 4",
    );
    expect(read).toBe("AAAABBBB");
    await sh(": > .devdev/tmp/taken");
    await running;
  });
});
