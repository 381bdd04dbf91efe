import { JSON_TYPE, PHANTOM } from '../attacks/gate/attack.ts'
import { by, type LegitimateRequest, UPLOAD, withField, written } from './request.ts'

const BEARER = ['authorization', 'Bearer «phantom»'] as const
const LENGTH = 'Content-Length: «length»'
const TYPE = 'Content-Type: application/json'
const OWN = 'Project-Access-Token: «phantom»'

const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
// Cut where no name is cut: what is filled in is counted by the runner, so these have none inside.
const PLAIN = '{"query":"{__typename}"}'

/** What clients put around a document: their own fields, their spelling of ours, their framing. */
export const CLIENTS: readonly LegitimateRequest[] = [
  by('the command line of Railway', [
    PHANTOM,
    ['x-source', 'CLI 4.10.0'],
    ['user-agent', 'railway/4.10.0'],
    JSON_TYPE,
    ['accept', '*/*'],
    ['accept-encoding', 'gzip, br, deflate'],
  ]),
  by('the command line of Railway with a sign-in', [
    BEARER,
    ['x-source', 'CLI 4.10.0'],
    JSON_TYPE,
    ['accept', '*/*'],
  ]),
  by('curl', [
    ['User-Agent', 'curl/7.88.1'],
    ['Accept', '*/*'],
    ['Content-Type', 'application/json'],
    ['Project-Access-Token', '«phantom»'],
  ]),
  by('wget', [
    ['User-Agent', 'Wget/1.21.3'],
    ['Accept', '*/*'],
    ['Accept-Encoding', 'identity'],
    ['Content-Type', 'application/json'],
    BEARER,
  ]),
  by('python requests', [
    ['User-Agent', 'python-requests/2.34.2'],
    ['Accept-Encoding', 'gzip, deflate'],
    ['Accept', '*/*'],
    ['Connection', 'keep-alive'],
    BEARER,
    ['Content-Type', 'application/json'],
  ]),
  by('python urllib', [
    ['Accept-Encoding', 'identity'],
    ['Content-type', 'application/json'],
    ['Authorization', 'Bearer «phantom»'],
    ['User-agent', 'Python-urllib/3.12'],
    ['Connection', 'close'],
  ]),
  by('httpx', [
    ['accept', '*/*'],
    ['accept-encoding', 'gzip, deflate, br, zstd'],
    ['connection', 'keep-alive'],
    ['user-agent', 'python-httpx/0.28.1'],
    BEARER,
    JSON_TYPE,
  ]),
  by('fetch of Node', [
    ['connection', 'keep-alive'],
    PHANTOM,
    JSON_TYPE,
    ['accept', '*/*'],
    ['accept-language', '*'],
    ['sec-fetch-mode', 'cors'],
    ['user-agent', 'node'],
    ['accept-encoding', 'br, gzip, deflate'],
  ]),
  by('axios', [
    ['Accept', 'application/json, text/plain, */*'],
    JSON_TYPE,
    ['Authorization', 'Bearer «phantom»'],
    ['User-Agent', 'axios/1.7.9'],
    ['Accept-Encoding', 'gzip, compress, deflate, br'],
    ['Connection', 'close'],
  ]),
  by('Go', [
    ['User-Agent', 'Go-http-client/1.1'],
    ['Authorization', 'Bearer «phantom»'],
    ['Content-Type', 'application/json'],
    ['Accept-Encoding', 'gzip'],
  ]),
  by(
    'Go over HTTP/2',
    [['user-agent', 'Go-http-client/2.0'], BEARER, JSON_TYPE, ['accept-encoding', 'gzip']],
    { kind: 'h2' },
  ),
  by('reqwest over HTTP/2', [PHANTOM, JSON_TYPE, ['accept', '*/*']], { kind: 'h2' }),
  by('Ruby', [
    ['Accept-Encoding', 'gzip;q=1.0,deflate;q=0.6,identity;q=0.3'],
    ['Accept', '*/*'],
    ['User-Agent', 'Ruby'],
    ['Connection', 'close'],
    BEARER,
    ['Content-Type', 'application/json'],
  ]),
  by('Java', [
    ['Connection', 'Upgrade, HTTP2-Settings'],
    ['HTTP2-Settings', 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA'],
    ['Upgrade', 'h2c'],
    ['User-Agent', 'Java-http-client/21'],
    BEARER,
    JSON_TYPE,
  ]),
  by('PHP Guzzle', [
    ['User-Agent', 'GuzzleHttp/7'],
    ['Content-Type', 'application/json'],
    ['Authorization', 'Bearer «phantom»'],
  ]),
  by('Apollo', [
    ['accept', 'application/graphql-response+json,application/json;q=0.9'],
    ['apollographql-client-name', 'script'],
    ['apollographql-client-version', '1.0'],
    ['apollo-require-preflight', 'true'],
    JSON_TYPE,
    BEARER,
  ]),
  by('graphql-request', [
    ['accept', 'application/graphql-response+json; charset=utf-8, application/json; charset=utf-8'],
    JSON_TYPE,
    BEARER,
  ]),
  by('urql', [
    [
      'accept',
      'application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed',
    ],
    JSON_TYPE,
    BEARER,
  ]),
  by('Insomnia', [JSON_TYPE, ['User-Agent', 'insomnia/10'], BEARER, ['Accept', '*/*']]),
  by('an explorer in a browser', [
    ['sec-ch-ua', '"Chromium";v="131"'],
    ['sec-ch-ua-mobile', '?0'],
    JSON_TYPE,
    BEARER,
    ['accept', 'application/json, multipart/mixed'],
    ['origin', 'https://railway.com'],
    ['sec-fetch-site', 'same-site'],
    ['referer', 'https://railway.com/graphiql'],
    ['priority', 'u=1, i'],
  ]),
  by('a charset that is said', [['Content-Type', 'application/json; charset=utf-8'], PHANTOM]),
  by('a charset in quotes', [['Content-Type', 'application/json;charset="UTF-8"'], PHANTOM]),
  by('a type in capitals', [['Content-Type', 'Application/JSON'], PHANTOM]),
  by('an encoding that is none', [JSON_TYPE, PHANTOM, ['Content-Encoding', 'identity']]),
  by('a bearer in small letters', [JSON_TYPE, ['authorization', 'bearer «phantom»']]),
  by('a bearer in capitals', [JSON_TYPE, ['AUTHORIZATION', 'BEARER «phantom»']]),
  by('two blanks after the bearer', [JSON_TYPE, ['Authorization', 'Bearer  «phantom»']]),
  by('blanks around the credential', [JSON_TYPE, ['Project-Access-Token', '   «phantom»   ']]),
  by('the header in capitals', [JSON_TYPE, ['PROJECT-ACCESS-TOKEN', '«phantom»']]),
  by('an empty header beside the other one', [JSON_TYPE, PHANTOM, ['Authorization', 'Bearer ']]),
  by('the other host', [JSON_TYPE, PHANTOM], { host: 'backboard.railway.app' }),
  by('the other host with a bearer', [JSON_TYPE, BEARER], { host: 'backboard.railway.app' }),
  by('the other host over HTTP/2', [JSON_TYPE, PHANTOM], {
    host: 'backboard.railway.app',
    kind: 'h2',
  }),
  withField('a trace', ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01']),
  withField('an id of the request', ['x-request-id', '7f0c4d3e-9a32-4a4f-8d4c-0a0b0c0d0e0f']),
  withField('a key that only says that it is the same request', [
    'idempotency-key',
    '7f0c4d3e-9a32-4a4f-8d4c-0a0b0c0d0e0f',
  ]),
  withField('no cache', ['cache-control', 'no-cache']),
  withField('a field with commas', ['accept', 'a/b, c/d;q=0.5, */*;q=0.1']),
  withField('a field in Latin-1', ['x-name', 'caf\u00e9']),
  withField('a date', ['date', 'Tue, 15 Nov 1994 08:12:31 GMT']),
  withField('where it comes from', ['forwarded', 'for=192.0.2.60;proto=http']),
  withField('what is kept alive', ['Keep-Alive', 'timeout=5, max=1000']),
  withField('a connection to the proxy', ['Proxy-Connection', 'keep-alive']),
  withField('trailers welcome', ['TE', 'trailers']),
  written('Host with its port', [TYPE, OWN, LENGTH], { host: 'backboard.railway.com:443' }),
  written('Host in capitals', [TYPE, OWN, LENGTH], { host: 'Backboard.Railway.COM' }),
  written('CONNECT in capitals', [TYPE, OWN, LENGTH], { to: 'BACKBOARD.RAILWAY.COM:443' }),
  written('an absolute URL', [TYPE, OWN, LENGTH], {
    line: 'POST https://backboard.railway.com/graphql/v2 HTTP/1.1',
  }),
  written('no blank after the colon', [TYPE.replace(': ', ':'), OWN.replace(': ', ':'), LENGTH]),
  written('a version of 1.0', [TYPE, OWN, LENGTH], { line: 'POST /graphql/v2 HTTP/1.0' }),
  {
    ...written('one chunk', [TYPE, OWN, 'Transfer-Encoding: chunked'], {
      body: `${chunk(PLAIN)}0\r\n\r\n`,
    }),
    body: PLAIN,
  },
  {
    ...written('many chunks', [TYPE, OWN, 'Transfer-Encoding: chunked'], {
      body: `${[...PLAIN].map(chunk).join('')}0\r\n\r\n`,
    }),
    body: PLAIN,
  },
  {
    ...written('chunks with extensions', [TYPE, OWN, 'Transfer-Encoding: chunked'], {
      body: `${chunk(PLAIN).replace('\r\n', ';a=b\r\n')}0\r\n\r\n`,
    }),
    body: PLAIN,
  },
  {
    ...written(
      'chunks with a trailer',
      [TYPE, OWN, 'Transfer-Encoding: chunked', 'Trailer: X-Sum'],
      { body: `${chunk(PLAIN)}0\r\nX-Sum: 1\r\n\r\n` },
    ),
    body: PLAIN,
  },
  written('a client that asks before it sends', [TYPE, OWN, LENGTH, 'Expect: 100-continue']),
  {
    name: 'an upload',
    send: {
      kind: 'http/1.1',
      method: 'POST',
      path: UPLOAD,
      host: 'backboard.railway.com',
      headers: [PHANTOM, ['content-type', 'multipart/form-data; boundary=x']],
      body: 'a packed tree',
    },
  },
  {
    name: 'an upload of packed bytes',
    send: {
      kind: 'http/1.1',
      method: 'POST',
      path: UPLOAD,
      host: 'backboard.railway.com',
      headers: [PHANTOM, ['content-type', 'application/gzip'], ['content-encoding', 'gzip']],
      body: Buffer.from([0x1f, 0x8b, 8, 0, 0xff, 0, 1]),
    },
  },
  {
    name: 'an upload with a message',
    send: {
      kind: 'http/1.1',
      method: 'POST',
      path: `${UPLOAD}&message=first%20try%2C%20caf%C3%A9`,
      host: 'backboard.railway.com',
      headers: [PHANTOM],
      body: 'a packed tree',
    },
  },
  {
    name: 'an upload to the other host',
    send: {
      kind: 'http/1.1',
      method: 'POST',
      path: UPLOAD,
      host: 'backboard.railway.app',
      headers: [BEARER],
      body: 'a packed tree',
    },
  },
  {
    name: 'an upload over HTTP/2',
    send: {
      kind: 'h2',
      method: 'POST',
      path: UPLOAD,
      host: 'backboard.railway.com',
      headers: [PHANTOM],
      body: 'a packed tree',
    },
  },
  {
    name: 'an upload in chunks',
    send: {
      kind: 'raw',
      via: 'tls',
      to: 'backboard.railway.com:443',
      bytes: `POST ${UPLOAD} HTTP/1.1\r\nHost: backboard.railway.com\r\n${OWN}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('a packed')}${chunk(' tree')}0\r\n\r\n`,
    },
    body: 'a packed tree',
  },
]
