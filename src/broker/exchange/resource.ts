import type { BrokerError } from '../../errors.ts'
import { targetRefused } from '../admit.ts'

const PLACE = '/environments/'

/**
 * The environment that a `resource` (RFC 8707) names: `<public-url>/environments/<name>`. Compared as
 * text, as everything is that names us. Null for any other.
 */
export function environmentOfResource(publicUrl: string, resource: string): string | null {
  const base = publicUrl.replace(/\/$/, '') + PLACE
  const name = resource.startsWith(base) ? resource.slice(base.length) : ''
  return /^[A-Za-z0-9._-]{1,63}$/.test(name) ? name : null
}

/** For a `resource` that is no environment of ours. */
export function unknownTarget(): BrokerError {
  return targetRefused('resource_unknown', {})
}
