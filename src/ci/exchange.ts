import { randomUUID } from 'node:crypto'
import { ROUTES } from '../api/routes.ts'
import type { Environment } from '../client/caller.ts'
import { callServer, type Server, type ServerAnswer } from '../client/server.ts'
import { notABroker } from '../client/server-failure.ts'
import { isLeaseId } from '../lib/ids.ts'
import { Secret } from '../lib/secret.ts'
import { oauthFailure } from './oauth-failure.ts'
import { type Patience, patiently } from './patience.ts'

/** What a job asks for. */
export interface Wish {
  readonly environment: string
  /** May be left out where one template fits. */
  readonly template?: string
  readonly ttlMs?: number
  readonly reason?: string
  /** Less than the template allows: RFC 9396 `authorization_details`, JSON, passed on as it is. */
  readonly authorizationDetails?: string
}

/** A lease that is held and not yet claimed. Unless it is acknowledged within 20 s, the server revokes it. */
export interface Exchanged {
  readonly lease: string
  /** The lease's own credential, for `lease-calls.ts`. */
  readonly handle: Secret
  readonly template: string
  /** Milliseconds since 1970, by our clock. */
  readonly expiresAt: number
}

const LEASE_TOKEN = 'urn:broker:token-type:lease'
const BUDGET_MS = 60_000

/**
 * Exchanges the identity token for a lease (RFC 8693 §2.1). One that was cut off, or told to come back,
 * is asked again with the same Idempotency-Key, so that it cannot make a second lease. Rejects with what
 * the server refused with (`subject_refused`, `token_replayed`, `target_refused`, `details_refused`,
 * `invalid_request`, `rate_limited`, `issuer_unavailable`, `provider_failed`), or `daemon_unreachable`.
 */
export async function exchange(
  server: Server,
  subject: Secret,
  wish: Wish,
  env: Environment = {},
  patience?: Patience,
): Promise<Exchanged> {
  const headers = { 'idempotency-key': randomUUID() }
  const { method, path } = ROUTES.exchange
  const answer = await patiently(
    (timeoutMs) =>
      callServer(server, { method, path, headers, form: formOf(subject, wish), timeoutMs }, env),
    { budgetMs: BUDGET_MS, repeat: 'always' },
    patience,
  )
  if (answer.status !== 200) throw oauthFailure(server, answer)
  return read(server, answer)
}

function formOf(subject: Secret, wish: Wish): URLSearchParams {
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: subject.reveal(),
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    requested_token_type: LEASE_TOKEN,
    audience: wish.environment,
  })
  if (wish.template !== undefined) form.set('scope', `template:${wish.template}`)
  if (wish.ttlMs !== undefined) form.set('ttl', String(Math.ceil(wish.ttlMs / 1000)))
  if (wish.reason !== undefined) form.set('reason', wish.reason)
  if (wish.authorizationDetails !== undefined) {
    form.set('authorization_details', wish.authorizationDetails)
  }
  return form
}

function read(server: Server, answer: ServerAnswer): Exchanged {
  const body = answer.body as Readonly<Record<string, unknown>> | null | undefined
  const { access_token, issued_token_type, lease_id, scope, expires_in } = body ?? {}
  if (
    issued_token_type !== LEASE_TOKEN ||
    typeof access_token !== 'string' ||
    typeof lease_id !== 'string' ||
    !isLeaseId(lease_id) ||
    typeof expires_in !== 'number'
  ) {
    throw notABroker(server, answer.status)
  }
  return {
    lease: lease_id,
    handle: new Secret(access_token),
    template: typeof scope === 'string' ? scope.replace(/^template:/, '') : '',
    expiresAt: Date.now() + expires_in * 1000,
  }
}
