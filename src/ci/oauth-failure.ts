import type { Server, ServerAnswer } from '../client/server.ts'
import { notABroker } from '../client/server-failure.ts'
import { BrokerError, type ErrorCode } from '../errors.ts'
import { isLeaseId } from '../lib/ids.ts'

interface Meaning {
  readonly code: ErrorCode
  /** Where the description does not say it all. */
  readonly message?: string
  readonly hint: string
}

const SHOWN = 300

/**
 * What a server says to an exchange that it refuses (RFC 8693 §2.2.2, RFC 6749 §5.2), as one of our
 * errors. The description is the server's, so it is cut and freed of what a log might obey.
 */
export function oauthFailure(server: Server, answer: ServerAnswer): BrokerError {
  const error = field(answer.body, 'error')
  if (typeof error !== 'string') return notABroker(server, answer.status)
  const description = plain(field(answer.body, 'error_description'))
  const { code, message, hint } = meaningOf(error, description, answer.status)
  const lease = field(answer.body, 'lease_id')
  return new BrokerError(
    code,
    message ?? (description || `the server refused: "${plain(error)}"`),
    {
      hint: hint.replaceAll('SERVER', server.url),
      details: {
        error: plain(error),
        ...(typeof lease === 'string' && isLeaseId(lease) && { lease }),
      },
    },
  )
}

const NOT_ACCEPTED: Meaning = {
  code: 'subject_refused',
  message: 'the server does not accept the identity token of this job',
  hint: 'most likely the audience of the token is not the public URL of the server, no template has a rule for this repository, ref and event, or the token is too old; an admin sees the reason: broker audit list --server SERVER',
}

const REPLAYED: Meaning = {
  code: 'token_replayed',
  hint: 'each identity token is good for one lease: let the job get a new one; an admin sees who used it: broker audit list --server SERVER',
}

function meaningOf(error: string, description: string, status: number): Meaning {
  if (error === 'invalid_request') return requestMeaning(description)
  if (error === 'invalid_target') {
    return {
      code: 'target_refused',
      hint: 'an admin sees what this job may have, and why: broker template list, broker audit list --server SERVER',
    }
  }
  if (error === 'invalid_scope') {
    return {
      code: 'invalid_request',
      hint: 'name one of the templates that let this job in: --template NAME',
    }
  }
  if (error === 'invalid_authorization_details') {
    return {
      code: 'details_refused',
      hint: 'ask for a part of what the template allows, or leave the details out',
    }
  }
  if (error === 'unsupported_grant_type') {
    return { code: 'unsupported', hint: 'the server is older than this program: update it' }
  }
  return passing(description, status)
}

function requestMeaning(description: string): Meaning {
  if (/not accepted/.test(description)) return NOT_ACCEPTED
  if (/used already/.test(description)) return REPLAYED
  const said = SAID.find(({ of }) => of.test(description))
  // OAuth calls these requests invalid; to whoever asks they are refusals like the others.
  if (said) return { code: 'denied', hint: said.hint }
  return {
    code: 'invalid_request',
    hint: 'an admin sees the reason: broker audit list --server SERVER',
  }
}

/** Where the description says it all, and the job itself can do something about it. */
const SAID: readonly { readonly of: RegExp; readonly hint: string }[] = [
  {
    of: /live lease/,
    hint: 'end that one first (broker revoke), or use it; a new attempt of the job is a run of its own',
  },
  { of: /allows at most/, hint: 'ask for less with --ttl' },
]

/** It was asked again already, as long as that was worth while. */
function passing(description: string, status: number): Meaning {
  const hint = 'try again in a minute; if it stays so, the log of the server says more'
  if (status === 429) return { code: 'rate_limited', hint }
  if (status === 502) return { code: 'provider_failed', hint }
  if (status !== 503) return { code: 'internal', hint: 'the log of the server says more' }
  return { code: /issuer/.test(description) ? 'issuer_unavailable' : 'provider_unavailable', hint }
}

function field(body: unknown, name: string): unknown {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return undefined
  return (body as Readonly<Record<string, unknown>>)[name]
}

/** The characters of RFC 6749 §5.2, on one line. */
function plain(text: unknown): string {
  return typeof text === 'string'
    ? text
        .replaceAll(/[^\x20-\x7e]/g, ' ')
        .slice(0, SHOWN)
        .trim()
    : ''
}
