import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { isBrokerError } from '../../src/errors.ts'
import type { LeaseId } from '../../src/lib/ids.ts'
import { Secret } from '../../src/lib/secret.ts'
import { asFailure } from '../../src/providers/postgres/failure.ts'
import { leaseOf, roleName } from '../../src/providers/postgres/names.ts'
import { createPostgres } from '../../src/providers/postgres/provider.ts'
import { scramVerifier } from '../../src/providers/postgres/scram.ts'
import { parseTarget } from '../../src/providers/postgres/target.ts'
import { tlsOptions } from '../../src/providers/postgres/tls.ts'
import { addressOf, parseUrl, type Server } from '../../src/providers/postgres/url.ts'
import { clientVariables } from '../../src/providers/postgres/variables.ts'

const LEASE: LeaseId = `lse_${'0123456789abcdefghjkmnpqrs'}`

function connection(url: string, settings = {}) {
  return { name: 'pg', secret: new Secret(url), settings }
}

function thrown(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('a connection URL', () => {
  const refused = {
    'is of another scheme': 'mysql://u:p@h/d',
    'names no role': 'postgresql://h/d',
    'names no host': 'postgresql://u:p@/d',
    'names two hosts': 'postgresql://u:p@one,two/d',
    'has an unescaped @ in the password': 'postgresql://u:p@ss@h/d',
    'has an unescaped ? in the password': 'postgresql://u:p?ss@h/d',
    'has an unescaped ? after digits': 'postgresql://u:12?ss@h/d',
    'has an unescaped # in the password': 'postgresql://u:p#ss@h/d',
    'has an unescaped / in the password': 'postgresql://u:p/ss@h/d',
    'has a bad escape': 'postgresql://u:p%zz@h/d',
    'has an escaped NUL': 'postgresql://u:p%00@h/d',
    'has a line break': 'postgresql://u:p@h/d\n',
    'has port 0': 'postgresql://u:p@h:0/d',
    'has a port that is none': 'postgresql://u:p@h:65536/d',
    'has an unknown sslmode': 'postgresql://u:p@h/d?sslmode=yes',
    'has an unknown parameter': 'postgresql://u:p@h/d?sslkey=x',
    'has a parameter twice': 'postgresql://u:p@h/d?sslmode=require&sslmode=disable',
    'is empty': '',
  }
  it.for(Object.entries(refused))('is refused when it %s', ([, url]) => {
    expect(thrown(() => parseUrl(connection(url)))).toMatchObject({ code: 'invalid_request' })
  })

  it('never appears in its own refusal, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 6 }),
        fc.constantFrom('', 'postgresql://', 'postgresql://u:'),
        (noise, start) => {
          try {
            parseUrl(connection(`${start}${noise}`))
          } catch (error) {
            expect(isBrokerError(error)).toBe(true)
            const { message, hint, details } = error as Record<string, unknown>
            const shown = JSON.stringify([message, hint, details]) + inspect(error)
            // Short pieces of ordinary text occur by chance.
            if (/[^ -~]|\d{4}/.test(noise)) expect(shown).not.toContain(noise)
          }
        },
      ),
    )
  })

  it('is read as libpq reads it', () => {
    const read = (url: string) => {
      const { password, ...rest } = parseUrl(connection(url))
      return { ...rest, password: password.reveal() }
    }
    const plain = { port: 5432, sslMode: null, sslRootCert: null, ca: null }
    expect(read('postgres://u@h')).toEqual({
      ...plain,
      host: 'h',
      user: 'u',
      password: '',
      database: 'u',
    })
    expect(
      read('postgresql://a%40b:p%3F%2F%23@[::1]:6000/d%20b?sslmode=verify-full&sslrootcert=%2Fca'),
    ).toEqual({
      host: '::1',
      port: 6000,
      user: 'a@b',
      password: 'p?/#',
      database: 'd b',
      sslMode: 'verify-full',
      sslRootCert: '/ca',
      ca: null,
    })
    expect(read('postgresql://u:p@%2Fvar%2Frun/d')).toMatchObject({ host: '/var/run' })
    expect(read('postgresql://u:p@/d?host=/var/run&port=7')).toMatchObject({
      host: '/var/run',
      port: 7,
    })
  })

  it('takes the CA file of the connection, and no setting it does not know', () => {
    const { sslRootCert } = parseUrl(connection('postgresql://u:p@h/d', { caFile: '/ca.pem' }))
    expect(sslRootCert).toBe('/ca.pem')
    const provider = createPostgres()
    provider.parseConnection?.(
      connection('postgresql://u:p@h/d', { url: 'https://x', caFile: '/c' }),
    )
    expect(
      thrown(() =>
        provider.parseConnection?.(connection('postgresql://u:p@h/d', { pooled: true })),
      ),
    ).toMatchObject({ code: 'invalid_request', message: 'postgres has no setting "pooled"' })
  })

  it('trusts the sealed certificates and not what lies at their path now', () => {
    const sealed = (url: string) => ({
      ...connection(url, { caFile: '/nowhere/replaced.pem' }),
      ca: 'SEALED',
    })
    const tls = (url: string) => tlsOptions('pg', parseUrl(sealed(url)))
    expect(tls('postgresql://u:p@h/d?sslmode=verify-full')).toEqual({ ca: 'SEALED' })
    expect(tls('postgresql://u:p@h/d?sslmode=verify-ca')).toMatchObject({ ca: 'SEALED' })
    expect(tls('postgresql://u:p@h/d?sslmode=require')).toMatchObject({ ca: 'SEALED' })
    // What the secret itself says goes before a setting.
    expect(
      thrown(() => tls('postgresql://u:p@h/d?sslmode=require&sslrootcert=/none')),
    ).toMatchObject({
      code: 'provider_failed',
      message: 'the CA file of "pg" cannot be read',
    })
    expect(tls('postgresql://u:p@h/d?sslrootcert=system&sslmode=verify-full')).toEqual({})
  })

  it('checks the server in full when certificates are given and no sslmode', () => {
    const given = { ...connection('postgresql://u:p@h/d', { caFile: '/ca.pem' }), ca: 'SEALED' }
    expect(tlsOptions('pg', parseUrl(given))).toEqual({ ca: 'SEALED' })
    const local = { ...connection('postgresql://u:p@127.0.0.1/d'), ca: 'SEALED' }
    expect(tlsOptions('pg', parseUrl(local))).toEqual({ ca: 'SEALED' })
  })

  it('goes over a network in clear only when it says sslmode=disable', () => {
    const tls = (url: string) => tlsOptions('pg', parseUrl(connection(url)))
    expect(tls('postgresql://u:p@db.example/d?sslmode=disable')).toBe(false)
    for (const mode of ['', '?sslmode=allow', '?sslmode=prefer', '?sslmode=require']) {
      expect(tls(`postgresql://u:p@db.example/d${mode}`), mode).toEqual({
        rejectUnauthorized: false,
      })
    }
    expect(tls('postgresql://u:p@db.example/d?sslmode=verify-full')).toEqual({})
    expect(tls('postgresql://u:p@127.0.0.1/d')).toBe(false)
    expect(tls('postgresql://u:p@127.0.0.1/d?sslmode=verify-full')).toEqual({})
    expect(tls('postgresql://u:p@%2Frun/d?sslmode=require')).toBe(false)
    expect(
      thrown(() => tls('postgresql://u:p@h/d?sslmode=verify-ca&sslrootcert=/nowhere')),
    ).toMatchObject({
      code: 'provider_failed',
      message: 'the CA file of "pg" cannot be read',
    })
  })
})

describe('a target', () => {
  const refused: readonly (readonly [string, object, (string | number)[], RegExp])[] = [
    ['an unknown key', { schema: ['x'] }, ['schema'], /did you mean "schemas"\?/],
    ['schemas that are no list', { schemas: 'public' }, ['schemas'], /write schemas:/],
    ['an empty list', { tables: [] }, ['tables'], /write tables:/],
    ['a name that is no text', { schemas: ['a', 1] }, ['schemas', 1], /a name is/],
    ['a name with a NUL', { schemas: ['a\0'] }, ['schemas', 0], /a name is/],
    ['a name that is too long', { schemas: ['é'.repeat(32)] }, ['schemas', 0], /63 bytes/],
    ['the schema of password hashes', { schemas: ['pg_catalog'] }, ['schemas', 0], /your own/],
    [
      'a table of the server itself',
      { tables: ['pg_catalog.pg_authid'] },
      ['tables', 0],
      /your own/,
    ],
    ['a quoted system schema', { tables: ['"pg_catalog".pg_authid'] }, ['tables', 0], /your own/],
    [
      'a table outside the schemas',
      { schemas: ['a'], tables: ['b.t'] },
      ['tables', 0],
      /add it to schemas/,
    ],
    ['three parts', { tables: ['a.b.c'] }, ['tables', 0], /as in SQL/],
    ['an open quote', { tables: ['"a'] }, ['tables', 0], /as in SQL/],
    ['no connections', { connectionLimit: 0 }, ['connectionLimit'], /1 to 1000/],
    ['connections without end', { connectionLimit: -1 }, ['connectionLimit'], /1 to 1000/],
    ['half a connection', { connectionLimit: 1.5 }, ['connectionLimit'], /1 to 1000/],
    ['a database that is no name', { database: '' }, ['database'], /a name is/],
  ]
  it.for(refused)('is refused with %s', ([, target, path, hint]) => {
    expect(thrown(() => parseTarget(target as never))).toMatchObject({
      code: 'config_invalid',
      details: { path },
      hint: expect.stringMatching(hint),
    })
  })

  it('has defaults', () => {
    expect(parseTarget({})).toEqual({
      schemas: ['public'],
      tables: null,
      database: null,
      connectionLimit: 5,
    })
  })

  it('takes table names as SQL writes them, or literally', () => {
    expect(parseTarget({ tables: ['a', `b.c"d`, '"x.y"."z"""', `;'`] })).toMatchObject({
      schemas: ['public', 'b', 'x.y'],
      tables: [
        { schema: null, name: 'a' },
        { schema: 'b', name: 'c"d' },
        { schema: 'x.y', name: 'z"' },
        { schema: null, name: `;'` },
      ],
    })
    expect(parseTarget({ tables: ['app.t'] }).schemas).toEqual(['app'])
  })
})

describe('the name of a role', () => {
  it('fits PostgreSQL, differs by grant, and tells the lease', () => {
    const name = roleName('0a1b2c3d', LEASE, 'db')
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63)
    expect(name).toMatch(/^broker_0a1b2c3d_0123456789abcdefghjkmnpqrs_[0-9a-f]{8}$/)
    expect(roleName('0a1b2c3d', LEASE, 'x'.repeat(500))).toHaveLength(name.length)
    expect(roleName('0a1b2c3d', LEASE, 'db2')).not.toBe(name)
    expect(leaseOf('0a1b2c3d', name)).toBe(LEASE)
    expect(leaseOf('0a1b2c3e', name)).toBeNull()
    expect(leaseOf('0a1b2c3d', 'broker_0a1b2c3d_mine')).toBeNull()
  })
})

describe('a verifier', () => {
  it('is what RFC 5802 derives, with a salt of its own', async () => {
    const one = await scramVerifier(new Secret('pencil'), randomBytes)
    const two = await scramVerifier(new Secret('pencil'), randomBytes)
    expect(one).not.toBe(two)
    const [, salt = '', stored = '', server = ''] =
      /^SCRAM-SHA-256\$4096:(.+)\$(.+):(.+)$/.exec(one) ?? []
    const salted = pbkdf2Sync('pencil', Buffer.from(salt, 'base64'), 4096, 32, 'sha256')
    const mac = (text: string) => createHmac('sha256', salted).update(text).digest()
    expect(stored).toBe(createHash('sha256').update(mac('Client Key')).digest('base64'))
    expect(server).toBe(mac('Server Key').toString('base64'))
  })
})

describe('the variables of a client', () => {
  function server(host: string): Server {
    return {
      host,
      port: 6000,
      user: 'admin',
      password: new Secret('never'),
      database: 'x',
      sslMode: null,
      sslRootCert: null,
      ca: null,
    }
  }

  it.for(['db.example', '::1', '/var/run/postgresql'])(
    'lead drivers to the same place: %s',
    (host) => {
      const database = `a b/c%f;g"h'ü` // this driver cannot take ? and # in it; libpq can
      const variables = clientVariables(server(host), database, 'ro le', new Secret('p@ss/w?rd#%'))
      const client = new pg.Client({ connectionString: variables['DATABASE_URL'] })
      expect({
        host: client.host,
        port: client.port,
        user: client.user,
        password: client.password,
        database: client.database,
      }).toEqual({
        host: variables['PGHOST'],
        port: Number(variables['PGPORT']),
        user: variables['PGUSER'],
        password: variables['PGPASSWORD'],
        database: variables['PGDATABASE'],
      })
      expect(JSON.stringify(variables)).not.toContain('never')
    },
  )

  it('hold the sslmode of the admin when its URL has one', () => {
    const secured: Server = { ...server('h'), sslMode: 'verify-full', sslRootCert: '/a b.pem' }
    const variables = clientVariables(secured, 'd', 'u', new Secret('p'))
    expect(variables).toMatchObject({
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: '/a b.pem',
      DATABASE_URL: 'postgresql://u:p@h:6000/d?sslmode=verify-full&sslrootcert=%2Fa%20b.pem',
    })
  })
})

describe('an error from upstream', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['28P01', 'provider_failed'],
    ['28000', 'provider_failed'],
    ['42501', 'provider_failed'],
    ['3D000', 'provider_failed'],
    ['XX000', 'provider_failed'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'provider_failed'],
    ['ECONNREFUSED', 'provider_unavailable'],
    ['ETIMEDOUT', 'provider_unavailable'],
    ['57P03', 'provider_unavailable'],
    ['53300', 'provider_unavailable'],
    ['08006', 'provider_unavailable'],
    ['55P03', 'provider_unavailable'],
    ['57014', 'provider_unavailable'],
    ['40P01', 'provider_unavailable'],
    ['40001', 'provider_unavailable'],
  ]
  it.for(rows)('%s is %s, in our own words', ([code, kind]) => {
    const failure = asFailure(Object.assign(new Error('Key (card)=(4111)'), { code }), 'pg')
    expect(failure).toMatchObject({ code: kind, details: { connection: 'pg', sqlstate: code } })
    expect(JSON.stringify([failure.message, failure.hint, failure.details])).not.toContain('4111')
    expect(failure.message).toMatch(/^the server of "pg" [a-z]/)
  })

  it('is read from the connection attempts of several addresses', () => {
    const attempt = Object.assign(new Error('x'), { code: 'ECONNREFUSED' })
    expect(asFailure(new AggregateError([attempt]), 'pg').code).toBe('provider_unavailable')
  })
})

describe('the addresses of servers', () => {
  it('put IPv6 into brackets', () => {
    expect(addressOf({ host: '::1', port: 1 })).toBe('[::1]:1')
    expect(addressOf({ host: 'h', port: 1 })).toBe('h:1')
  })
})
