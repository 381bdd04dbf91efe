import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TrustRule } from '../../src/core/trust/compile.ts'
import { createIssuerFetch } from '../../src/identity/oidc/issuer-fetch.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { gitlabClaims } from '../fixtures/oidc-claims.ts'
import { type Answer, published, signToken } from '../fixtures/oidc-issuer.ts'
import { corpusKeys, NOW, OidcWorld } from '../fixtures/oidc-world.ts'

let world: OidcWorld
let rules: readonly TrustRule[]
let token: string
beforeAll(async () => {
  world = await OidcWorld.open('', corpusKeys())
  rules = [world.rule({ project_id: '20' })]
  token = await signToken(world.keys.signer, gitlabClaims(world.issuer.url, NOW))
})
afterAll(() => world.close())

const METADATA = { id_token_signing_alg_values_supported: ['RS256'] }
beforeEach(() => {
  world.now = NOW
  world.issuer.answers.clear()
  world.issuer.metadata = METADATA
  world.issuer.cacheControl = null
  world.restart()
})

const json =
  (body: unknown): Answer =>
  (_, response) =>
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body))

const redirect =
  (to: string): Answer =>
  (_, response) =>
    response.writeHead(302, { location: to }).end()

/** 10 MB of keys, written for as long as someone reads; says how much was. */
function endless(sent: { bytes: number }): Answer {
  return (_, response) => {
    const piece = `${JSON.stringify({ kty: 'RSA', kid: 'x'.repeat(60_000) })},`
    response.write('{"keys":[')
    const write = () => {
      while (sent.bytes < 10_000_000 && !response.destroyed) {
        sent.bytes += piece.length
        if (!response.write(piece)) return void response.once('drain', write)
      }
      response.end('{}]}')
    }
    write()
  }
}

describe('an issuer whose metadata cannot be used', () => {
  const rows: readonly { name: string; answer: () => Answer; reason: string }[] = [
    {
      name: 'redirects to another host',
      answer: () => redirect('https://evil.example/.well-known/openid-configuration'),
      reason: 'issuer_redirects',
    },
    {
      name: 'redirects within itself',
      answer: () => redirect(`${world.issuer.origin}/elsewhere`),
      reason: 'issuer_redirects',
    },
    {
      name: 'is down',
      answer: () => (_, response) => response.writeHead(503).end('upstream secret-in-a-body'),
      reason: 'issuer_failed',
    },
    { name: 'is a web page', answer: () => (_, r) => r.end('<html>'), reason: 'issuer_metadata' },
    { name: 'is a list', answer: () => json([]), reason: 'issuer_metadata' },
    {
      name: 'is that of another issuer',
      answer: () =>
        json({ issuer: 'https://gitlab.com', jwks_uri: `${world.issuer.url}/jwks`, ...METADATA }),
      reason: 'issuer_metadata',
    },
    {
      name: 'is that of the same issuer with a slash',
      answer: () =>
        json({ issuer: `${world.issuer.url}/`, jwks_uri: `${world.issuer.url}/jwks`, ...METADATA }),
      reason: 'issuer_metadata',
    },
    {
      name: 'names two issuers',
      answer: () => (_, response) =>
        response.end(
          `{"issuer":"https://gitlab.com","issuer":"${world.issuer.url}","jwks_uri":"${world.issuer.url}/jwks"}`,
        ),
      reason: 'issuer_metadata',
    },
    {
      name: 'has no keys',
      answer: () => json({ issuer: world.issuer.url, ...METADATA }),
      reason: 'issuer_metadata',
    },
    {
      name: 'has its keys in the clear',
      answer: () =>
        json({ issuer: world.issuer.url, jwks_uri: 'http://127.0.0.1/jwks', ...METADATA }),
      reason: 'issuer_metadata',
    },
    {
      name: 'signs with shared secrets alone',
      answer: () =>
        json({
          issuer: world.issuer.url,
          jwks_uri: `${world.issuer.url}/jwks`,
          id_token_signing_alg_values_supported: ['HS256', 'none'],
        }),
      reason: 'issuer_metadata',
    },
    {
      name: 'is larger than any',
      answer: () => endless({ bytes: 0 }),
      reason: 'issuer_too_large',
    },
    {
      name: 'never ends',
      answer: () => (_, response) => void response.write('{'),
      reason: 'issuer_unreachable',
    },
  ]

  it.each(rows)('because it $name is asked once', async ({ answer, reason }) => {
    world.issuer.answers.set(world.issuer.metadataPath, answer())
    const found = [await world.judge(token, rules), await world.judge(token, rules)]
    expect(found).toEqual([reason, reason])
    expect(world.issuer.asked).toEqual([world.issuer.metadataPath])
  })

  it('is explained in our words and not in those of the issuer', async () => {
    world.issuer.answers.set(world.issuer.metadataPath, (_, response) =>
      response.writeHead(503).end('upstream secret-in-a-body'),
    )
    expect(await world.verify(token, rules)).toEqual({
      outcome: 'refused',
      reason: 'issuer_failed',
      message: 'the issuer answered with status 503',
    })
  })
})

describe('keys that cannot be used', () => {
  const rows: readonly { name: string; answer: () => Answer; reason: string }[] = [
    { name: 'a redirect', answer: () => redirect('/keys'), reason: 'issuer_redirects' },
    { name: 'no list', answer: () => json({ keys: {} }), reason: 'issuer_keys' },
    {
      name: 'a hundred and one',
      answer: () => json({ keys: Array.from({ length: 101 }, () => published(world.keys.signer)) }),
      reason: 'issuer_keys',
    },
    {
      name: 'the key twice',
      answer: () => json({ keys: [published(world.keys.signer), published(world.keys.signer)] }),
      reason: 'key_ambiguous',
    },
    {
      name: 'the key with its private half',
      answer: () =>
        json({
          keys: [
            {
              ...published(world.keys.signer),
              ...world.keys.signer.private.export({ format: 'jwk' }),
            },
          ],
        }),
      reason: 'key_unknown',
    },
    {
      name: 'the key as a shared secret',
      answer: () =>
        json({ keys: [{ kty: 'oct', k: 'AAAA', kid: world.keys.signer.kid, alg: 'RS256' }] }),
      reason: 'key_unknown',
    },
    {
      name: 'the key for another algorithm',
      answer: () => json({ keys: [published(world.keys.signer, { alg: 'RS512' })] }),
      reason: 'key_unknown',
    },
    {
      name: 'the key for other operations',
      answer: () => json({ keys: [published(world.keys.signer, { key_ops: ['encrypt'] })] }),
      reason: 'key_unknown',
    },
    {
      name: 'the key with an exponent that takes for ever',
      answer: () => json({ keys: [published(world.keys.signer, { e: 'A'.repeat(12) })] }),
      reason: 'key_unknown',
    },
    {
      name: 'a key of 16384 bits',
      answer: () =>
        json({
          keys: [
            published(world.keys.signer, { n: Buffer.alloc(2048, 0xff).toString('base64url') }),
          ],
        }),
      reason: 'key_unknown',
    },
    { name: 'none at all', answer: () => json({ keys: [] }), reason: 'key_unknown' },
  ]

  it.each(rows)('because there is $name are asked for once', async ({ answer, reason }) => {
    world.issuer.answers.set(world.issuer.keysPath, answer())
    expect(await world.judge(token, rules)).toBe(reason)
    expect(world.issuer.asked).toEqual([world.issuer.metadataPath, world.issuer.keysPath])
  })

  it('because there are 10 MB of them are not read to their end', async () => {
    const sent = { bytes: 0 }
    world.issuer.answers.set(world.issuer.keysPath, endless(sent))
    expect(await world.judge(token, rules)).toBe('issuer_too_large')
    expect(sent.bytes).toBeLessThan(5_000_000)
  })
})

describe('an issuer', () => {
  const claims = (): JsonObject => gitlabClaims(world.issuer.url, NOW)

  it('is not asked for tokens that are refused without a key', async () => {
    const other = await signToken(world.keys.signer, { ...claims(), aud: 'https://other.example' })
    expect(await world.judge(other, rules)).toBe('audience_other')
    expect(world.issuer.asked).toEqual([])
  })

  it('with a certificate that nobody vouches for is not reached', async () => {
    const fetch = createIssuerFetch({ ca: null, privateAddresses: true })
    await expect(fetch(world.issuer.url)).rejects.toMatchObject({
      reason: 'issuer_unreachable',
      message: "the issuer's certificate is not one we accept",
    })
    await fetch.close()
    expect(world.issuer.asked).toEqual([])
  })

  it('with the certificate of another name is not reached', async () => {
    const fetch = createIssuerFetch({
      ca: world.issuer.ca,
      privateAddresses: true,
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    })
    const url = world.issuer.url.replace('127.0.0.1', 'issuer.example')
    await expect(fetch(url)).rejects.toMatchObject({
      reason: 'issuer_unreachable',
      message: "the issuer's certificate is not one we accept",
    })
    await fetch.close()
  })

  it('at a private address is reached only when that was said', async () => {
    const addresses = ['127.0.0.1', '10.0.0.7', '169.254.169.254', '::ffff:192.168.0.1', 'fd00::1']
    for (const address of addresses) {
      const host = address.includes(':') ? `[${address}]` : address
      const named = createIssuerFetch({
        ca: world.issuer.ca,
        privateAddresses: false,
        // One that is public among them changes nothing.
        resolve: async () => [
          { address: '203.0.113.7', family: 4 },
          { address, family: address.includes(':') ? 6 : 4 },
        ],
      })
      for (const url of [`https://${host}:9/`, 'https://issuer.example:9/']) {
        await expect(named(url)).rejects.toMatchObject({ reason: 'issuer_private' })
      }
      await named.close()
    }
  })

  it('at a link-local address is reached in no case', async () => {
    const fetch = createIssuerFetch({
      ca: null,
      privateAddresses: true,
      resolve: async () => [{ address: '169.254.169.254', family: 4 }],
    })
    for (const url of [
      'https://169.254.169.254/',
      'https://metadata.example/',
      'https://[fe80::1]/',
    ]) {
      await expect(fetch(url)).rejects.toMatchObject({ reason: 'issuer_private' })
    }
    await fetch.close()
  })

  it('that has no address is explained', async () => {
    const fetch = createIssuerFetch({
      ca: null,
      privateAddresses: false,
      resolve: async () => {
        throw Object.assign(new Error('queryA'), { code: 'ENOTFOUND' })
      },
    })
    await expect(fetch('https://issuer.example/')).rejects.toMatchObject({
      reason: 'issuer_unreachable',
      message: "the issuer's host was not found",
    })
    await fetch.close()
  })

  it('that refuses connections is explained', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((done) => server.once('listening', done))
    const { port } = server.address() as AddressInfo
    await new Promise((done) => server.close(done))
    await expect(world.fetch(`https://127.0.0.1:${port}/`)).rejects.toMatchObject({
      reason: 'issuer_unreachable',
      message: 'the issuer could not be reached',
    })
  })

  it('is asked by many tokens at once with one question', async () => {
    const made = Array.from({ length: 50 }, (_, at) =>
      signToken(world.keys.signer, {
        ...claims(),
        jti: createHash('sha1').update(`${at}`).digest('hex'),
      }),
    )
    const found = await Promise.all((await Promise.all(made)).map((one) => world.judge(one, rules)))
    expect(new Set(found)).toEqual(new Set(['let in']))
    expect(world.issuer.asked).toEqual([world.issuer.metadataPath, world.issuer.keysPath])
  })
})
