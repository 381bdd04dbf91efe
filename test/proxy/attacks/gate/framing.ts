import { type GateAttack, head, PING, post, raw, WIPE_BODY } from './attack.ts'

const malformed = (name: string, bytes: string): GateAttack => ({
  name,
  family: 'framing',
  lease: 'wide',
  code: 'request_malformed',
  send: raw(bytes),
})
const h2 = (name: string, headers: readonly (readonly [string, string])[]): GateAttack => ({
  name,
  family: 'framing',
  lease: 'wide',
  code: 'request_malformed',
  send: {
    ...post(PING, { kind: 'h2' }),
    headers: [
      ['content-type', 'application/json'],
      ['project-access-token', '«phantom»'],
      ...headers,
    ],
  },
})

/** A whole request of its own, to be read out of the body of the first one. */
const SECOND = `${head('Content-Length: «wipeLength»\r\n')}${WIPE_BODY}`

export const FRAMING: readonly GateAttack[] = [
  malformed(
    'a length and a chunked body with a second request behind',
    `${head('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n')}0\r\n\r\n${SECOND}`,
  ),
  malformed(
    'a chunked body and then a length',
    `${head('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n')}0\r\n\r\n${SECOND}`,
  ),
  malformed('two lengths', `${head('Content-Length: 24\r\nContent-Length: 0\r\n')}${PING}`),
  malformed('two equal lengths', `${head('Content-Length: 24\r\nContent-Length: 24\r\n')}${PING}`),
  malformed('a list of lengths', `${head('Content-Length: 24, 24\r\n')}${PING}`),
  malformed('a length with a sign', `${head('Content-Length: +24\r\n')}${PING}`),
  malformed('a length in hexadecimal', `${head('Content-Length: 0x18\r\n')}${PING}`),
  malformed(
    'a length with a second request in its place',
    `${head('Content-Length : 0\r\n')}${SECOND}`,
  ),
  malformed('a coding that is not chunked', `${head('Transfer-Encoding: xchunked\r\n')}${SECOND}`),
  malformed('two codings', `${head('Transfer-Encoding: gzip, chunked\r\n')}0\r\n\r\n`),
  malformed(
    'a coding twice',
    `${head('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n')}0\r\n\r\n`,
  ),
  malformed(
    'a coding on a folded line',
    `${head('Transfer-Encoding:\r\n chunked\r\n')}0\r\n\r\n${SECOND}`,
  ),
  malformed('a folded field', `${head('X-A: b\r\n c\r\nContent-Length: 24\r\n')}${PING}`),
  malformed('a bare line feed between fields', `${head('X-A: b\nContent-Length: 24\r\n')}${PING}`),
  malformed(
    'a bare carriage return in a field',
    `${head('X-A: b\rContent-Length: 0\r\nContent-Length: 24\r\n')}${PING}`,
  ),
  malformed('a null byte in a field', `${head('X-A: b\0c\r\nContent-Length: 24\r\n')}${PING}`),
  malformed('a space before the colon', `${head('X-A : b\r\nContent-Length: 24\r\n')}${PING}`),
  malformed(
    'a field that imitates the length',
    `${head('Content_Length: 0\r\nContent-Length: 24\r\n')}${PING}`,
  ),
  malformed(
    'a field that imitates the coding',
    `${head('Transfer_Encoding: chunked\r\nContent-Length: 24\r\n')}${PING}`,
  ),
  malformed(
    'a field that imitates the credential’s',
    `${head('Content-Type_: x\r\nContent_Type: text/plain\r\nContent-Length: 24\r\n')}${PING}`,
  ),
  malformed(
    'a chunk whose length is no number',
    `${head('Transfer-Encoding: chunked\r\n')}zz\r\n${PING}\r\n0\r\n\r\n`,
  ),
  malformed(
    'a chunk longer than it says',
    `${head('Transfer-Encoding: chunked\r\n')}2\r\n${PING}\r\n0\r\n\r\n`,
  ),
  malformed(
    'a chunk length that overflows',
    `${head('Transfer-Encoding: chunked\r\n')}fffffffffffffffff\r\n${PING}\r\n0\r\n\r\n`,
  ),
  malformed(
    'a body on HTTP/1.0 that is chunked',
    `${head('Transfer-Encoding: chunked\r\n', 'POST /graphql/v2 HTTP/1.0')}18\r\n${PING}\r\n0\r\n\r\n`,
  ),
  malformed('a version that is none', head('Content-Length: 0\r\n', 'POST /graphql/v2 HTTP/1.2')),
  malformed('no version at all', 'POST /graphql/v2\r\n\r\n'),
  malformed(
    'a space in the path',
    `${head('Content-Length: 24\r\n', 'POST /graphql/v2 x HTTP/1.1')}${PING}`,
  ),
  malformed(
    'a method that is none',
    `${head('Content-Length: 24\r\n', 'P\u00d6ST /graphql/v2 HTTP/1.1')}${PING}`,
  ),
  malformed(
    'the credential named as hop-by-hop, with another in its place',
    `${head('Connection: authorization\r\nAuthorization: Bearer «accountToken»\r\nContent-Length: 24\r\n')}${PING}`,
  ),
  malformed(
    'the content type named as hop-by-hop',
    `${head('Connection: close, content-type\r\nContent-Length: 24\r\n')}${PING}`,
  ),
  malformed(
    'an expectation nobody knows',
    `${head('Expect: 200-ok\r\nContent-Length: 24\r\n')}${PING}`,
  ),
  malformed(
    'TRACE, which would show the credential',
    head('Content-Length: 0\r\n', 'TRACE /graphql/v2 HTTP/1.1'),
  ),
  malformed(
    'a CONNECT inside',
    'CONNECT backboard.railway.com:443 HTTP/1.1\r\nHost: backboard.railway.com:443\r\n\r\n',
  ),
  h2('another authority in HTTP/2', [[':authority', 'backboard.railway.app']]),
  h2('a host beside the authority in HTTP/2', [['host', 'backboard.railway.app']]),
  h2('another scheme in HTTP/2', [[':scheme', 'http']]),
  h2('a dot segment in HTTP/2', [[':path', '/x/../graphql/v2']]),
  h2('an override of the method in HTTP/2', [['x-http-method-override', 'DELETE']]),
  h2('two lengths in the body of HTTP/2', [['content_length', '0']]),
  {
    name: 'a head without end',
    family: 'size',
    lease: 'wide',
    code: 'request_too_large',
    send: raw(head(`${'X-A: 0123456789012345678901234567890123456789\r\n'.repeat(1200)}`)),
  },
  {
    name: 'one field without end',
    family: 'size',
    lease: 'wide',
    code: 'request_too_large',
    send: raw(head(`X-A: ${'0'.repeat(64 * 1024)}\r\n`)),
  },
  {
    name: 'two hundred and fifty fields',
    family: 'size',
    lease: 'wide',
    code: 'request_too_large',
    send: raw(`${head(`${'A: b\r\n'.repeat(250)}Content-Length: 24\r\n`)}${PING}`),
  },
  {
    name: 'a length over the limit, before a byte of it',
    family: 'size',
    lease: 'wide',
    code: 'request_too_large',
    send: raw(head('Content-Length: 1048577\r\n')),
  },
  {
    name: 'a chunked body over the limit',
    family: 'size',
    lease: 'wide',
    code: 'request_too_large',
    send: raw(
      `${head('Transfer-Encoding: chunked\r\n')}100001\r\n${' '.repeat(0x100001)}\r\n0\r\n\r\n`,
    ),
  },
]
