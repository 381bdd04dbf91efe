import { BrokerError } from '../errors.ts'
import { commandOf, type Manifest, type ManifestCommand } from './manifest.ts'
import { nearest } from './nearest.ts'

/**
 * Our `usage` error for what the framework's parser threw; undefined if it was not the parser.
 * Values are never repeated: one typed in the wrong place may be a secret.
 */
export function usageError(
  error: unknown,
  argv: readonly string[],
  manifest: Manifest,
): BrokerError | undefined {
  if (!(error instanceof Error) || !('oclif' in error)) return undefined
  const command = commandOf(argv, manifest)
  const notFound = /^command .* not found\.?$/is.test(error.message)
  // A superfluous word after a command is looked for as one of its subcommands.
  if (notFound && command === undefined) return unknownCommand(argv, manifest)
  const help = `broker ${command ? `${spaced(command.id)} ` : ''}--help`
  const options = { hint: `see ${help}`, cause: error }
  if (notFound) return new BrokerError('usage', tooMany(command), options)
  if ('flags' in error && Array.isArray(error.flags)) {
    return unknownFlag(String(error.flags[0]), command, help)
  }
  if ('args' in error && Array.isArray(error.args)) {
    return new BrokerError('usage', argumentMessage(error.args, command), options)
  }
  return new BrokerError('usage', flagMessage(error.message), options)
}

/** The nearest command is looked for inside its topic, if that exists; never beyond two words. */
export function unknownCommand(argv: readonly string[], manifest: Manifest): BrokerError {
  const [first = '', second] = wordsOf(argv)
  if (first === '') {
    return new BrokerError('usage', 'the command has to come first, before its flags', {
      hint: 'for example broker tokens --json; broker help lists all commands',
    })
  }
  const names = Object.keys(manifest).map(spaced)
  const siblings = names.filter((name) => name.startsWith(`${first} `))
  const inTopic = siblings.length > 0 && second !== undefined
  const wanted = inTopic ? `${first} ${second}` : first
  const near = inTopic ? nearestIn(first, second, siblings) : nearestOf(first, second, names)
  return new BrokerError('usage', `unknown command "${wanted}"`, {
    hint: near === undefined ? 'broker help lists all commands' : `did you mean "broker ${near}"?`,
  })
}

function nearestIn(topic: string, word: string, siblings: readonly string[]): string | undefined {
  const near = nearest(
    word,
    siblings.map((name) => name.slice(topic.length + 1)),
  )
  return near === undefined ? undefined : `${topic} ${near}`
}

/** A command of one word, or one of two whose topic is misspelt. */
function nearestOf(first: string, second: string | undefined, names: readonly string[]) {
  const two = second === undefined ? undefined : nearest(`${first} ${second}`, names)
  return nearest(first, names) ?? two
}

function wordsOf(argv: readonly string[]): string[] {
  const end = argv.findIndex((word) => word.startsWith('-'))
  return argv.slice(0, end === -1 ? undefined : end).flatMap((word) => word.split(':'))
}

function spaced(id: string): string {
  return id.replaceAll(':', ' ')
}

const SECRET_LIKE = /^--(?:secret|token|password|passphrase|key|api-?key|credentials?)$/i

function unknownFlag(given: string, command: ManifestCommand | undefined, help: string) {
  const flag = given.replace(/=.*$/s, '')
  const flags = Object.keys(command?.flags ?? {}).map((name) => `--${name}`)
  const near = nearest(flag, flags)
  const hint = SECRET_LIKE.test(flag)
    ? `secrets are never given as flags, every process can read those; see ${help}`
    : near === undefined
      ? `see ${help}`
      : `did you mean "${near}"? see ${help}`
  return new BrokerError('usage', `unknown flag "${flag}"`, { hint })
}

/** The parser lists missing arguments as objects, superfluous ones as their values. */
function argumentMessage(args: readonly unknown[], command: ManifestCommand | undefined): string {
  const first = args[0]
  if (typeof first === 'object' && first !== null && 'name' in first) {
    return `argument "${String(first.name).toUpperCase()}" is missing`
  }
  return tooMany(command)
}

function tooMany(command: ManifestCommand | undefined): string {
  const known = Object.keys(command?.args ?? {}).length
  const name = command === undefined ? 'this command' : `"${spaced(command.id)}"`
  const most = known === 0 ? 'no argument' : known === 1 ? 'one argument' : `${known} arguments`
  return `${name} takes ${known > 1 ? 'at most ' : ''}${most}`
}

/** The parser's sentences, by what they say about which flag. Anything else is kept to itself. */
const SENTENCES: readonly (readonly [RegExp, (match: RegExpMatchArray) => string])[] = [
  [
    /Flag --([\w-]+) expects one of these values: (.*)/,
    ([, f, v]) => `flag "--${f}" needs one of: ${v}`,
  ],
  [/Flag --([\w-]+) expects a value/, ([, f]) => `flag "--${f}" needs a value`],
  [/Flag --([\w-]+) can only be specified once/, ([, f]) => `flag "--${f}" can be given only once`],
  [/Missing required flag ([\w-]+)/, ([, f]) => `flag "--${f}" is missing`],
  [/Expected --([\w-]+)=.* to be one of: (.*)/, ([, f, v]) => `flag "--${f}" must be one of: ${v}`],
  [
    /--([\w-]+)(?:=.*)? cannot also be provided when using --([\w-]+)/,
    ([, f, other]) => `flags "--${f}" and "--${other}" exclude each other`,
  ],
]

function flagMessage(message: string): string {
  for (const [pattern, say] of SENTENCES) {
    const match = message.match(pattern)
    if (match) return say(match)
  }
  return 'flags or arguments do not fit'
}
