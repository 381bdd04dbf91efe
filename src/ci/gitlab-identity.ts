import type { Environment } from '../client/caller.ts'
import { BrokerError } from '../errors.ts'
import { Secret } from '../lib/secret.ts'
import { audiencesOf } from './token-shape.ts'

/**
 * The one variable of `id_tokens` that is for our audience
 * (https://docs.gitlab.com/ci/secrets/id_token_authentication/). Throws `unauthorized` if there is none, and
 * `usage` for several: which of them to spend is not ours to guess.
 */
export function gitlabToken(env: Environment, audience: string): { token: Secret; name: string } {
  const tokens = Object.entries(env).flatMap(([name, value = '']) => {
    const audiences = audiencesOf(value)
    return audiences === undefined ? [] : [{ name, audiences, token: new Secret(value.trim()) }]
  })
  const ours = tokens.filter(({ audiences }) => audiences.includes(audience))
  const [first] = ours
  if (first && ours.length === 1) return first
  if (first) throw several(ours.map(({ name }) => name))
  throw none(
    audience,
    tokens.map(({ name }) => name),
  )
}

function several(names: readonly string[]): BrokerError {
  return new BrokerError('usage', `several variables hold an ID token for us: ${list(names)}`, {
    hint: 'call the one to be used BROKER_ID_TOKEN under "id_tokens" of the job',
  })
}

function none(audience: string, others: readonly string[]): BrokerError {
  const but = others.length > 0 ? `, only for others: ${list(others)}` : ''
  return new BrokerError('unauthorized', `this job has no ID token for "${audience}"${but}`, {
    hint: `add to the job: id_tokens: { BROKER_ID_TOKEN: { aud: "${audience}" } }`,
  })
}

const list = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ')
