/** Its options are many: the comment at the head of the script says them. */
export const USAGE = "scripts/bench [check|snapshots|js|memory] [OPTION...]  (--help for more)";
