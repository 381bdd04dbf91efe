/** Bytes that must not be taken for a request, and the code they are turned away with. */
export interface Attack {
  readonly name: string
  /** `api`: inside TLS to an intercepted host. `plain`: plain HTTP after CONNECT. `proxy`: to the listener. */
  readonly via: 'api' | 'plain' | 'proxy'
  readonly raw: string
  readonly code: 'request_malformed' | 'request_too_large' | 'egress_denied'
  /** The head is fine and is judged; it is the body that breaks. */
  readonly late?: true
}

const HOST = 'Host: api.test\r\n'

export const malformed = (name: string, raw: string): Attack => ({
  name,
  via: 'api',
  raw,
  code: 'request_malformed',
})

/** A request to the intercepted host with these lines after Host. */
export const withFields = (name: string, fields: string, body = ''): Attack =>
  malformed(name, `POST /x HTTP/1.1\r\n${HOST}${fields}\r\n${body}`)

export const chunked = (name: string, body: string): Attack => ({
  ...withFields(name, 'Transfer-Encoding: chunked\r\n', body),
  late: true,
})

export const withTarget = (name: string, target: string): Attack =>
  malformed(name, `GET ${target} HTTP/1.1\r\n${HOST}\r\n`)
