// Toolchain profiles as data: what a toolchain needs beyond the curated environment, no more.

export interface Profile {
  /** Looked up on the caller's PATH; the directory of each is added unless it is there already. */
  tools: readonly string[];
  /** Variable -> directory below the workspace's HOME. */
  home: Readonly<Record<string, string>>;
  /** Directories below the workspace's HOME for PATH: what the toolchain installs for itself. */
  homePath: readonly string[];
  /** Variable -> directory below the caller's home, taken if it exists; the caller's value wins. */
  host: Readonly<Record<string, string>>;
  /** Directories below the caller's home for PATH, if they exist. */
  hostPath: readonly string[];
  /**
   * Variable -> files of the host's own set-up, the first that is there; one that is not absolute
   * is below the prefix of the first tool, as that tool looks for it.
   */
  hostFile?: Readonly<Record<string, readonly string[]>>;
  /** Taken from the caller if set: where a version manager keeps its tools. */
  pass: readonly string[];
}

export const PROFILES = {
  node: {
    tools: ["node", "npm"],
    home: { NPM_CONFIG_PREFIX: ".npm-global" },
    homePath: [".npm-global/bin"],
    host: {},
    // npm looks for it below its prefix, which is another one here: without it the host's registry
    // and certificates are lost. Debian's npm has it in /etc.
    hostFile: { NPM_CONFIG_GLOBALCONFIG: ["etc/npmrc", "/etc/npmrc"] },
    hostPath: [],
    pass: [],
  },
  rust: {
    tools: ["cargo", "rustc"],
    home: { CARGO_HOME: ".cargo" },
    homePath: [".cargo/bin"],
    host: { RUSTUP_HOME: ".rustup" },
    hostPath: [".cargo/bin"],
    pass: ["RUSTUP_TOOLCHAIN"],
  },
  python: {
    tools: ["python3", "pip3"],
    home: {},
    homePath: [".local/bin"],
    host: {},
    hostPath: [],
    pass: ["PYENV_ROOT"],
  },
  go: {
    tools: ["go"],
    home: {},
    homePath: ["go/bin"],
    host: {},
    hostPath: [],
    pass: ["GOROOT"],
  },
} as const satisfies Record<string, Profile>;

export type ProfileName = keyof typeof PROFILES;

export function isProfileName(name: string): name is ProfileName {
  return Object.hasOwn(PROFILES, name);
}
