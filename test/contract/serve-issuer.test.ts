// Issuers that misbehave, seen from the job and from whoever reads the audit log of the real server.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type Answer,
  makeTestKey,
  published,
  signToken,
  type TestKey,
} from '../fixtures/oidc-issuer.ts'
import { Served } from '../fixtures/serve.ts'
import { exchangeOf, jobClaims, policy, post, restart } from './serve-world.ts'

let served: Served
let other: TestKey
beforeAll(async () => {
  other = makeTestKey('key-two')
  served = await Served.start(policy)
})
afterAll(() => served?.dispose())
beforeEach(() => {
  served.issuer.answers.clear()
  served.issuer.keys = [published(served.signer)]
})

const sign = (key: TestKey = served.signer) =>
  signToken(key, jobClaims(served.issuer.url, served.url))
const ask = async (key?: TestKey) => post(served, '/oauth/token', exchangeOf(await sign(key)))

/** Forgets the keys, and asks for them again at its start. */
async function restarted(path: string, answer: Answer): Promise<void> {
  await served.stop()
  served.issuer.answers.set(path, answer)
  served.issuer.asked.length = 0
  await served.launch()
}

const redirect: Answer = (_, response) =>
  response.writeHead(302, { location: 'https://evil.example/' }).end()

const tenMegabytes: Answer = (_, response) => {
  response.end(`{"keys":[{"kty":"RSA","kid":"${'x'.repeat(10_000_000)}"}]}`)
}

const failing: Answer = (_, response) => response.writeHead(500).end('canary-of-the-issuer')

async function newest(): Promise<{ readonly type: string; readonly data: { reason: string } }> {
  const { entries } = await served.json<{ entries: never[] }>(['audit', 'list', '--since', '1h'])
  return entries.at(-1) ?? { type: 'none', data: { reason: 'none' } }
}

const ROWS = [
  { name: 'discovery redirects', at: 'metadata', answer: redirect, reason: 'issuer_redirects' },
  { name: 'keys redirect', at: 'keys', answer: redirect, reason: 'issuer_redirects' },
  { name: 'keys are 10 MB', at: 'keys', answer: tenMegabytes, reason: 'issuer_too_large' },
  { name: 'keys cannot be had', at: 'keys', answer: failing, reason: 'issuer_failed' },
  { name: 'discovery fails', at: 'metadata', answer: failing, reason: 'issuer_failed' },
] as const

describe('a token of an issuer whose', () => {
  it.each(ROWS)('$name: try again later, and the audit log says why', async (row) => {
    const { metadataPath, keysPath } = served.issuer
    await restarted(row.at === 'keys' ? keysPath : metadataPath, row.answer)
    const { status, headers, body, text } = await ask()
    expect([status, body['error']]).toEqual([503, 'temporarily_unavailable'])
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect(text).not.toMatch(/canary|redirect|10|127\.0\.0\.1/)
    expect(await newest()).toMatchObject({ type: 'exchange.refused', data: { reason: row.reason } })
    // At the start and for the token, at the most: the metadata once, then its keys.
    expect(served.issuer.asked.length).toBeLessThanOrEqual(3)
    expect(await newest()).not.toMatchObject({
      data: { message: expect.stringContaining('canary') },
    })
  })

  it('keys are known to us: an outage does not concern it', async () => {
    await restart(served)
    expect((await ask()).status).toBe(200)
    const { metadataPath, keysPath } = served.issuer
    for (const path of [metadataPath, keysPath]) served.issuer.answers.set(path, failing)
    for (let round = 0; round < 5; round++) expect((await ask()).status).toBe(200)
    // One that nobody has shown us yet cannot be had now.
    expect((await ask(other)).status).toBe(503)
    expect((await ask()).status).toBe(200)
  })

  it('key was changed: the new one counts at once, and unknown ones do not make us ask for each', async () => {
    await restart(served)
    expect((await ask()).status).toBe(200)
    served.issuer.keys = [published(other)]
    expect((await ask(other)).status).toBe(200)
    const before = served.issuer.asked.length
    for (let round = 0; round < 30; round++) {
      const { status, body } = await ask({ ...served.signer, kid: randomUUID() })
      expect([status, body['error_description']]).toEqual([
        400,
        'the subject token is not accepted',
      ])
    }
    expect(served.issuer.asked.length - before).toBeLessThanOrEqual(1)
  })
})
