import { describe, expect, it } from 'vitest'
import { findCredentials, holds, isNone } from '../../src/broker/authorize/credentials.ts'
import { Denied } from '../../src/broker/authorize/denial.ts'
import { refuseMisplaced, textsOf } from '../../src/broker/authorize/misplaced.ts'
import { grantFor, refuseStrangers } from '../../src/broker/authorize/ownership.ts'
import type { TaskGrant } from '../../src/broker/authorize/task.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Carrier } from '../../src/providers/guard.ts'
import type { Connection } from '../../src/providers/provider.ts'
import { MINTED, PHANTOM, REAL, request, thingsGuard } from './authorize-fixture.ts'

const CARRIERS: readonly Carrier[] = [
  { header: 'authorization', scheme: 'bearer' },
  { header: 'authorization', scheme: 'basic' },
  { header: 'x-key', scheme: 'raw' },
]

type Fields = readonly (readonly [name: string, value: string])[]
const find = (fields: Fields, query?: string) => findCredentials({ fields, query }, CARRIERS)
const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`

function denied(act: () => unknown) {
  try {
    act()
  } catch (error) {
    if (error instanceof Denied) return error.denial
    throw error
  }
  throw new Error('it was not denied')
}

describe('what looks like a credential', () => {
  for (const name of [
    ...[
      'cookie',
      'x-api-key',
      'x-apikey',
      'apikey',
      'x-auth-user',
      'x-auth-token',
      'private-token',
    ],
    ...[
      'x_auth_token',
      'x-amz-security-token',
      'x-client-secret',
      'x-access-key',
      'authentication',
    ],
    ...['x-railway-token', 'x-vault-token', 'x-jwt', 'x-forwarded-authorization', 'x-password'],
  ]) {
    it(`is a stranger in "${name}"`, () => {
      expect(find([[name, 'value']]).elsewhere).toEqual([
        { where: `header "${name}"`, value: 'value' },
      ])
    })
  }

  for (const name of [
    ...['content-type', 'accept', 'user-agent', 'x-request-id', 'authority', 'tokens-left', 'etag'],
    ...['sec-websocket-key', 'idempotency-key', 'x-source', 'secretary', 'x-author'],
  ]) {
    it(`is not seen in "${name}"`, () => {
      expect(isNone(find([[name, 'value']]))).toBe(true)
    })
  }

  for (const name of [
    ...[
      'access_token',
      'token',
      'api_key',
      'apikey',
      'api-key',
      'auth',
      'password',
      'session_token',
    ],
    ...['client_secret', 'id_token', 'ACCESS_TOKEN', 'jwt', 'signature'],
  ]) {
    it(`is a stranger in the query as "${name}", escaped or not`, () => {
      const value = [{ where: 'the query', value: 'v' }]
      expect(find([], `a=b&${name}=v`).elsewhere).toEqual(value)
      const escaped = `%${name.charCodeAt(0).toString(16)}${name.slice(1)}`
      expect(find([], `${escaped}=v`).elsewhere).toEqual(value)
    })
  }

  it('is not an empty one: a variable that is not set is no key', () => {
    for (const value of ['', ' ', 'Bearer', 'bearer ', 'Basic ']) {
      expect(
        isNone(
          find(
            [
              ['authorization', value],
              ['x-key', ''],
              ['cookie', ''],
            ],
            'token=',
          ),
        ),
      ).toBe(true)
    }
  })
})

describe('readings', () => {
  const readings = (value: string) => find([['authorization', value]]).carried[0]?.readings

  it('are of the scheme alone, whatever its letters', () => {
    expect(readings('Bearer abc')).toEqual(['abc'])
    expect(readings('bEARER  abc')).toEqual(['abc'])
    expect(readings(basic('user:pass'))).toEqual(['user', 'pass'])
    expect(readings(basic(':pass'))).toEqual(['pass'])
    expect(readings(basic('user:'))).toEqual(['user'])
    expect(readings(basic('user:a:b'))).toEqual(['user', 'a:b'])
  })

  it('are none where it is something else', () => {
    for (const value of ['abc', 'Token abc', 'Bearer a b', 'Bearer\tabc', basic('nothing')]) {
      expect(readings(value)).toEqual([])
    }
  })

  it('are told apart from what is fingerprinted, which has no wrapping', () => {
    const values = ['Bearer key', basic('me:key'), 'Token key', 'Bearer\tkey', 'key'].map(
      (value) => find([['authorization', value]]).carried[0]?.value,
    )
    expect(new Set(values)).toEqual(new Set(['key']))
  })

  it('hold a secret only whole and exactly', () => {
    const secret = new Secret('key')
    expect(holds(['other', 'key'], secret)).toBe(true)
    for (const reading of ['', 'ke', 'keys', 'KEY', ' key'])
      expect(holds([reading], secret)).toBe(false)
    expect(holds([], secret)).toBe(false)
  })
})

const grant = {
  guard: thingsGuard({ carriers: CARRIERS }),
  provider: { variables: () => ['THINGS_KEY', 'THINGS_PLACE'] },
  variables: ['THINGS_KEY'],
  target: {},
  proxied: { phantom: new Secret(PHANTOM), minted: new Secret(MINTED) },
} as unknown as TaskGrant
const known = { provider: 'things', guard: grant.guard, grants: [grant] }
const own = (fields: Fields, query?: string) => grantFor(known, find(fields, query))

describe('whose credential it is', () => {
  it('is asked for by the name of its variable where there is none', () => {
    expect(denied(() => own([]))).toMatchObject({
      code: 'credential_missing',
      next: "send the one in this task's environment (THINGS_KEY)",
    })
  })

  const foreign: readonly (readonly [string, Fields, string?])[] = [
    ['a key found somewhere', [['x-key', 'stolen']]],
    [
      'a key beside its own',
      [
        ['x-key', PHANTOM],
        ['authorization', 'Bearer stolen'],
      ],
    ],
    [
      'a key before its own',
      [
        ['authorization', 'Bearer stolen'],
        ['x-key', PHANTOM],
      ],
    ],
    [
      'a key in a cookie beside its own',
      [
        ['x-key', PHANTOM],
        ['cookie', 'stolen'],
      ],
    ],
    ['a key in the query beside its own', [['x-key', PHANTOM]], 'token=stolen'],
    ['a key in a cookie alone', [['cookie', 'stolen']]],
  ]
  for (const [name, fields, query] of foreign) {
    it(`is foreign: ${name}`, () => {
      expect(denied(() => own(fields, query))).toMatchObject({
        code: 'foreign_credential',
        foreign: 'stolen',
      })
    })
  }

  it('is not accepted twice, but that is no key that was found', () => {
    const twice = denied(() =>
      own([
        ['x-key', PHANTOM],
        ['authorization', `Bearer ${PHANTOM}`],
      ]),
    )
    expect(twice).toMatchObject({ code: 'foreign_credential', foreign: undefined })
  })

  it('is its own in every carrier', () => {
    expect(own([['x-key', PHANTOM]])).toBe(grant)
    expect(own([['authorization', `Bearer ${PHANTOM}`]])).toBe(grant)
    expect(own([['authorization', basic(`git:${PHANTOM}`)]])).toBe(grant)
    expect(own([['authorization', basic(`${PHANTOM}:`)]])).toBe(grant)
  })

  it('never stands in what is said about it', () => {
    const { foreign: value, ...said } = denied(() => own([['x-key', 'stolen']]))
    expect(value).toBe('stolen')
    expect(JSON.stringify(said)).not.toContain('stolen')
  })

  it('does not matter to a provider that was not granted: any is refused', () => {
    const strange = denied(() => refuseStrangers(find([['x-key', PHANTOM]]), 'things'))
    expect(strange).toMatchObject({ code: 'provider_not_granted', foreign: PHANTOM })
    expect(() => refuseStrangers(find([]), 'things')).not.toThrow()
  })
})

describe('a credential in the wrong place', () => {
  const connection = { name: 'c', secret: new Secret(REAL), settings: {} } as unknown as Connection
  const misplaced = (changes: Parameters<typeof request>[1], path = '/look/t1') =>
    denied(() => refuseMisplaced(textsOf(request(path, changes), grant), grant, connection))
  const percent = (text: string) =>
    [...text].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join('')

  const places: readonly (readonly [string, (secret: string) => Parameters<typeof request>[1]])[] =
    [
      ['the query', (secret) => ({ query: `a=x${secret}x` })],
      ['the query, escaped', (secret) => ({ query: `a=${percent(secret)}` })],
      [
        'the query, behind an escape that is no text',
        (secret) => ({ query: `%ff${percent(secret)}` }),
      ],
      ['a field', (secret) => ({ fields: [['x-note', `see ${secret}`]] })],
      ['the name of a field', (secret) => ({ fields: [[secret, 'x']] })],
      ['the body', (secret) => ({ body: Buffer.from(`{"a":"${secret}"}`) })],
      ['a body that is no text', (secret) => ({ body: Buffer.from(`\xff${secret}`, 'latin1') })],
    ]
  for (const [name, changes] of places) {
    it(`is found in ${name}, and told where it is a real one`, () => {
      for (const secret of [REAL, MINTED]) {
        expect(misplaced(changes(secret))).toMatchObject({
          code: 'foreign_credential',
          foreign: secret,
        })
      }
      const phantom = misplaced(changes(PHANTOM))
      expect(phantom.code).toBe('foreign_credential')
      expect(phantom.foreign).toBeUndefined()
    })
  }

  it('is found in the path', () => {
    expect(misplaced({}, `/look/${REAL}`).foreign).toBe(REAL)
    expect(misplaced({}, `/look/${percent(REAL)}`).foreign).toBe(REAL)
  })

  it('is fine where it belongs', () => {
    const texts = textsOf(request('/look/t1', { fields: [['x-key', PHANTOM]] }), grant)
    expect(() => refuseMisplaced(texts, grant, connection)).not.toThrow()
  })

  it('is never an empty one', () => {
    const none = { ...connection, secret: new Secret('') }
    const empty = { ...grant, proxied: { ...grant.proxied, minted: null, phantom: new Secret('') } }
    expect(() => refuseMisplaced(['anything', Buffer.from('x')], empty, none)).not.toThrow()
  })
})
