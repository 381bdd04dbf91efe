import { type Credentials, type Found, holds } from './credentials.ts'
import { Denied } from './denial.ts'
import type { KnownHost } from './hosts.ts'
import type { TaskGrant } from './task.ts'

/**
 * Whose credential a request carries. Exactly one, in a place where the provider's clients put it,
 * and a phantom of this very lease; anything else is a foreign key: the request that wiped a
 * production database with a token found in a file. Throws `Denied`.
 */
export function grantFor(
  { provider, grants }: KnownHost,
  { carried, elsewhere }: Credentials,
): TaskGrant {
  const [only, ...more] = carried
  const stray = elsewhere[0] ?? more[0]
  if (!only && !stray) {
    throw new Denied({
      code: 'credential_missing',
      detail: `the request to ${provider} carries no credential`,
      next: `send the one in this task's environment (${grants.flatMap((one) => one.variables).join(', ')})`,
    })
  }
  // All of them are looked at before any is accepted: a phantom beside a stolen key excuses nothing.
  const grant = only && grants.find((one) => holds(only.readings, one.proxied.phantom))
  if (only && grant && !stray) return grant
  throw foreign(provider, grant ? stray : (only ?? stray), grants)
}

/** A provider that this task was not given: only what anybody could ask may pass. */
export function refuseStrangers({ carried, elsewhere }: Credentials, provider: string): void {
  const found = carried[0] ?? elsewhere[0]
  if (!found) return
  throw new Denied({
    code: 'provider_not_granted',
    detail: `this task has no grant for ${provider}, and the request carries a credential (${found.where})`,
    next: `do without it, or ask the person for a task whose template grants ${provider}`,
    foreign: found.value,
  })
}

function foreign(provider: string, found: Found | undefined, grants: readonly TaskGrant[]): Denied {
  // Its own in the wrong place is a mistake, and no key that was found somewhere.
  const own = grants.some(({ proxied }) => found && holds([found.value], proxied.phantom))
  return new Denied({
    code: 'foreign_credential',
    detail: `the credential in ${found?.where ?? 'the request'} is not the one ${provider} was granted to this task with`,
    next: "use only the credential in this task's environment, in its usual header; a key found elsewhere is not yours to use",
    foreign: own ? undefined : found?.value,
  })
}
