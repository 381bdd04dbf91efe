import type { ExchangeRequest } from '../../broker/exchange/exchange.ts'
import { environmentOfResource, unknownTarget } from '../../broker/exchange/resource.ts'
import { BrokerError } from '../../errors.ts'
import { Secret } from '../../lib/secret.ts'
import type { Form } from '../form.ts'

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const TOKEN_TYPE = {
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  /** Ours: the credential of a lease, which is redeemed once. */
  lease: 'urn:broker:token-type:lease',
} as const

const MAX_KEY = 200
const SCOPE = /^template:([^\s"\\]{1,200})$/

/** One exchange as it was asked for (RFC 8693 §2.1): checked, but not yet decided. */
export interface AskedExchange {
  readonly subjectToken: Secret
  readonly request: ExchangeRequest
}

/** `audience`: our own, as the base of `resource`. Throws what `answerOauth` turns into OAuth's errors. */
export function readExchange(
  form: Form,
  idempotencyKey: string | readonly string[] | undefined,
  audience: string,
): AskedExchange {
  form.refuseRepeated(['audience', 'resource'])
  if (form.required('grant_type') !== TOKEN_EXCHANGE) {
    throw new BrokerError('unsupported', 'this grant type is not supported', {
      hint: TOKEN_EXCHANGE,
      details: { parameter: 'grant_type' },
    })
  }
  if (form.one('actor_token') !== undefined || form.one('actor_token_type') !== undefined) {
    throw invalid('actor_token', 'an actor token is not taken: the subject acts for itself')
  }
  const subjectToken = subjectTokenOf(form)
  const key = keyOf(idempotencyKey)
  const template = templateOf(form)
  const details = form.one('authorization_details')
  const ttlMs = ttlOf(form)
  const reason = form.one('reason')
  return {
    subjectToken,
    request: {
      environment: environmentOf(form, audience),
      ...(template !== undefined && { template }),
      ...(details !== undefined && { details }),
      wanted: wantedOf(form),
      ...(ttlMs !== undefined && { ttlMs }),
      ...(reason !== undefined && { reason }),
      ...(key !== undefined && { idempotencyKey: key }),
    },
  }
}

function subjectTokenOf(form: Form): Secret {
  const type = form.required('subject_token_type')
  if (type !== TOKEN_TYPE.idToken && type !== TOKEN_TYPE.jwt) {
    throw invalid('subject_token_type', 'only identity tokens (id_token, jwt) are taken')
  }
  return new Secret(form.required('subject_token'))
}

/** Which environment; where both ways of saying it are used, they have to agree. */
function environmentOf(form: Form, audience: string): string {
  const [name, ...otherNames] = form.all('audience')
  const [resource, ...otherResources] = form.all('resource')
  if (otherNames.length > 0 || otherResources.length > 0) {
    throw new BrokerError('target_refused', 'a token is for one environment', {
      hint: 'ask once for each',
    })
  }
  const named = resource === undefined ? undefined : environmentOfResource(audience, resource)
  if (named === null || (name !== undefined && named !== undefined && name !== named)) {
    throw unknownTarget()
  }
  const environment = name ?? named
  if (environment !== undefined) return environment
  throw invalid('audience', 'the environment is missing: name it as audience')
}

function templateOf(form: Form): string | undefined {
  const scope = form.one('scope')
  if (scope === undefined) return undefined
  const template = SCOPE.exec(scope)?.[1]
  if (template !== undefined) return template
  throw invalid('scope', 'the scope is one template, as template:NAME')
}

function wantedOf(form: Form): ExchangeRequest['wanted'] {
  switch (form.one('requested_token_type')) {
    case undefined:
      return null
    case TOKEN_TYPE.accessToken:
      return 'access_token'
    case TOKEN_TYPE.jwt:
      return 'jwt'
    case TOKEN_TYPE.lease:
      return 'lease'
    default:
      throw invalid('requested_token_type', 'this token type cannot be requested')
  }
}

function ttlOf(form: Form): number | undefined {
  const text = form.one('ttl')
  if (text === undefined) return undefined
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text) * 1000
  throw invalid('ttl', 'the ttl is a whole number of seconds')
}

function keyOf(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined || header === '') return undefined
  if (typeof header === 'string' && header.length <= MAX_KEY) return header
  throw invalid('idempotency-key', `an Idempotency-Key has at most ${MAX_KEY} characters`)
}

function invalid(parameter: string, message: string): BrokerError {
  return new BrokerError('invalid_request', message, {
    hint: 'see docs/http-api.md',
    details: { parameter },
  })
}
