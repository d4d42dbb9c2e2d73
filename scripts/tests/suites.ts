// scripts/suites: runs the suites once for each transport and identity that was asked for, and adds
// up what vitest counts. Separate from run.ts, whose runners each run once, as whoever calls.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { base, CHECKOUT } from "../../test/harness/base.ts";
import { sweep } from "../../test/harness/global-setup.ts";
import { type Identity, identity, identityNames } from "../../test/harness/identity.ts";
import { run } from "../../test/harness/run.ts";
import { buildFsops } from "../../test/property/fsops.ts";
import { type Failure, told, unnamed, vitestFailures, within } from "./failures.ts";
import { interruptible, runGroup } from "./group.ts";
import { countVitest, type Counts } from "./runners.ts";

/** What with-io-uring exits with where the kernel's switch cannot be moved. */
const UNAVAILABLE = 77;

/** What says how to reach registries: a user needs it as root does. */
const NETWORK = /^(https?_proxy|no_proxy|node_extra_ca_certs|ssl_cert_\w+|npm_config_\w+)$/i;

const TRANSPORTS = ["classic", "io_uring"] as const;
type Transport = (typeof TRANSPORTS)[number];

interface Combination {
  transport: Transport;
  as: "root" | "user";
}

interface Wanted {
  combinations: Combination[];
  writeback: boolean;
  patterns: string[];
}

class UsageError extends Error {}

function wanted(argv: string[]): Wanted {
  const options = {
    transport: { type: "string" },
    as: { type: "string" },
    writeback: { type: "boolean", default: process.env["DEVDEV_WRITEBACK"] === "1" },
  } as const;
  const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true });
  const transports = TRANSPORTS.filter((one) => (values.transport ?? one) === one);
  const names = (["root", "user"] as const).filter((one) => (values.as ?? one) === one);
  if (transports.length === 0) throw new UsageError(`no transport ${values.transport}`);
  if (names.length === 0) throw new UsageError(`--as root or --as user, not ${values.as}`);
  const possible = names.filter((name) => identityNames.includes(name));
  if (possible.length === 0) throw new UsageError("only root can run them as root");
  const combinations = transports.flatMap((transport) => possible.map((as) => ({ transport, as })));
  return { combinations, writeback: values.writeback, patterns: positionals };
}

/** The command that runs vitest as that identity, in an environment of its own. */
async function command({ transport, as }: Combination, all: Wanted): Promise<string[]> {
  const who = await identity(as);
  const home = mkdtempSync(join(base(), `home-${as}-`));
  const env: Record<string, string | undefined> = {
    ...(as === identityNames[0] ? process.env : clean(who, home)),
    DEVDEV_TRANSPORT: transport,
    DEVDEV_WRITEBACK: all.writeback ? "1" : undefined,
    DEVDEV_TEST_BASE: undefined,
    DEVDEV_HOME: undefined,
    DEVDEV_REQUIRE_MOUNT: process.env["DEVDEV_REQUIRE_MOUNT"],
    DEVDEV_TEST_FSOPS: await buildFsops(),
    FORCE_COLOR: undefined,
    NO_COLOR: "1",
  };
  await run(["chown", `${who.uid}:${who.gid}`, home]);
  const set = Object.entries(env).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  const node = process.execPath.replace(CHECKOUT, who.checkout);
  const vitest = join(who.checkout, "node_modules/vitest/vitest.mjs");
  // Whoever runs them need not be able to write here: no bundled configuration, no cache.
  const args = ["run", "--root", who.checkout, "--configLoader", "runner", "--no-cache"];
  const reporter = `--reporter=${join(who.checkout, "scripts/tests/unsteady.ts")}`;
  const suites = [...args, "--retry=1", "--reporter=default", reporter, "--project", "suites"];
  const argv = who.wrap(["env", "-i", ...set, node, vitest, ...suites, ...all.patterns]);
  const ring = [join(CHECKOUT, "scripts/with-io-uring"), ...argv];
  return transport === "io_uring" && process.getuid?.() === 0 ? ring : argv;
}

function clean(who: Identity, home: string): Record<string, string> {
  const path = who.rustBin === undefined ? who.path : `${who.rustBin}:${who.path}`;
  mkdirSync(home, { recursive: true });
  const network = Object.entries(process.env).filter(([name]) => NETWORK.test(name));
  return {
    ...(Object.fromEntries(network) as Record<string, string>),
    PATH: path,
    HOME: home,
    USER: who.user,
    LOGNAME: who.user,
    LANG: "C.UTF-8",
  };
}

async function main(): Promise<void> {
  const all = wanted(process.argv.slice(2));
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const lines: string[] = [];
  const failures: Failure[] = [];
  for (const combination of all.combinations) {
    const { transport, as } = combination;
    const how = all.writeback ? " with writeback" : "";
    console.log(`\n== suites over ${transport} as ${as}${how}`);
    const { code, output } = await runGroup(await command(combination, all), { cwd: "/" });
    if (code === UNAVAILABLE) {
      lines.push(`over ${transport} as ${as}: skipped: io_uring not available`);
      total.skipped++;
      continue;
    }
    const counts = countVitest(output) ?? { passed: 0, failed: 1, skipped: 0 };
    if (code !== 0 && counts.failed === 0) counts.failed = 1;
    for (const name of ["passed", "failed", "skipped"] as const) total[name] += counts[name];
    const { passed, failed, skipped } = counts;
    lines.push(`over ${transport} as ${as}: ${passed} ok, ${failed} not, ${skipped} skipped`);
    if (failed === 0) continue;
    const found = vitestFailures(output);
    const named = found.length > 0 ? found : [unnamed(`exit code ${code}`, output)];
    failures.push(...within(`over ${transport} as ${as}`, named));
  }
  await sweep(base());
  rmSync(base(), { recursive: true, force: true });
  console.log(`\n${[...lines, ...told(failures)].join("\n")}`);
  console.log(`suites: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}

await interruptible(main).catch((error: unknown) => {
  if (!(error instanceof UsageError || error instanceof TypeError)) throw error;
  console.error(`suites: ${error.message}; see the head of scripts/suites`);
  process.exitCode = 2;
});
