// What may break a rule, and why. An exception that nothing needs any more is itself a finding.
export interface Exception {
  path: string;
  rule: string;
  reason: string;
}

export const EXCEPTIONS: Exception[] = [];
