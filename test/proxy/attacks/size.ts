import type { Attack } from './attack.ts'

const large = (name: string, raw: string, via: Attack['via'] = 'api'): Attack => ({
  name,
  via,
  raw,
  code: 'request_too_large',
})
const start = 'GET / HTTP/1.1\r\nHost: api.test\r\n'

export const SIZE: readonly Attack[] = [
  large('a field over the limit', `${start}X-A: ${'a'.repeat(40_000)}\r\n\r\n`),
  large('a target over the limit', `GET /${'a'.repeat(40_000)} HTTP/1.1\r\nHost: api.test\r\n\r\n`),
  large('a head that never ends', `${start}${'X-A: b\r\n'.repeat(5000)}`),
  large('too many fields', `${start}${'X-A: b\r\n'.repeat(250)}\r\n`),
  large(
    'too many fields to the proxy',
    `GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n${'X-A: b\r\n'.repeat(250)}\r\n`,
    'proxy',
  ),
  large(
    'chunk extensions without end',
    `POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n5;${'a'.repeat(20_000)}`,
  ),
  large(
    'a declared length over what may be inspected',
    'POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 5000\r\n\r\n',
  ),
  large(
    'a chunked body over what may be inspected',
    `POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n${'a'.repeat(5000)}\r\n0\r\n\r\n`,
  ),
]
