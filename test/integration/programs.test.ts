// Everyday programs on a mounted workspace: search, archives, copying, an editor, du and find, and
// what POSIX lets scripts count on: links, permissions, fifos, locks.

import { expect, test } from "vitest";
import { forEachIdentity, lacks, useDevdev } from "../harness/suite.ts";

const TREE = `
  mkdir -p tree/a/b tree/c && cd tree
  for i in $(seq 1 200); do echo "line $i of needle-$((i % 10))" > a/f$i; done
  echo 'needle-in-b' > a/b/deep; printf 'bin\\0ary' > c/binary; mkfifo c/pipe
  ln -s ../a c/to-a; ln a/f1 c/hard; ln -s nowhere c/dangling; chmod 2755 c; chmod 0600 a/f2
  touch -d '2001-02-03 04:05:06.789' a/f3; truncate -s 10M c/sparse; mkdir empty`;

forEachIdentity("programs", (who, as) => {
  const devdev = useDevdev(who, "programs");
  const sh = async (script: string, timeoutMs = 60_000): Promise<string> =>
    (await devdev().sh(script, { timeoutMs })).stdout.trim();

  test.skipIf(lacks("rg"))("ripgrep, find, grep -r", async () => {
    await sh(TREE);
    expect(await sh("cd tree && rg -c needle-3 a | wc -l")).toBe("20");
    expect(await sh("cd tree && rg --no-filename needle-in .")).toBe("needle-in-b");
    expect(await sh("cd tree && grep -rl needle-3 a | wc -l")).toBe("20");
    expect(await sh("cd tree && find . -type f | wc -l; find . -type l | wc -l")).toBe("204\n2");
    expect(await sh("cd tree && find . -samefile a/f1 | sort")).toBe("./a/f1\n./c/hard");
    expect(await sh("cd tree && find . -type p -o -type d -empty | sort")).toBe(
      "./c/pipe\n./empty",
    );
    expect(await sh("cd tree && find . -newermt 2001-02-04 -name f3 | wc -l")).toBe("0");
  });

  test("tar there and back keeps everything", async () => {
    const list =
      "find . -type d -printf '%P %m %T+\\n' -o -printf '%P %y %m %n %s %l %T+\\n' | sort";
    await sh("mkdir out && tar cf - --format=posix --sparse tree | tar xpf - -C out");
    expect(await sh(`cd out/tree && ${list}`)).toBe(await sh(`cd tree && ${list}`));
    await sh(
      "diff -r --no-dereference -x pipe tree out/tree && cmp tree/c/sparse out/tree/c/sparse",
    );
  });

  test.skipIf(lacks("rsync"))("rsync copies, and then finds nothing to do", async () => {
    await sh("rsync -aHX tree/ copy/ && diff -r --no-dereference -x pipe tree copy");
    expect(await sh("rsync -aHX --itemize-changes --delete tree/ copy/")).toBe("");
    await sh("echo changed > tree/a/f9 && rm tree/a/f10");
    const changes = await sh("rsync -aHX --itemize-changes --delete tree/ copy/ | cut -c1-2,13-");
    expect(changes.split("\n").sort()).toEqual(expect.arrayContaining(["*da/f10", ">fa/f9"]));
  });

  test("cp -a, mv and rm", async () => {
    const printed = await sh(`cp -a tree dup && diff -r --no-dereference -x pipe tree dup
      test "$(stat -c %Y.%i tree/a/f3 | cut -d. -f1)" = "$(stat -c %Y dup/a/f3)"
      mv dup moved && test ! -e dup && rm -rf moved copy out && ls`);
    expect(printed).toBe("tree");
  });

  test("du counts what is there", async () => {
    await sh("mkdir du && head -c 1000000 /dev/urandom > du/one && truncate -s 1G du/hole");
    expect(await sh("du --apparent-size -B1 du/one | cut -f1")).toBe("1000000");
    const allocated = Number(await sh("du -sB1 du | cut -f1"));
    expect(allocated).toBeGreaterThanOrEqual(1_000_000);
    expect(allocated).toBeLessThan(2_000_000);
    expect(await sh("stat -c %s du/hole")).toBe(String(2 ** 30));
    await sh("rm -rf du");
  });

  test.skipIf(lacks("sqlite3"))("SQLite in WAL mode, with two writers", async () => {
    await sh(`mkdir db && cd db
      sqlite3 t.db 'pragma journal_mode=wal; create table t(a integer, b text);' >/dev/null
      add() { for i in $(seq 1 40); do
        sqlite3 t.db ".timeout 20000" "insert into t values($i, '$1' || hex(randomblob(50)))"
      done; }
      add one & first=$!; add two; wait $first`);
    expect(await sh("cd db && sqlite3 t.db 'select count(*) from t; pragma integrity_check'")).toBe(
      "80\nok",
    );
    expect(await sh("cd db && ls")).toBe("t.db");
  });

  test.skipIf(lacks("vim"))("vim writes a file", async () => {
    await sh("printf 'one\\ntwo\\n' > text && chmod 640 text && ln text text-link");
    await sh("vim -es -u NONE -c '%s/two/three/' -c 'normal Gofour' -c wq text </dev/null");
    expect(await sh("cat text; stat -c %a text; ls -a | grep -c swp || true")).toBe(
      "one\nthree\nfour\n640\n0",
    );
  });

  test("hard links share, and count", async () => {
    const printed = await sh(`mkdir links && cd links && echo x > a && ln a b && ln b c
      echo y >> c && cat a && stat -c %h a && test a -ef c && rm a && stat -c %h b && cat b
      ln -s b s && ln s t && readlink t && stat -c %h b && ln -L s u && stat -c %h b
      mkdir d && ln d e 2>/dev/null || echo refused; stat -c %h d .`);
    expect(printed).toBe("x\ny\n3\n2\nx\ny\nb\n2\n3\nrefused\n2\n3");
  });

  test("permissions are checked for those whom they bind", async () => {
    const printed = await sh(`mkdir perm && cd perm && echo secret > f && chmod 000 f
      mkdir d && touch d/x && chmod 000 d
      cat f 2>&1 || true; ls d 2>&1 || true; stat -c %a f d; chmod 755 d
      test -x f && echo x || echo no-x
      printf '#!/bin/sh\\necho ran\\n' > run && (./run 2>/dev/null || echo "not yet")
      chmod +x run && ./run`);
    const denied = [
      "cat: f: Permission denied",
      "ls: cannot open directory 'd': Permission denied",
    ];
    const first = as === "root" ? ["secret", "x"] : denied;
    expect(printed.split("\n")).toEqual([...first, "0", "0", "no-x", "not yet", "ran"]);
  });

  test("sticky, setgid, umask and chown as the kernel has them", async () => {
    const printed =
      await sh(`umask 027 && mkdir modes && cd modes && touch f && mkdir d && stat -c %a f d
      chmod 4755 f && stat -c %a f && chmod 2775 d && mkdir d/e && stat -c %a d/e
      chown 12345 f 2>/dev/null && echo chowned || echo refused`);
    const setgid = as === "root" ? "chowned" : "refused";
    expect(printed.split("\n")).toEqual(["640", "750", "4755", "2750", setgid]);
  });

  test("fifos and flock between processes", async () => {
    const printed = await sh(`mkdir ipc && cd ipc && mkfifo p
      (for i in 1 2 3; do echo $i; done > p) & cat p; wait
      echo 0 > n
      for i in $(seq 1 20); do (flock 9; v=$(cat n); echo $((v + 1)) > n) 9> lock & done
      wait; cat n
      (flock -n 9 && flock -n 8 || echo busy) 9> lock 8> lock`);
    expect(printed).toBe("1\n2\n3\n20\nbusy");
  });

  const noPostgres = as === "root" || lacks("initdb", "pgbench");
  test.skipIf(noPostgres)(
    "PostgreSQL (which refuses to run as root): initdb, pgbench, stop, start again",
    async () => {
      const printed = await sh(
        `export PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin | tail -1); export PGHOST=$TMPDIR
       initdb -A trust -D pg >/dev/null && echo "unix_socket_directories = '$TMPDIR'
listen_addresses = ''" >> pg/postgresql.conf
       pg_ctl -D pg -w -l pg.log start >/dev/null && createdb bench
       pgbench -i -q -s 1 bench 2>/dev/null >/dev/null
       pgbench -c 2 -t 100 bench 2>/dev/null | grep 'actually processed'
       psql -Atc 'select count(*) from pgbench_history' bench
       pg_ctl -D pg -w -m fast stop >/dev/null
       pg_controldata pg | grep 'cluster state'
       pg_ctl -D pg -w -l pg.log start >/dev/null
       psql -Atc 'select count(*) from pgbench_history' bench
       pgbench -n -c 2 -t 50 bench 2>/dev/null | grep 'actually processed'
       psql -Atc 'select sum(delta) = (select sum(abalance) from pgbench_accounts)
         from pgbench_history' bench
       pg_ctl -D pg -w -m fast stop >/dev/null`,
        280_000,
      );
      const [first, history, state, again, second, consistent] = printed.split("\n");
      expect(first).toContain("200/200");
      expect([history, again]).toEqual(["200", "200"]);
      expect(state).toMatch(/shut down$/);
      expect(second).toContain("100/100");
      expect(consistent).toBe("t");
    },
    300_000,
  );
});
