// The contract over the whole Workspace interface, for every implementation of it.

import { againstCases } from "./against.js";
import { commandCases } from "./commands.js";
import type { ContractCase } from "./contract.js";
import { figureCases } from "./figures.js";
import { fileCases } from "./files.js";
import { timeCases } from "./time.js";

export type { ContractCase, WorkspaceMaker } from "./contract.js";
export { fileOutcomes } from "./file-outcomes.js";

export const workspaceContract: readonly ContractCase[] = [
  ...fileCases,
  ...timeCases,
  ...againstCases,
  ...commandCases,
  ...figureCases,
];
