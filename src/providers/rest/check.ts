import { getCACertificates } from 'node:tls'
import { Agent, request } from 'undici'
import type { RestDefinition } from '../../core/rest/definition.ts'
import { BrokerError } from '../../errors.ts'
import type { Connection, Finding, World } from '../provider.ts'
import { checkConnection, credentialField, originOf, secretOf } from './connection.ts'

const CALL_MS = 10_000
/** The answer is not read for its content; a longer one is cut off. */
const MOST_BYTES = 64 * 1024

/**
 * Tries the stored credential with the request that the definition names. Follows no redirect: what
 * is sent to one address must not travel to another. Throws `provider_failed` where the credential is
 * refused or the server cannot be trusted, `provider_unavailable` where it does not answer.
 */
export async function check(
  name: string,
  definition: RestDefinition,
  connection: Connection,
  { signal }: World,
): Promise<readonly Finding[]> {
  checkConnection(name, connection)
  const origin = originOf(name, definition, connection)
  const wide: Finding = {
    level: 'note',
    message: `${name} cannot narrow this credential: what a task may do with it is up to the proxy alone`,
    hint: `make it as narrow as ${name} can before storing it`,
  }
  if (definition.check === null) {
    const message = `the credential was not tried: "${name}" has no "check" under providers`
    return [{ level: 'note', message, hint: null }, wide]
  }
  const status = await ask(name, definition, connection, signal)
  return [finding(name, origin, status), wide]
}

async function ask(
  name: string,
  definition: RestDefinition,
  connection: Connection,
  signal: AbortSignal,
): Promise<number> {
  const { method = 'GET', path = '/' } = definition.check ?? {}
  const origin = originOf(name, definition, connection)
  const [header, value] = credentialField(definition.credential, secretOf(name, connection))
  const agent = openAgent(connection.ca ?? null)
  try {
    const { statusCode, body } = await request(`${origin}${path}`, {
      method,
      headers: { [header]: value.reveal(), accept: 'application/json' },
      dispatcher: agent,
      signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]),
    })
    await body.dump({ limit: MOST_BYTES, signal: AbortSignal.timeout(CALL_MS) }).catch(() => {})
    return statusCode
  } catch (error) {
    throw unreachable(name, origin, error)
  } finally {
    await agent.destroy()
  }
}

function openAgent(ca: string | null): Agent {
  const roots = getCACertificates('default')
  return new Agent({
    connect: {
      timeout: CALL_MS,
      ca: ca === null ? roots : [...roots, ca],
      // Said outright: the environment variable that turns verification off must not reach us.
      rejectUnauthorized: true,
      minVersion: 'TLSv1.2',
    },
  })
}

function finding(name: string, origin: string, status: number): Finding {
  if (status === 401 || status === 403) {
    throw new BrokerError('provider_failed', `${name} refuses this credential (${status})`, {
      hint: 'check that it is whole, not expired, and of this address',
      details: { status },
    })
  }
  if (status === 429 || status >= 500) {
    throw new BrokerError('provider_unavailable', `${name} cannot answer now (${status})`, {
      hint: 'try again later, or store it untried with --no-check',
      details: { status },
    })
  }
  if (status >= 200 && status < 300) {
    return { level: 'ok', message: `${name} accepts the credential at "${origin}"`, hint: null }
  }
  return {
    level: 'warning',
    message: `the check of ${name} was answered with ${status}, which says nothing about the credential`,
    hint: `correct "check" of ${name} in broker.yaml`,
  }
}

const UNTRUSTED = /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|ERR_SSL|ERR_TLS/

function unreachable(name: string, origin: string, cause: unknown): BrokerError {
  if (UNTRUSTED.test(codeOf(cause))) {
    return new BrokerError('provider_failed', `the certificate of "${origin}" is not trusted`, {
      hint: 'give the authority that signed it: broker connect --ca-file FILE',
      cause,
    })
  }
  return new BrokerError('provider_unavailable', `${name} cannot be reached at "${origin}"`, {
    hint: 'check --url and the network, or store it untried with --no-check',
    cause,
  })
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : ''
  return typeof code === 'string' ? code : ''
}
