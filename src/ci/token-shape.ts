import { Secret } from '../lib/secret.ts'

/** Identity tokens of the known CI systems are 1 to 3 KiB. */
const LONGEST = 16 * 1024
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

/** The token in a text, without white space around it; undefined for what has not the form of one (RFC 7515 §7.1). */
export function tokenIn(text: string): Secret | undefined {
  const trimmed = text.trim()
  return trimmed.length <= LONGEST && COMPACT.test(trimmed) ? new Secret(trimmed) : undefined
}

/**
 * Whom an ID token is for, from claims that nobody has verified: good for choosing among a job's own
 * variables, never for trust. Undefined for what is not an ID token: one has `iss`, `sub` and `aud`.
 */
export function audiencesOf(text: string): readonly string[] | undefined {
  if (tokenIn(text) === undefined) return undefined
  const claims = payloadOf(text.trim())
  if (typeof claims?.['iss'] !== 'string' || typeof claims['sub'] !== 'string') return undefined
  const audiences = [claims['aud']].flat()
  return audiences.every((audience) => typeof audience === 'string') ? audiences : undefined
}

function payloadOf(token: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const [, payload = ''] = token.split('.')
    const value: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}
