// The devdev command.

export { buildProgram, run } from "./program.js";
