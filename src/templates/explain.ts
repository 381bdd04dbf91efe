import type { z } from 'zod'
import { NAME } from '../core/names.ts'
import type { Json } from '../lib/json.ts'
import {
  isOfProvider,
  providerChoice,
  providerFormat,
  providerKeys,
  providerOwner,
  providerWords,
} from './explain-provider.ts'
import type { Finding, Path } from './finding.ts'
import { KEYS } from './schema.ts'
import { describeValue, quoted } from './words.ts'

type ZodIssue = z.core.$ZodIssue

const NAME_RULE =
  'a name has letters, digits, dots, dashes and underscores, begins with a letter or digit, and has at most 63 characters'
const RESERVED_RULE = 'the word is reserved'
const DURATION_RULE = 'a duration is written like 90s, 30m or 1h30m'
const HOST_RULE = 'a host is written like api.example.com, or *.example.com for those under it'

/** Sentences for the rules that `schema.ts` names. */
const RULES: Readonly<Record<string, string>> = {
  name: NAME_RULE,
  'grant-name': NAME_RULE,
  duration: `${DURATION_RULE}, and is more than nothing`,
  issuer:
    'an issuer is an https URL without query or password, in lower case and without a default port',
  'no-issuer': '"issuer" is missing: name it, or the preset github, gitlab or buildkite',
  'no-claims': 'name at least one claim: otherwise every token of this issuer is let in',
  'no-grants': 'name at least one grant: a template without any gives nothing',
}

/** Says a schema's complaint in our words, with the place it is about. One complaint may be several. */
export function explain(issue: ZodIssue, root: Json, base: Path = []): readonly Finding[] {
  const path: Path = [...base, ...(issue.path as (string | number)[])]
  const value = valueAt(root, path)
  const error = (message: string, rest: Partial<Finding> = {}): Finding[] => [
    { severity: 'error', message, path, at: 'value', ...rest },
  ]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, path))
    case 'invalid_key':
      return error(`${subject(path)} cannot be a name: ${nameRule(path)}`, { at: 'key' })
    case 'invalid_union':
      return union(issue, root, path, value)
    case 'invalid_format':
      return error(`${describeValue(value)} is not accepted: ${formatRule(path)}`)
    case 'custom':
      return custom(String(issue.params?.['rule']), path, value)
    case 'too_small':
      return typeof value === 'number'
        ? error(`${subject(path)} must be at least ${issue.minimum}`)
        : error(`${subject(path)} is empty`)
    case 'too_big':
      return error(`${subject(path)} must be at most ${issue.maximum}${unit(value)}`)
    case 'invalid_value':
      return value === undefined
        ? missing(path)
        : error(`${subject(path)} must be ${choice(issue.values)}, found ${describeValue(value)}`, {
            ...(typeof value === 'string' && {
              near: { word: value, candidates: issue.values.map(String) },
            }),
          })
    case 'invalid_type':
      return value === undefined ? missing(path) : wrongType(issue.expected, path, value)
    default:
      return error(`${subject(path)} is not accepted`)
  }
}

/** What YAML 1.1 read as true and false is text in 1.2. */
const OLD_TRUTH: Readonly<Record<string, string>> = {
  yes: 'true',
  on: 'true',
  no: 'false',
  off: 'false',
}

function wrongType(expected: string, path: Path, value: Json | undefined): Finding[] {
  const rule = expected === 'string' ? textRule(path, value) : ''
  const message = `${subject(path)} must be ${kind(expected)}, found ${describeValue(value)}${rule}`
  const word = typeof value === 'string' ? value.toLowerCase() : ''
  const truth = expected === 'boolean' && Object.hasOwn(OLD_TRUTH, word) && OLD_TRUTH[word]
  return [{ severity: 'error', message, path, at: 'value', ...(truth && { near: truth }) }]
}

function textRule(path: Path, value: Json | undefined): string {
  if (isDuration(path)) return `: ${DURATION_RULE}`
  const braces = isOfProvider(path) && typeof value === 'object' && value !== null
  return braces ? ': text with { or } has to be in quotes' : ''
}

/** What is not there has no place: point at what it is missing from. */
function missing(path: Path): Finding[] {
  const owner = path.length > 1 ? ` in ${subject(path.slice(0, -1))}` : ''
  return [{ severity: 'error', message: `${subject(path)} is missing${owner}`, path, at: 'key' }]
}

function unknownKey(key: string, parent: Path): Finding {
  const path = [...parent, key]
  const message = `${quoted(key)} is not a key that ${keysOwner(parent)} has`
  const candidates = knownKeys(parent)
  return { severity: 'error', message, path, at: 'key', near: { word: key, candidates } }
}

function knownKeys(parent: Path): readonly string[] {
  if (parent.length === 0) return KEYS.document
  if (isOfProvider(parent)) return providerKeys(parent)
  if (parent[2] === 'grants') return KEYS.rule
  if (parent[2] !== 'who') return KEYS.template
  return parent.length === 4 ? KEYS.who : KEYS.oidc
}

function keysOwner(parent: Path): string {
  if (parent.length === 0) return 'the document'
  if (isOfProvider(parent)) return providerOwner(parent)
  if (parent[2] === 'grants') return 'a grant'
  return parent[2] === 'who' ? 'a who rule' : 'a template'
}

function custom(rule: string, path: Path, value: Json | undefined): Finding[] {
  const isNameRule = rule === 'name' || rule === 'grant-name'
  const word = rule === 'grant-name' ? path[path.length - 1] : value
  const reserved = isNameRule && NAME.test(String(word))
  const sentence = reserved ? RESERVED_RULE : (RULES[rule] ?? 'it is not accepted')
  const named = rule === 'grant-name' ? `${subject(path)} cannot be a name: ` : ''
  const found = rule.startsWith('no-') || named ? '' : `${describeValue(value)} is not accepted: `
  const at = rule === 'grant-name' || rule.startsWith('no-') ? 'key' : 'value'
  return [{ severity: 'error', message: `${named}${found}${sentence}`, path, at }]
}

/** The branch that got furthest tells most; where none got past its first look, the choice does. */
function union(
  issue: Extract<ZodIssue, { code: 'invalid_union' }>,
  root: Json,
  path: Path,
  value: Json | undefined,
): readonly Finding[] {
  if (value === undefined) return missing(path)
  const entered = issue.errors.find((branch) => branch.every((one) => insideOf(one)))
  if (entered) return entered.flatMap((one) => explain(one, root, path))
  const message = `${subject(path)} must be ${unionChoice(path)}, found ${describeValue(value)}`
  const candidates = isOfProvider(path) ? providerWords(path) : ['local', 'open']
  const near = typeof value === 'string' ? { word: value, candidates } : undefined
  return [{ severity: 'error', message, path, at: 'value', ...(near ? { near } : {}) }]
}

function insideOf(issue: ZodIssue): boolean {
  return issue.path.length > 0 || issue.code === 'unrecognized_keys'
}

function unionChoice(path: Path): string {
  if (isOfProvider(path)) return providerChoice(path)
  if (path[2] === 'egress') return '"open" or a list of hosts'
  if (!path.includes('claims')) return '"local" or an oidc rule'
  return `text, a number, true or false${path.at(-2) === 'claims' ? ', or a list of those' : ''}`
}

function formatRule(path: Path): string {
  if (isOfProvider(path)) return providerFormat(path)
  if (path[2] === 'egress') return HOST_RULE
  return isDuration(path) ? DURATION_RULE : NAME_RULE
}

function isDuration(path: Path): boolean {
  const last = path[path.length - 1]
  return path.length === 3 && (last === 'ttl' || last === 'maxTtl' || last === 'approvalWait')
}

/** A name of the right form was refused because every object answers to it. */
function nameRule(path: Path): string {
  return NAME.test(String(path[path.length - 1])) ? RESERVED_RULE : NAME_RULE
}

function kind(expected: string): string {
  const kinds: Readonly<Record<string, string>> = {
    string: 'text',
    int: 'a whole number',
    number: 'a number',
    boolean: 'true or false',
    array: 'a list',
    object: 'a map of keys',
    record: 'a map of keys',
  }
  return kinds[expected] ?? 'something else'
}

function unit(value: Json | undefined): string {
  if (Array.isArray(value)) return ' entries'
  return typeof value === 'string' ? ' characters' : ''
}

function choice(values: readonly unknown[]): string {
  const words = values.map(String)
  return words.length < 2
    ? (words[0] ?? '')
    : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`
}

/** What the message is about: the key, or the list an entry stands in. */
function subject(path: Path): string {
  const last = path[path.length - 1]
  if (last === undefined) return 'the document'
  return typeof last === 'number' ? `an entry of ${subject(path.slice(0, -1))}` : quoted(last)
}

function valueAt(root: Json, path: Path): Json | undefined {
  let value: Json | undefined = root
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = Object.hasOwn(value, step) ? (value as Record<string, Json>)[step] : undefined
  }
  return value
}
