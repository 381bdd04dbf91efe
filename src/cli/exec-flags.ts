/** One flag of `broker exec`. Plain data: the hot path parses by it, and the help is made from it. */
export interface ExecFlag {
  readonly summary: string
  /** What stands for the value in the usage line; a flag without one takes no value. */
  readonly value?: string
  readonly required?: true
  readonly multiple?: true
  readonly options?: readonly string[]
}

export const EXEC_FLAGS = {
  env: { summary: 'environment to work in', value: 'NAME', required: true },
  template: { summary: 'template to issue by; needed when several fit', value: 'T' },
  ttl: { summary: 'how long the lease may live at most, e.g. 30m or 1h30m', value: '30m' },
  reason: { summary: 'what the task is for, kept in the audit log', value: 'TEXT' },
  isolation: {
    summary: 'how far the command is kept apart; auto takes the strongest that works here',
    value: 'LEVEL',
    options: ['auto', 'scrub', 'mask', 'confine'],
  },
  agent: {
    summary: 'the agent that a wrapper or npx starts, to be treated as if started by its own name',
    value: 'NAME',
    options: ['claude', 'codex', 'gemini', 'opencode', 'copilot', 'aider', 'cursor', 'openclaw'],
  },
  pass: {
    summary: 'let this variable through although it looks like a credential',
    value: 'VAR',
    multiple: true,
  },
  strict: { summary: 'let only well-known harmless variables through' },
  'allow-write': {
    summary: 'path of the work tree that runs later (hooks, editor settings) and may be written',
    value: 'PATH',
    multiple: true,
  },
  'until-ttl': { summary: 'leave the lease live until its time is up, for programs that detach' },
  'dry-run': {
    summary: 'print what would be injected, scrubbed, hidden and allowed; issue and run nothing',
  },
  quiet: { summary: 'no line before and after the command' },
  server: { summary: 'ask this broker serve, as the CI job that this runs in', value: 'URL' },
  'subject-token-file': {
    summary: "the job's identity token, where the CI system is none that is known; with --server",
    value: 'FILE',
  },
  audience: {
    summary: 'audience to ask an identity token for, instead of the URL of the server',
    value: 'A',
  },
  'ca-file': {
    summary: 'roots to believe the server by, instead of the public ones (or BROKER_CA_FILE)',
    value: 'FILE',
  },
} as const satisfies Readonly<Record<string, ExecFlag>>

export type ExecFlagName = keyof typeof EXEC_FLAGS

export const EXEC_EXAMPLES: readonly string[] = [
  'broker exec --env staging -- npm test',
  'broker exec --env staging --template staging-dev --ttl 1h --reason "fix login" -- cursor .',
  'broker exec --env production --dry-run -- ./migrate.sh',
  'broker exec --server https://broker.example --env ci -- make deploy',
]
