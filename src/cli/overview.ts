declare const __BROKER_VERSION__: string

export const VERSION = __BROKER_VERSION__

/** `broker` alone: the few commands that a newcomer needs, in the order of need. */
export const OVERVIEW: readonly string[] = [
  `broker ${VERSION} · short-lived, narrowed credentials for one task, revoked when it ends`,
  '',
  '  broker exec --env staging -- COMMAND   run a command with credentials of its own',
  '  broker tokens                          which tokens are live, and who holds them',
  '  broker revoke LEASE                    end one now (--all: every one)',
  '  broker connect PROVIDER                store a long-lived credential',
  '  broker template init                   write down who may get what, where, how long',
  '  broker audit list                      what was issued, to whom, when it ended',
  '  broker approvals                       what waits for a person to decide',
  '  broker doctor                          what protects this machine, and what does not',
  '',
  'broker demo shows what it is for; broker help lists every command; broker COMMAND --help explains one',
]

export const VERSION_LINE = `broker ${VERSION} (${process.platform}-${process.arch}, node ${process.versions.node})`
