import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Wish } from '../../src/ci/exchange.ts'
import type { Environment } from '../../src/client/caller.ts'
import { type Server, serverAt } from '../../src/client/server.ts'
import { BrokerError } from '../../src/errors.ts'
import { parseDuration } from '../../src/lib/duration.ts'

export interface Inputs {
  readonly server: Server
  /** Whole path of the file with the server's roots; undefined: the public ones. */
  readonly caFile: string | undefined
  readonly audience: string
  readonly wish: Wish
  readonly export: boolean
}

/** Reads what `with:` says, checked before anything is asked for. Throws `usage`. */
export function readInputs(env: Environment): Inputs {
  const named = input(env, 'ca-file') ?? (env['BROKER_CA_FILE'] || undefined)
  const caFile = named === undefined ? undefined : resolve(named)
  const server = serverAt(required(env, 'server'), caFile && rootsIn(caFile))
  return {
    server,
    caFile,
    audience: input(env, 'audience') ?? server.url,
    wish: wishOf(env),
    export: flag(env, 'export', true),
  }
}

function rootsIn(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new BrokerError('usage', `the roots in "${file}" cannot be read`, {
      hint: 'name a file in PEM form that an earlier step has put there',
      cause,
    })
  }
}

function wishOf(env: Environment): Wish {
  const template = input(env, 'template')
  const ttl = input(env, 'ttl')
  const reason = input(env, 'reason')
  const authorizationDetails = input(env, 'authorization-details')
  return {
    environment: required(env, 'environment'),
    ...(template !== undefined && { template }),
    ...(ttl !== undefined && { ttlMs: durationOf(ttl) }),
    ...(reason !== undefined && { reason }),
    ...(authorizationDetails !== undefined && { authorizationDetails }),
  }
}

function durationOf(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  throw new BrokerError('usage', `input "ttl" is no duration: ${JSON.stringify(text)}`, {
    hint: 'write it as 15m, 90s or 1h30m',
  })
}

function flag(env: Environment, name: string, usual: boolean): boolean {
  const text = input(env, name)
  if (text === undefined) return usual
  if (text === 'true' || text === 'false') return text === 'true'
  throw new BrokerError('usage', `input "${name}" is neither true nor false`, {
    hint: 'write true or false',
  })
}

function required(env: Environment, name: string): string {
  const text = input(env, name)
  if (text !== undefined) return text
  throw new BrokerError('usage', `input "${name}" is missing`, {
    hint: `say it under "with:" of the step`,
  })
}

/** As the runner hands it over: trimmed, and undefined where nothing was said. */
function input(env: Environment, name: string): string | undefined {
  return env[`INPUT_${name.toUpperCase()}`]?.trim() || undefined
}
