import { nearest } from '../../core/names.ts'
import { BrokerError } from '../../errors.ts'
import type { Json, JsonObject } from '../../lib/json.ts'

/** Where a lease works. Ids compare exactly, so they are written as Railway shows them. */
export interface Target {
  readonly project: string
  readonly environment: string
  /** False: no project token is minted; requests go with the stored one alone. */
  readonly projectToken: boolean
}

const KEYS = ['project', 'environment', 'projectToken']
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** `{project, environment, projectToken?}`. Throws `config_invalid` with the path of what is wrong. */
export function parseTarget(target: JsonObject): Target {
  for (const key of Object.keys(target)) {
    if (KEYS.includes(key)) continue
    const near = nearest(key, KEYS)
    throw invalid(
      key,
      `a railway target has no "${key}"`,
      near ? `did you mean "${near}"?` : `it has ${KEYS.join(', ')}`,
    )
  }
  const { projectToken = true } = target
  if (typeof projectToken !== 'boolean') {
    throw invalid('projectToken', '"projectToken" is neither true nor false', 'leave it out')
  }
  return {
    project: idOf(target['project'], 'project'),
    environment: idOf(target['environment'], 'environment'),
    projectToken,
  }
}

/** The target as plain data and back. */
export function targetFrom(json: JsonObject): Target {
  return parseTarget(json)
}

function idOf(value: Json | undefined, key: string): string {
  if (typeof value === 'string' && ID.test(value)) return value
  throw invalid(
    key,
    `"${key}" of a railway target is not an id`,
    'an id looks like 0a1b2c3d-… in lower case; copy it in the dashboard with Ctrl/Cmd+K',
  )
}

function invalid(key: string, message: string, hint: string): BrokerError {
  return new BrokerError('config_invalid', message, { hint, details: { path: [key] } })
}
