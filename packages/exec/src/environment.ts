// The environment of a command, built from nothing: no variable of the caller arrives unless it was
// asked for by name. Pure: what is known of the host and of the caller is handed in.
import path from "node:path";

import { isProfileName, type Profile, PROFILES } from "./profiles.js";

export const BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What the environment takes from outside; `readHost()` fills it in. */
export interface Host {
  user: string;
  /** The user's own home directory: profiles find toolchains below it. */
  home: string;
  isDirectory: (path: string) => boolean;
  isFile: (path: string) => boolean;
  /** Where a tool that was found on a PATH really is. */
  realPath: (path: string) => string;
  /** The file that a name means on a PATH. */
  findOnPath: (name: string, path: string) => string | undefined;
}

export interface EnvironmentOptions {
  host: Host;
  /** HOME and TMPDIR of the workspace, as host paths. */
  home: string;
  tmpdir: string;
  /** The working directory, as a host path. */
  cwd: string;
  /** Default /bin/sh; `devdev shell` gives the user's. */
  shell?: string | undefined;
  /** `term` is the caller's TERM; without it the terminal is "dumb". */
  terminal?: { cols: number; rows: number; term?: string | undefined } | undefined;
  profiles?: readonly string[] | undefined;
  /** Directories in front of PATH. */
  path?: readonly string[] | undefined;
  /** Names of variables to take from `callerEnv`; one that is not set there stays unset. */
  passEnv?: readonly string[] | undefined;
  callerEnv?: Readonly<Record<string, string | undefined>> | undefined;
  /** Set last. */
  env?: Readonly<Record<string, string>> | undefined;
}

/** The whole environment, in the order of precedence: table, profiles, passEnv, env. */
export function buildEnvironment(options: EnvironmentOptions): Record<string, string> {
  const profiles = (options.profiles ?? []).map(profileByName);
  return {
    HOME: options.home,
    TMPDIR: options.tmpdir,
    USER: options.host.user,
    LOGNAME: options.host.user,
    SHELL: options.shell ?? "/bin/sh",
    ...terminalVariables(options.terminal),
    LANG: "C.UTF-8",
    PAGER: "cat",
    GIT_PAGER: "cat",
    GIT_TERMINAL_PROMPT: "0",
    PWD: options.cwd,
    ...Object.assign({}, ...profiles.map((profile) => profileVariables(profile, options))),
    ...pick(options.passEnv ?? [], options.callerEnv ?? {}),
    // After passEnv, so that passing PATH on extends it instead of undoing --path and profiles.
    PATH: searchPath(profiles, options),
    ...options.env,
  };
}

/**
 * COLUMNS and LINES go with a dumb terminal only: on the caller's own, which can be resized, they
 * would freeze the size for every ncurses program.
 */
function terminalVariables(terminal: EnvironmentOptions["terminal"]): Record<string, string> {
  if (terminal?.term !== undefined && terminal.term !== "") return { TERM: terminal.term };
  if (terminal === undefined) return { TERM: "dumb" };
  return { TERM: "dumb", COLUMNS: String(terminal.cols), LINES: String(terminal.rows) };
}

function profileByName(name: string): Profile {
  if (isProfileName(name)) return PROFILES[name];
  const known = Object.keys(PROFILES).join(", ");
  throw invalid(`there is no profile "${name}" (known: ${known})`);
}

function profileVariables(profile: Profile, options: EnvironmentOptions): Record<string, string> {
  const { host, callerEnv = {} } = options;
  const variables: Record<string, string> = {};
  for (const [name, directory] of Object.entries(profile.home)) {
    variables[name] = path.posix.join(options.home, directory);
  }
  for (const [name, directory] of Object.entries(profile.host)) {
    const value = callerEnv[name] ?? path.posix.join(host.home, directory);
    if (host.isDirectory(value)) variables[name] = value;
  }
  for (const [name, files] of Object.entries(profile.hostFile ?? {})) {
    const file = hostFile(profile, files, options);
    if (file !== undefined) variables[name] = file;
  }
  return Object.assign(variables, pick(profile.pass, callerEnv));
}

function hostFile(
  profile: Profile,
  files: readonly string[],
  options: EnvironmentOptions,
): string | undefined {
  const { host } = options;
  const tool = host.findOnPath(profile.tools[0] ?? "", `${callerPath(options)}:${BASE_PATH}`);
  const prefix = tool && path.posix.dirname(path.posix.dirname(host.realPath(tool)));
  return files
    .flatMap((file) => (path.posix.isAbsolute(file) ? file : prefix ? `${prefix}/${file}` : []))
    .find(host.isFile);
}

function searchPath(profiles: readonly Profile[], options: EnvironmentOptions): string {
  const { host, callerEnv = {} } = options;
  const base = (pick(options.passEnv ?? [], callerEnv)["PATH"] ?? BASE_PATH).split(":");
  const own = profiles.flatMap((profile) => profile.homePath);
  const installed = profiles
    .flatMap((profile) => profile.hostPath)
    .map((directory) => path.posix.join(host.home, directory));
  const tools = profiles.flatMap((profile) => profile.tools);
  const found = tools.flatMap((tool) => {
    const file = host.findOnPath(tool, callerPath(options));
    return file === undefined ? [] : [path.posix.dirname(file)];
  });
  const front = [
    ...(options.path ?? []),
    ...own.map((directory) => path.posix.join(options.home, directory)),
    ...found.filter((directory) => !base.includes(directory)),
    ...installed.filter(host.isDirectory),
  ];
  const bad = front.find(
    (directory) => !path.posix.isAbsolute(directory) || directory.includes(":"),
  );
  if (bad !== undefined) throw invalid(`not an absolute directory for PATH: "${bad}"`);
  return [...new Set([...front, ...base])].join(":");
}

/** The caller's PATH without the workspace's own directories: nothing here looks into the mount. */
function callerPath({ callerEnv = {}, home }: EnvironmentOptions): string {
  const mount = `${path.posix.dirname(path.posix.dirname(home))}/`;
  const directories = (callerEnv["PATH"] ?? "").split(":");
  return directories.filter((directory) => !`${directory}/`.startsWith(mount)).join(":");
}

function pick(
  names: readonly string[],
  from: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const present = names.map((name) => [name, from[name]] as const);
  return Object.fromEntries(
    present.filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}

/** Reads `NAME=VALUE` as `--env` takes it. */
export function parseAssignment(text: string): [name: string, value: string] {
  const equals = text.indexOf("=");
  if (equals <= 0) throw invalid(`expected NAME=VALUE, got "${text}"`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}

function invalid(message: string): TypeError {
  return Object.assign(new TypeError(message), { code: "ERR_INVALID_ARG_VALUE" });
}
