// Package managers and compilers on a mounted workspace: npm and tsc, cargo, pip's venv. They reach
// their registries as on the host; nothing of the caller's environment helps them.

import { expect, test } from "vitest";
import { forEachIdentity, lacks, useDevdev } from "../harness/suite.ts";

const PACKAGE = {
  name: "fixture",
  version: "1.0.0",
  private: true,
  type: "module",
  dependencies: { semver: "7.7.3", typescript: "5.9.3", yargs: "18.0.0" },
};

const TSCONFIG = {
  compilerOptions: { target: "es2022", module: "nodenext", outDir: "out", strict: true, types: [] },
  include: ["src"],
};

const MAIN = `
const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
export const answer: number = sum([40, 2]);
`;

forEachIdentity("toolchains", (who, as) => {
  const devdev = useDevdev(who, "toolchains");
  const write = (path: string, text: string): Promise<unknown> =>
    devdev().sh(`mkdir -p "$(dirname ${path})" && cat > ${path}`, { input: text });

  test.skipIf(lacks("npm"))("npm install of a real project", async () => {
    await write("app/package.json", JSON.stringify(PACKAGE));
    const install = "cd app && npm install --no-audit --no-fund --loglevel=error";
    await devdev().sh(install, { timeoutMs: 220_000 });
    const { stdout } = await devdev().sh(`cd app && npm ls --depth=0 --parseable | wc -l
      node -e 'import("semver").then((s) => console.log(s.default.inc("1.2.3", "minor")))'
      node_modules/.bin/semver 1.0.0 2.0.0 -r '>1.5' && test -L node_modules/.bin/semver`);
    expect(stdout.trim().split("\n")).toEqual(["4", "1.3.0", "2.0.0"]);
  });

  test.skipIf(lacks("npm"))("tsc compiles, and what it wrote runs", async () => {
    await write("app/tsconfig.json", JSON.stringify(TSCONFIG));
    await write("app/src/main.ts", MAIN);
    const { stdout } = await devdev().sh(`cd app && node_modules/.bin/tsc -p . &&
      node -e 'import("./out/main.js").then((m) => console.log(m.answer))'`);
    expect(stdout.trim()).toBe("42");
    const wrong =
      "cd app && echo 'export const x: string = 1;' > src/wrong.ts && node_modules/.bin/tsc -p .";
    const failed = await devdev().cli([
      "exec",
      "-w",
      devdev().mountPoint,
      "-T",
      "--",
      "sh",
      "-c",
      wrong,
    ]);
    expect(failed.code).toBe(2);
    expect(failed.stdout).toContain("src/wrong.ts(1,14): error TS2322");
  });

  // With the profile npm has a prefix of its own, and still the host's registry and certificates.
  test.skipIf(lacks("npm"))("npm's tree survives npm ci, with the profile node", async () => {
    const script =
      "cd app && npm ci --no-audit --no-fund --loglevel=error && ls node_modules/semver/index.js";
    const options = { flags: ["--profile", "node"], timeoutMs: 220_000 };
    const { stdout } = await devdev().sh(script, options);
    expect(stdout.trim().split("\n").at(-1)).toBe("node_modules/semver/index.js");
  });

  test("cargo build of a crate with a dependency", { timeout: 400_000 }, async (context) => {
    const { rustBin } = devdev().identity;
    if (rustBin === undefined) context.skip("no Rust toolchain is installed");
    await write(
      "crate/Cargo.toml",
      '[package]\nname = "fixture"\nversion = "0.1.0"\n[dependencies]\nitoa = "1"\n',
    );
    await write(
      "crate/src/main.rs",
      'fn main() { println!("{}", itoa::Buffer::new().format(6 * 7)); }\n',
    );
    // Root has rustup in its home, where the profile finds it; the user gets the toolchain itself.
    const path = as === "user" && rustBin !== undefined ? ["--path", rustBin] : [];
    const options = { flags: ["--profile", "rust", ...path], timeoutMs: 380_000 };
    const { stdout } = await devdev().sh("cd crate && cargo build -q && cargo run -q", options);
    expect(stdout.trim()).toBe("42");
    const home = await devdev().sh("ls -d $HOME/.cargo/registry && cargo --version", options);
    expect(home.stdout).toContain(`${devdev().mountPoint}/.devdev/home/.cargo/registry`);
    const changed = "cd crate && sed -i s/7/8/ src/main.rs && cargo run -q";
    expect((await devdev().sh(changed, options)).stdout.trim()).toBe("48");
  });

  test.skipIf(lacks("python3"))("a Python venv", async () => {
    const { stdout } = await devdev().sh(
      `python3 -m venv env && . env/bin/activate
       mkdir -p pkg && echo 'x = 41' > pkg/__init__.py
       python -c 'import sys, pkg; print(sys.prefix, pkg.x + 1)'
       ls pkg/__pycache__ | wc -l && pip --version`,
      { timeoutMs: 220_000 },
    );
    const [first, second, third] = stdout.trim().split("\n");
    expect(first).toBe(`${devdev().mountPoint}/env 42`);
    expect(second).toBe("1");
    expect(third).toMatch(/^pip /);
  });
});
