// Names of the cached lists.

export const keys = {
  session: ["session"] as const,
  factors: ["factors"] as const,
  loginWays: ["loginWays"] as const,
  ownSessions: ["ownSessions"] as const,
  ownNotices: ["ownNotices"] as const,
  cameras: ["cameras"] as const,
  legalChanges: ["legalChanges"] as const,
  holds: ["holds"] as const,
  exports: ["exports"] as const,
  gated: ["gated"] as const,
  reads: ["reads"] as const,
  findings: ["findings"] as const,
  partners: ["partners"] as const,
  sharing: ["sharing"] as const,
  certificates: ["certificates"] as const,
  users: ["users"] as const,
  orgs: ["orgs"] as const,
  audit: ["audit"] as const,
  health: ["health"] as const,
  timeline: ["timeline"] as const,
};
