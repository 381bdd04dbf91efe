import type { DenialCode } from '../../../../src/broker/authorize/denial.ts'
import { API, type GateAttack, PING, type RawSending, raw } from './attack.ts'

const at = (
  code: DenialCode,
  name: string,
  bytes: string,
  changes: Partial<RawSending> = {},
): GateAttack => ({ name, family: 'authority', lease: 'wide', code, send: raw(bytes, changes) })

const request = (host: string, target = '/graphql/v2') =>
  `POST ${target} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nProject-Access-Token: «phantom»\r\nContent-Length: 24\r\n\r\n${PING}`
const connect = (authority: string, host = authority) =>
  `CONNECT ${authority} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
const opening = (code: DenialCode, name: string, authority: string, host?: string): GateAttack =>
  at(code, name, connect(authority, host), { via: 'proxy' })
const CLOUD = '127.0.0.1:«port»'

export const AUTHORITY: readonly GateAttack[] = [
  at(
    'request_malformed',
    'the other host of the provider in Host',
    request('backboard.railway.app'),
  ),
  at('request_malformed', 'a stranger in Host', request('evil.example')),
  at('request_malformed', 'another port in Host', request(`${API}:8443`)),
  at('request_malformed', 'a dot at the end of Host', request(`${API}.`)),
  at('request_malformed', 'a user in Host', request(`evil@${API}`)),
  at('request_malformed', 'the upstream’s own address in Host', request(CLOUD)),
  at('request_malformed', 'two hosts', request(`${API}\r\nHost: backboard.railway.app`)),
  at('request_malformed', 'no host', request(API).replace(`Host: ${API}\r\n`, '')),
  at(
    'request_malformed',
    'letters that look alike in Host',
    request('backboard.railw\xd0\xb0y.com'),
  ),
  at(
    'request_malformed',
    'an absolute URL of another host',
    request(API, 'https://backboard.railway.app/graphql/v2'),
  ),
  at(
    'request_malformed',
    'an absolute URL of the upstream itself',
    request(API, `https://${CLOUD}/graphql/v2`),
  ),
  at(
    'request_malformed',
    'an absolute URL with a user',
    request(API, `https://«accountToken»@${API}/graphql/v2`),
  ),
  at('request_malformed', 'an absolute URL without TLS', request(API, `http://${API}/graphql/v2`)),
  at('request_malformed', 'the provider’s other name in the ClientHello', request(API), {
    servername: 'backboard.railway.app',
  }),
  at('request_malformed', 'a stranger’s name in the ClientHello', request(API), {
    servername: 'evil.example',
  }),
  at(
    'request_malformed',
    'the provider’s name in the ClientHello to the upstream’s address',
    request(API),
    { to: CLOUD, servername: API },
  ),
  at('operation_denied', 'another port of the provider', request(`${API}:8443`), {
    to: `${API}:8443`,
  }),
  at('operation_denied', 'the provider without TLS', request(API), {
    via: 'plain',
    to: `${API}:80`,
  }),
  at('operation_denied', 'the provider without TLS on the port of TLS', request(`${API}:443`), {
    via: 'plain',
  }),
  at(
    'operation_denied',
    'the provider without TLS and without CONNECT',
    request(API, `http://${API}/graphql/v2`),
    { via: 'proxy' },
  ),
  at('operation_denied', 'the upstream without TLS', request(CLOUD, `http://${CLOUD}/graphql/v2`), {
    via: 'proxy',
  }),
  opening('request_malformed', 'a dot at the end of CONNECT', `${API}.:443`),
  opening('request_malformed', 'a user in CONNECT', `x@${API}:443`),
  opening('request_malformed', 'CONNECT without a port', API),
  opening(
    'request_malformed',
    'another host in the Host of CONNECT',
    `${API}:443`,
    'backboard.railway.app:443',
  ),
  opening('request_malformed', 'the address of this machine in decimal', '2130706433:«port»'),
  opening('request_malformed', 'the address of this machine in octal', '0177.0.0.1:«port»'),
  opening('request_malformed', 'a short address of this machine', '127.1:«port»'),
  opening('request_malformed', 'an escape in CONNECT', 'backboard%2erailway.com:443'),
  opening('egress_denied', 'the upstream by the name of this machine', 'localhost:«port»'),
  opening('egress_denied', 'the upstream by another address of this machine', '127.0.0.2:«port»'),
  opening('egress_denied', 'the upstream by IPv6', '[::1]:«port»'),
  opening(
    'egress_denied',
    'the upstream by an IPv6 address that holds an IPv4 one',
    '[::ffff:127.0.0.1]:«port»',
  ),
  opening('egress_denied', 'the upstream by the address of nobody', '0.0.0.0:«port»'),
  opening('egress_denied', 'the metadata service', '169.254.169.254:80'),
  opening('egress_denied', 'its own proxy', '127.0.0.2:«listener»'),
  ...(
    [
      ['a host that is not listed', 'evil.example:443'],
      ['the parent of a listed wildcard', 'listed.example:443'],
      ['a name that only ends like a listed one', 'unlisted.example:443'],
      ['the provider’s name as a part of another', 'backboard.railway.com.evil.example:443'],
      ['letters that look alike, as they are sent', 'backboard.xn--railwy-3ve.com:443'],
      ['an address instead of a listed name', '93.184.216.34:443'],
    ] as const
  ).map(
    ([name, authority]): GateAttack => ({
      ...opening('egress_denied', name, authority),
      lease: 'listed',
    }),
  ),
  {
    ...at(
      'egress_denied',
      'a host that is not listed, without TLS',
      'GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n',
      { via: 'proxy' },
    ),
    lease: 'listed',
  },
]
