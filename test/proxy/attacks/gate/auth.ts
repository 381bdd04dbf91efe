import type { DenialCode } from '../../../../src/broker/authorize/denial.ts'
import { type GateAttack, type HttpSending, JSON_TYPE, PING, post } from './attack.ts'

type Fields = HttpSending['headers']

const at = (
  code: DenialCode,
  name: string,
  fields: Fields,
  more: Partial<HttpSending> = {},
): GateAttack => ({
  name,
  family: 'auth',
  lease: 'wide',
  code,
  send: post(PING, { headers: [JSON_TYPE, ...fields], ...more }),
})
const foreign = (name: string, fields: Fields, more?: Partial<HttpSending>) =>
  at('foreign_credential', name, fields, more)
const bearer = (value: string) => ['authorization', value] as const
const project = (value: string) => ['project-access-token', value] as const

/** Who is it? Nothing here is dangerous but for the credential it comes with. */
export const AUTH: readonly GateAttack[] = [
  foreign('the phantom of another lease', [project('«otherPhantom»')]),
  foreign('the phantom of another lease as a bearer', [bearer('Bearer «otherPhantom»')]),
  foreign('the phantom of a lease that has ended', [project('«endedPhantom»')]),
  foreign('the phantom of a lease that has ended, as a bearer', [bearer('Bearer «endedPhantom»')]),
  foreign('the phantom in both headers', [bearer('Bearer «phantom»'), project('«phantom»')]),
  foreign('the phantom twice', [project('«phantom»'), project('«phantom»')]),
  foreign('the phantom of another lease behind its own', [
    project('«phantom»'),
    bearer('Bearer «otherPhantom»'),
  ]),
  foreign('the phantom of another lease before its own', [
    project('«otherPhantom»'),
    project('«phantom»'),
  ]),
  foreign('the phantom in capitals', [project('«phantom:upper»')]),
  foreign('the phantom without its last letter', [project('«phantom:cut»')]),
  foreign('the phantom with something behind it', [project('«phantom»0')]),
  foreign('the phantom with a blank in it', [project('«phantom» «phantom»')]),
  foreign('the phantom in quotes', [project('"«phantom»"')]),
  foreign('the phantom without a scheme', [bearer('«phantom»')]),
  foreign('the phantom with the scheme where none belongs', [project('Bearer «phantom»')]),
  foreign('the scheme twice', [bearer('Bearer Bearer «phantom»')]),
  foreign('two bearers in a list', [bearer('Bearer «phantom», Bearer «otherPhantom»')]),
  foreign('the phantom in Basic authentication', [bearer('Basic «phantom:basic»')]),
  foreign('another scheme', [bearer('Token «phantom»')]),
  foreign('a scheme that holds parameters', [bearer('Bearer token=«phantom»')]),
  foreign('a tab for the blank', [bearer('Bearer\t«phantom»')]),
  foreign('the phantom of another lease over HTTP/2', [project('«otherPhantom»')], { kind: 'h2' }),
  foreign(
    'the phantom in both headers over HTTP/2',
    [bearer('Bearer «phantom»'), project('«phantom»')],
    { kind: 'h2' },
  ),
  at('credential_missing', 'nothing', []),
  at('credential_missing', 'nothing over HTTP/2', [], { kind: 'h2' }),
  at('credential_missing', 'an empty bearer', [bearer('Bearer ')]),
  at('credential_missing', 'an empty header', [project('')]),
  at('credential_missing', 'the phantom for the proxy', [
    ['proxy-authorization', 'Bearer «phantom»'],
  ]),
  at('credential_missing', 'nothing, to the upstream’s own address', [], {
    host: '127.0.0.1:«port»',
  }),
  at('operation_denied', 'the phantom, to the upstream’s own address', [project('«phantom»')], {
    host: '127.0.0.1:«port»',
  }),
]
