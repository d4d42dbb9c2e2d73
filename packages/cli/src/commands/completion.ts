// devdev completion SHELL, and `devdev complete --`, which the scripts call back.

import tab from "@bomb.sh/tab/commander";
import { RpcClient } from "@devdev/client";
import type { Command } from "commander";

/**
 * Our own: the library's needs the package bash-completion, and evaluates what was typed so far.
 */
const BASH = `# bash completion for devdev: source <(devdev completion bash)
__devdev_complete() {
    local line current=\${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    while IFS= read -r line; do
        line=\${line%%$'\\t'*}
        [[ $line == :* || $line != "$current"* ]] && continue
        printf -v line %q "$line"
        COMPREPLY+=("$line")
    done < <(devdev complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F __devdev_complete devdev
`;

const EXAMPLES = `
Examples:
  $ echo 'source <(devdev completion bash)' >> ~/.bashrc
  $ echo 'source <(devdev completion zsh)' >> ~/.zshrc
  $ devdev completion fish > ~/.config/fish/completions/devdev.fish`;

/** The line that ends a list: what the shell may add to it. */
const NO_FILES = ":4";
const ANYTHING = ":0";

/** Arguments that are names of workspaces, and of snapshots, by command. */
const WORKSPACES = new Set(["unmount", "rm"]);
const SNAPSHOTS = new Set(["restore", "diff", "export"]);

/** Adds both commands to a complete program; only then, because it walks over every command. */
export async function installCompletion(program: Command, argv: string[]): Promise<void> {
  if (argv[0] === "completion" && argv[1] === "bash") {
    const print = (): void => void process.stdout.write(BASH);
    program.command("completion <shell>").action(print).addHelpText("after", EXAMPLES);
    return;
  }
  if (argv[0] === "complete") await offerNames(program, argv);
  tab(program, { completionCommandName: "completion" });
  program.commands
    .find((command) => command.name() === "completion")
    ?.addHelpText("after", EXAMPLES);
  if (argv[0] === "complete") filesForNothing();
}

// The library forbids the shell to complete file names, also where it has nothing to offer itself.
function filesForNothing(): void {
  const print = console.log;
  let offered = false;
  console.log = (line: string): void => {
    print(line === NO_FILES && !offered ? ANYTHING : line);
    offered = true;
  };
}

// What there is to choose from, as if it were written into the program.
async function offerNames(program: Command, argv: string[]): Promise<void> {
  const { workspaces, snapshots } = await names(argv);
  for (const command of [program, ...program.commands]) {
    for (const option of command.options) {
      if (option.attributeName() === "workspace") option.argChoices = workspaces;
      if (option.attributeName() === "profile")
        option.argChoices = ["node", "rust", "python", "go"];
    }
    const [own, of] = [command.name(), command.registeredArguments];
    const choices = WORKSPACES.has(own) ? workspaces : SNAPSHOTS.has(own) ? snapshots : undefined;
    for (const argument of of) {
      if (choices && argument.name() !== "file") argument.argChoices = choices;
    }
  }
}

interface Names {
  workspaces: string[];
  snapshots: string[];
}

async function names(argv: string[]): Promise<Names> {
  const found: Names = { workspaces: [], snapshots: [] };
  try {
    using rpc = await RpcClient.connect({ start: false });
    found.workspaces = (await rpc.call("workspace/list", {})).map(({ name }) => name);
    const option = argv.findIndex((word) => word === "-w" || word === "--workspace");
    const workspace = option < 0 ? undefined : argv[option + 1];
    const { id } = await rpc.call("workspace/select", {
      cwd: process.cwd(),
      ...(workspace && { workspace }),
    });
    const all = await rpc.call("snapshot/list", { workspace: id });
    found.snapshots = all.flatMap(({ name }) => name ?? []);
  } catch {
    // No daemon, or no single workspace: there is less to offer, and nothing to complain about.
  }
  return found;
}
