import fc from 'fast-check'

const START = fc.constantFrom(
  'GET /a HTTP/1.1',
  'POST /a/b?c=d HTTP/1.1',
  'PUT http://plain.test/a HTTP/1.1',
  'DELETE /a/../b HTTP/1.1',
  'POST /%2e%2e/a HTTP/1.1',
  'HEAD /a HTTP/1.0',
  'GET //a HTTP/1.1',
  'OPTIONS * HTTP/1.1',
)
const FIELD = fc.constantFrom(
  'Content-Length: 5',
  'Content-Length: 0',
  'Content-Length: 40',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer_Encoding: chunked',
  'Host: plain.test',
  'Host: other.test',
  'Connection: close',
  'Connection: content-length, x-a',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'X-A: one',
  ' folded',
  'X-HTTP-Method-Override: DELETE',
  'Authorization: Bearer x',
  'Trailer: x-b',
  'TE: trailers',
)
const BODY = fc.constantFrom(
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\nX-B: 1\r\n\r\n',
  '0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: plain.test\r\n\r\n',
  'GET /smuggled HTTP/1.1\r\nHost: plain.test\r\n\r\n',
  'ffffffffffffffff\r\nhello',
)
/** Most messages are framed as they say; what is wrong with the rest is left to chance. */
const FRAMED = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      { framing: '', body: '' },
      { framing: 'Content-Length: 5\r\n', body: 'hello' },
      { framing: 'Transfer-Encoding: chunked\r\n', body: '5\r\nhello\r\n0\r\n\r\n' },
    ),
  },
  { weight: 1, arbitrary: BODY.map((body) => ({ framing: '', body })) },
)
export const SCRAP = fc.constantFrom(
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '%',
  '/',
  '.',
  '\\',
  '\x80',
  '#',
  '?',
  'chunked',
)
const CHANGE = fc.record({ at: fc.nat(400), drop: fc.nat(3), put: fc.option(SCRAP, { nil: '' }) })

/** The same with up to two places broken. */
export function changed(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(text, fc.array(CHANGE, { maxLength: 2 })).map(([whole, changes]) =>
    changes.reduce((now, { at, drop, put }) => {
      const place = at % (now.length + 1)
      return now.slice(0, place) + put + now.slice(place + drop)
    }, whole),
  )
}

/** An HTTP/1.1 request for `plain.test`, more or less. */
export const MESSAGE = changed(
  fc
    .record({
      start: START,
      host: fc.constantFrom('Host: plain.test\r\n', 'Host: plain.test:80\r\n'),
      framed: FRAMED,
      fields: fc.array(FIELD, { maxLength: 2 }),
    })
    .map(({ start, host, framed, fields }) => {
      const lines = fields.map((field) => `${field}\r\n`).join('')
      return `${start}\r\n${host}${framed.framing}${lines}\r\n${framed.body}`
    }),
)

/** Mostly the first; what is unusual about a message should mostly stand alone. */
const mostly = (usual: string, ...unusual: string[]) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...unusual) },
  )
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: plain.test\r\n\r\n'
const BEHIND = mostly('', SMUGGLED, 'xx', '\r\n', '\n', '0\r\n\r\n')
const VERSION = mostly('1.1', '1.0')
const TARGET = mostly(
  '/a?b',
  '/a;b=c?d=%2F&&e',
  'http://plain.test/a',
  '/',
  '/~a!$&()*+,;=:@b',
  '/%C3%A9',
)

const CHUNKED = fc
  .record({
    version: VERSION,
    target: TARGET,
    coding: mostly(
      'chunked',
      'Chunked',
      '\tchunked ',
      'chunked\r\nContent-Length: 5',
      'x, chunked',
    ),
    size: mostly('5', '05', '0005', '5;a=b', '5;a="b;c"', '5 ', '5\t', '5;', '5 ;a', '+5', '5_0'),
    inner: mostly('hello', 'hel\r\n', '0\r\n\r\n'),
    last: mostly('0', '00', '0;a', '000000000', '0 ', ''),
    trailers: mostly('', 'X-B: 1\r\n', 'Content-Length: 3\r\n', 'Host: x\r\n', 'X-B : 1\r\n'),
    behind: BEHIND,
  })
  .map(
    ({ version, target, coding, size, inner, last, trailers, behind }) =>
      `POST ${target} HTTP/${version}\r\nHost: plain.test\r\nTransfer-Encoding: ${coding}\r\n\r\n${size}\r\n${inner}\r\n${last}\r\n${trailers}\r\n${behind}`,
  )

const MEASURED = fc
  .record({
    version: VERSION,
    method: mostly('POST', 'GET', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND'),
    target: TARGET,
    length: mostly(
      'Content-Length: 5',
      'Content-Length: 05',
      'Content-Length:  5\t',
      'content-length: 6',
      'Content-Length: 4',
      'X-A: 1',
      'Content-Length: 5\r\nExpect: 100-continue',
      'Content-Length: 5\r\nConnection: Upgrade\r\nUpgrade: websocket',
      'Connection: close\r\nContent-Length: 5',
    ),
    body: mostly('hello', 'hell', SMUGGLED.slice(0, 5)),
    behind: BEHIND,
  })
  .map(
    ({ version, method, target, length, body, behind }) =>
      `${method} ${target} HTTP/${version}\r\nHost: plain.test\r\n${length}\r\n\r\n${body}${behind}`,
  )

/** Requests for `plain.test` whose framing is right in most places and unusual in some. */
export const FRAMES = fc.oneof(CHUNKED, MEASURED)
