import { randomUUID } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs'
import type { Environment } from '../client/caller.ts'
import { BrokerError } from '../errors.ts'
import type { Credentials } from './format.ts'
import { cannotHold, pairsOf } from './variables.ts'

/** The files through which a step talks to GitHub's runner. */
export type CommandFile = 'GITHUB_ENV' | 'GITHUB_OUTPUT' | 'GITHUB_STATE'

/** What the runner sets itself; it takes none of them from a step, and says so in the log. */
const RESERVED = /^(?:GITHUB_|RUNNER_|NODE_OPTIONS$|CI$)/

/**
 * Hands the variables on to the later steps of the job, and tells the lease as outputs `lease` and
 * `expires-at`. Call it after the masks were printed. Throws `usage` outside of a step, `unsupported`
 * for what the files cannot hold: the lease is then to be revoked.
 */
export function writeGithub(env: Environment, { lease, variables }: Credentials): void {
  const pairs = pairsOf(variables.reveal())
  const reserved = pairs.find(([name]) => RESERVED.test(name))
  if (reserved) throw isReserved(reserved[0])
  appendPairs(env, 'GITHUB_ENV', pairs)
  appendPairs(env, 'GITHUB_OUTPUT', [
    ['lease', lease.id],
    ['expires-at', lease.expiresAt],
  ])
}

/**
 * Appends `NAME<<DELIMITER` blocks
 * (https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#multiline-strings). Nothing is written
 * unless all of it can be.
 */
export function appendPairs(
  env: Environment,
  name: CommandFile,
  pairs: readonly (readonly [string, string])[],
): void {
  const text = pairs.map(([key, value]) => block(name, key, value)).join('')
  const file = openOurs(name, env[name])
  try {
    // What stands in it already may lack its last newline; the runner passes over empty lines.
    const bytes = Buffer.from(fstatSync(file).size > 0 ? `\n${text}` : text)
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
  } finally {
    closeSync(file)
  }
}

function block(file: CommandFile, name: string, value: string): string {
  // On Windows the runner reads CR LF as the end of a line: the value would be another one.
  if (value.includes('\r')) throw cannotHold(name, `"${file}"`, 'json')
  let delimiter: string
  do delimiter = `broker_${randomUUID()}`
  while (value.includes(delimiter))
  return `${name}<<${delimiter}\n${value}\n${delimiter}\n`
}

/** A plain file of our own, never one that somebody put a link to in its place; root writes for others. */
function openOurs(name: CommandFile, path: string | undefined): number {
  if (!path) {
    throw new BrokerError('usage', `"${name}" is not set: this is no step of a GitHub workflow`, {
      hint: 'choose another --format, such as shell',
    })
  }
  let file: number
  try {
    file = openSync(path, constants.O_WRONLY | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0))
  } catch (cause) {
    throw unusable(name, 'cannot be opened', cause)
  }
  const found = fstatSync(file)
  const self = process.getuid?.()
  if (found.isFile() && (self === undefined || self === 0 || self === found.uid)) return file
  closeSync(file)
  throw unusable(name, 'is not a file of this user')
}

function isReserved(name: string): BrokerError {
  return new BrokerError('unsupported', `no step may set "${name}" for the later ones`, {
    hint: 'use --format json and pass it on by hand, or a template without the grant that needs it',
  })
}

function unusable(name: CommandFile, why: string, cause?: unknown): BrokerError {
  return new BrokerError('usage', `the file that "${name}" names ${why}`, {
    hint: 'the runner sets it and makes the file: see that nothing in the job sets it anew',
    cause,
  })
}
