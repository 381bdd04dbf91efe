import { resolve } from 'node:path'
import { EXEC_FLAGS, type ExecFlag, type ExecFlagName } from '../cli/exec-flags.ts'
import { BrokerError } from '../errors.ts'
import type { Level } from '../launch/isolate/level.ts'
import { parseDuration } from '../lib/duration.ts'

export interface ExecOptions {
  readonly environment: string
  readonly template: string | undefined
  readonly ttlMs: number | undefined
  readonly reason: string | undefined
  readonly isolation: 'auto' | Level
  /** What the command is, if its name does not tell. */
  readonly agent: string | undefined
  readonly pass: readonly string[]
  readonly strict: boolean
  /** Absolute. */
  readonly allowWrite: readonly string[]
  readonly untilTtl: boolean
  readonly dryRun: boolean
  readonly quiet: boolean
  /** Of a `broker serve` elsewhere, which is asked instead of the daemon of this machine. */
  readonly server: string | undefined
  readonly subjectTokenFile: string | undefined
  /** To ask an identity token for, instead of the URL of the server. */
  readonly audience: string | undefined
  readonly caFile: string | undefined
  /** Undefined only with `--dry-run`. */
  readonly command: string | undefined
  readonly args: readonly string[]
}

/** True if help is asked for in our own part of the line, not in the command's. */
export function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  const own = end < 0 ? argv : argv.slice(0, end)
  return own.includes('--help') || own.includes('-h')
}

/** Throws `usage` for what it does not understand. */
export function parseExec(argv: readonly string[]): ExecOptions {
  const { given, command, args } = readFlags(argv)
  const one = (name: ExecFlagName) => given.get(name)?.[0]
  refuseWithoutServer(given)
  const environment = one('env')
  if (environment === undefined) {
    throw usage(
      '--env is missing',
      'broker exec --env NAME -- COMMAND; broker template list names them',
    )
  }
  const dryRun = given.has('dry-run')
  if (command === undefined && !dryRun) {
    throw usage('there is no command to run', 'put it after --: broker exec --env NAME -- COMMAND')
  }
  return {
    environment,
    template: one('template'),
    ttlMs: ttlOf(one('ttl')),
    reason: one('reason'),
    isolation: (one('isolation') ?? 'auto') as ExecOptions['isolation'],
    agent: one('agent'),
    pass: (given.get('pass') ?? []).map(variableName),
    strict: given.has('strict'),
    allowWrite: (given.get('allow-write') ?? []).map((path) => resolve(path)),
    untilTtl: given.has('until-ttl'),
    dryRun,
    quiet: given.has('quiet'),
    server: one('server'),
    subjectTokenFile: one('subject-token-file'),
    audience: one('audience'),
    caFile: one('ca-file'),
    command,
    args,
  }
}

type Given = ReadonlyMap<ExecFlagName, readonly string[]>

function readFlags(argv: readonly string[]) {
  const given = new Map<ExecFlagName, string[]>()
  let at = 0
  for (; at < argv.length && argv[at] !== '--'; at++) {
    const { name, flag, inline } = flagOf(argv[at] ?? '')
    if (given.has(name) && flag.multiple === undefined)
      throw usage(`--${name} is given twice`, HELP)
    const values = given.get(name) ?? []
    given.set(name, values)
    if (flag.value === undefined) {
      if (inline !== undefined) throw usage(`--${name} takes no value`, HELP)
      continue
    }
    const value = inline ?? argv[++at]
    if (value === undefined || value === '' || (inline === undefined && value.startsWith('--'))) {
      throw usage(`--${name} needs a value`, `--${name} ${flag.value}`)
    }
    if (flag.options !== undefined && !flag.options.includes(value)) {
      throw usage(`--${name} cannot be "${value}"`, `one of ${flag.options.join(', ')}`)
    }
    values.push(value)
  }
  const [command, ...args] = argv.slice(at + 1)
  return { given: given as Given, command, args }
}

const HELP = 'see broker exec --help'

function flagOf(word: string) {
  const match = /^--([a-z-]+)(?:=(.*))?$/s.exec(word)
  const name = match?.[1]
  if (name === undefined) {
    // Echoing it would be echoing what may be a secret; a mistyped flag has none in it.
    if (word.startsWith('-')) throw usage('there is an unknown flag', HELP)
    throw usage('there is something before -- that is no flag', 'broker exec --env NAME -- COMMAND')
  }
  if (!Object.hasOwn(EXEC_FLAGS, name)) throw usage(`there is no flag "--${name}"`, HELP)
  const known = name as ExecFlagName
  return { name: known, flag: EXEC_FLAGS[known] as ExecFlag, inline: match?.[2] }
}

function refuseWithoutServer(given: Given): void {
  if (given.get('subject-token-file')?.[0] === '-') {
    throw usage(
      '--subject-token-file cannot be "-"',
      'standard input belongs to the command; name a file, or put the token into BROKER_ID_TOKEN',
    )
  }
  // Inside a job's task the server is known without the flag.
  if (given.has('server')) return
  const flag = (['subject-token-file', 'audience'] as const).find((name) => given.has(name))
  if (flag === undefined) return
  throw usage(`--${flag} needs --server`, '--server URL of the broker that is to trust the job')
}

function ttlOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ttlMs = parseDuration(text)
  if (ttlMs === undefined)
    throw usage(`--ttl cannot be "${text}"`, 'a duration such as 30m or 1h30m')
  return ttlMs
}

function variableName(text: string): string {
  if (/^broker_/i.test(text)) {
    throw usage('--pass cannot let a BROKER_ variable through', 'those belong to whoever calls')
  }
  if (/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(text)) return text
  throw usage(
    '--pass takes the name of a variable alone',
    '--pass NAME; its value stays out of the command line',
  )
}

function usage(message: string, hint: string): BrokerError {
  return new BrokerError('usage', message, { hint })
}
