import type { DenialCode } from '../../../../src/broker/authorize/denial.ts'
import {
  type GateAttack,
  type HttpSending,
  JSON_TYPE,
  PHANTOM,
  PING,
  post,
  WIPE_BODY,
} from './attack.ts'

const at = (
  code: DenialCode,
  name: string,
  path: string,
  changes: Partial<HttpSending> = {},
): GateAttack => ({
  name,
  family: 'rest',
  lease: 'wide',
  code,
  send: post(WIPE_BODY, { path, ...changes }),
})
const upload = (code: DenialCode, name: string, path: string, changes: Partial<HttpSending> = {}) =>
  at(code, name, path, {
    headers: [['content-type', 'application/gzip'], PHANTOM],
    body: 'tarball',
    ...changes,
  })
const override = (name: string): GateAttack => ({
  ...at('request_malformed', `a method in the field "${name}"`, '/graphql/v2'),
  send: post(PING, { headers: [JSON_TYPE, PHANTOM, [name, 'DELETE']] }),
})

const SHOP = '/project/«shop»/environment'

export const REST: readonly GateAttack[] = [
  at('operation_denied', 'a slash at the end', '/graphql/v2/'),
  at('operation_denied', 'the API of the dashboard', '/graphql/internal'),
  at('operation_denied', 'an older version', '/graphql'),
  at('operation_denied', 'capitals', '/GraphQL/V2'),
  at('operation_denied', 'an escaped letter', '/graphql/v%32'),
  at('operation_denied', 'an escaped slash', '/graphql%2fv2'),
  at('operation_denied', 'a matrix parameter', '/graphql/v2;a=b'),
  at('operation_denied', 'the exchange of tokens', '/oauth/token'),
  at('operation_denied', 'the root', '/'),
  at('request_malformed', 'two slashes', '//graphql/v2'),
  at('request_malformed', 'two slashes inside', '/graphql//v2'),
  at('request_malformed', 'a dot segment', '/x/../graphql/v2'),
  at('request_malformed', 'a single dot segment', '/./graphql/v2'),
  at('request_malformed', 'an escaped dot segment', '/x/%2e%2e/graphql/v2'),
  at('request_malformed', 'a dot segment escaped twice', '/x/%252e%252e/graphql/v2'),
  at('request_malformed', 'a dot segment with a matrix parameter', '/x/..;a=b/graphql/v2'),
  at('request_malformed', 'a backslash', '/x\\..\\graphql/v2'),
  at('request_malformed', 'an escaped end', '/graphql/v2%00'),
  at('request_malformed', 'an overlong escape', '/x/%c0%ae%c0%ae/graphql/v2'),
  override('X-HTTP-Method-Override'),
  override('X-HTTP-Method'),
  override('X-Method-Override'),
  override('X_HTTP_Method_Override'),
  override('X-Original-URL'),
  override('X-Rewrite-URL'),
  upload('environment_mismatch', 'an upload into production', `${SHOP}/«production»/up`),
  upload(
    'environment_mismatch',
    'an upload into production for one service',
    `${SHOP}/«production»/up?serviceId=«web»`,
  ),
  upload(
    'environment_mismatch',
    'an upload into another project',
    '/project/«billing»/environment/«staging»/up',
  ),
  upload(
    'environment_mismatch',
    'an upload for a service of another project',
    `${SHOP}/«staging»/up?serviceId=«invoices»`,
  ),
  upload(
    'environment_mismatch',
    'an upload into the environment in capitals',
    `${SHOP}/«staging:upper»/up`,
  ),
  upload(
    'request_malformed',
    'an upload over a dot segment',
    `${SHOP}/«staging»/../«production»/up`,
  ),
  upload(
    'request_malformed',
    'an upload over an escaped dot segment',
    `${SHOP}/«staging»/%2e%2e/«production»/up`,
  ),
  upload(
    'request_malformed',
    'an upload into an escaped environment',
    `${SHOP}/«production:percent»/up`,
  ),
  upload(
    'request_malformed',
    'an upload with a matrix parameter',
    `${SHOP}/«staging»;«production»/up`,
  ),
  upload('operation_denied', 'an upload with a slash at its end', `${SHOP}/«production»/up/`),
  upload(
    'operation_denied',
    'an upload whose end has a matrix parameter',
    `${SHOP}/«production»/up;x`,
  ),
  upload('operation_denied', 'an upload with an escaped end', `${SHOP}/«production»/%75p`),
  upload(
    'request_malformed',
    'an upload that names another environment in its query',
    `${SHOP}/«staging»/up?environmentId=«production»`,
  ),
  upload(
    'request_malformed',
    'an upload for two services',
    `${SHOP}/«staging»/up?serviceId=«web»&serviceId=«invoices»`,
  ),
  upload(
    'request_malformed',
    'an upload for a service that leads elsewhere',
    `${SHOP}/«staging»/up?serviceId=..%2f«invoices»`,
  ),
  upload('operation_denied', 'an upload with another method', `${SHOP}/«staging»/up`, {
    method: 'PUT',
  }),
  {
    ...upload(
      'operation_denied',
      'an upload into its own environment where none is allowed',
      `${SHOP}/«staging»/up`,
    ),
    lease: 'narrow',
  },
]
