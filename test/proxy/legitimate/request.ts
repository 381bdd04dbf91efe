import type { Json } from '../../../src/lib/json.ts'
import {
  API,
  type HttpSending,
  JSON_TYPE,
  PHANTOM,
  post,
  type RawSending,
} from '../attacks/gate/attack.ts'

/** One request that has to pass, written with the names of `attacks/gate/names.ts`. */
export interface LegitimateRequest {
  readonly name: string
  readonly send: HttpSending | RawSending
  /** What the server has to receive, where it is not what was sent. */
  readonly body?: string
  /** `broker`: answered for the lease, and nothing goes upstream. */
  readonly answered?: 'broker'
}

export const STATUS =
  'query Status($id: String!) { environment(id: $id) { id name serviceInstances(first: 50) { edges { node { id serviceName latestDeployment { id status } } } } } }'
export const STATUS_BODY = JSON.stringify({ query: STATUS, variables: { id: '«staging»' } })
export const UPLOAD = '/project/«shop»/environment/«staging»/up?serviceId=«web»'

type Fields = HttpSending['headers']

/** The same harmless question as one client or another puts it. */
export const by = (
  client: string,
  headers: Fields,
  more: Partial<HttpSending> = {},
): LegitimateRequest => ({
  name: client,
  send: post(STATUS_BODY, { headers, ...more }),
})

export const withField = (name: string, field: readonly [string, string]): LegitimateRequest =>
  by(name, [JSON_TYPE, PHANTOM, field])

export const asks = (
  name: string,
  body: Readonly<Record<string, Json>> | string,
): LegitimateRequest => ({
  name,
  send: post(typeof body === 'string' ? body : JSON.stringify(body)),
})

/** Lines of a head after the request line and Host; the body is `STATUS_BODY` as it is written there. */
export const written = (
  name: string,
  lines: readonly string[],
  { line = 'POST /graphql/v2 HTTP/1.1', host = API, body = STATUS_BODY, to = `${API}:443` } = {},
): LegitimateRequest => ({
  name,
  send: {
    kind: 'raw',
    via: 'tls',
    to,
    bytes: `${[line, `Host: ${host}`, ...lines].join('\r\n')}\r\n\r\n${body}`,
  },
  body: STATUS_BODY,
})
