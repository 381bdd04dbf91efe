import { beforeAll, describe, expect, it } from 'vitest'
import type { IssuerAnswer } from '../../src/identity/oidc/issuer-fetch.ts'
import { IssuerKeys } from '../../src/identity/oidc/issuer-keys.ts'
import { Issuers } from '../../src/identity/oidc/issuers.ts'
import { freshFor } from '../../src/identity/oidc/key-timing.ts'
import { TokenRefused } from '../../src/identity/oidc/refused.ts'
import { makeTestKey, published, type TestKey } from '../fixtures/oidc-issuer.ts'

const ISSUER = 'https://ci.example'
const MINUTE = 60_000

let one: TestKey
let two: TestKey
beforeAll(() => {
  one = makeTestKey('one')
  two = makeTestKey('two')
})

/** An issuer without a network, and a clock that is moved by hand. */
class Bench {
  now = 1_000_000_000
  asked: string[] = []
  keys: readonly TestKey[] = [one]
  cacheControl = 'max-age=600'
  down = false
  /** Answers wait for this. */
  gate: Promise<void> = Promise.resolve()
  readonly issuer = new IssuerKeys(
    ISSUER,
    (url) => this.#fetch(url),
    () => this.now,
  )

  async #fetch(url: string): Promise<IssuerAnswer> {
    this.asked.push(url.slice(ISSUER.length))
    await this.gate
    if (this.down) throw new TokenRefused('issuer_unreachable', 'the issuer could not be reached')
    const body = url.endsWith('/jwks')
      ? { keys: this.keys.map((key) => published(key)) }
      : { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` }
    return { cacheControl: this.cacheControl, body: Buffer.from(JSON.stringify(body)) }
  }

  /** `found`, or the reason why not. */
  async look(kid: string | null): Promise<string> {
    try {
      await this.issuer.key('RS256', kid)
      return 'found'
    } catch (error) {
      return error instanceof TokenRefused ? error.reason : 'another error'
    }
  }

  /** The paths asked for since the last time. */
  since(): readonly string[] {
    const asked = [...this.asked]
    this.asked = []
    return asked
  }
}

async function warmed(): Promise<Bench> {
  const bench = new Bench()
  expect(await bench.look('one')).toBe('found')
  expect(bench.since()).toEqual(['/.well-known/openid-configuration', '/jwks'])
  return bench
}

/** Lets what goes on beside the work come to its end. */
const settled = () => new Promise((done) => setImmediate(done))

describe('the keys of an issuer', () => {
  it('are not asked for again by a flood of unknown key ids', async () => {
    const bench = await warmed()
    const flood = Array.from({ length: 200 }, (_, at) => bench.look(`nobody-${at}`))
    expect(new Set(await Promise.all(flood))).toEqual(new Set(['key_unknown']))
    for (let at = 0; at < 50; at++) expect(await bench.look(`nobody-${at}`)).toBe('key_unknown')
    expect(bench.since()).toEqual(['/jwks'])
    bench.now += MINUTE - 1
    expect(await bench.look('nobody')).toBe('key_unknown')
    expect(bench.since()).toEqual([])
    bench.now += 1
    expect(await bench.look('nobody')).toBe('key_unknown')
    expect(bench.since()).toEqual(['/jwks'])
  })

  it('are not asked for twice for the first token of all', async () => {
    const bench = new Bench()
    expect(await bench.look('nobody')).toBe('key_unknown')
    expect(bench.since()).toEqual(['/.well-known/openid-configuration', '/jwks'])
  })

  it('are asked for at once when the issuer signs with a new one', async () => {
    const bench = await warmed()
    bench.keys = [one, two]
    bench.now += 1000
    expect(await bench.look('two')).toBe('found')
    expect(bench.since()).toEqual(['/jwks'])
    expect(await bench.look('one')).toBe('found')
    expect(bench.since()).toEqual([])
  })

  it('that the issuer withdrew are gone when its answer is no longer fresh', async () => {
    const bench = await warmed()
    bench.keys = [two]
    bench.now += 10 * MINUTE
    expect(await bench.look('one')).toBe('key_unknown')
    expect(bench.since()).toEqual(['/jwks'])
  })

  it('are fetched ahead of time while they are in use, and nobody waits for it', async () => {
    const bench = await warmed()
    let open = () => {}
    bench.gate = new Promise((done) => {
      open = done
    })
    bench.now += 9 * MINUTE
    expect(await bench.look('one')).toBe('found')
    expect(bench.since()).toEqual(['/jwks'])
    open()
    await settled()
    bench.now += 5 * MINUTE
    expect(await bench.look('one')).toBe('found')
    expect(bench.since()).toEqual([])
  })

  it('work on when the issuer is down, and are asked for every ten seconds', async () => {
    const bench = await warmed()
    bench.down = true
    bench.now += 20 * MINUTE
    for (let at = 0; at < 20; at++) expect(await bench.look('one')).toBe('found')
    expect(bench.since()).toEqual(['/jwks'])
    bench.now += 10_000
    for (let at = 0; at < 20; at++) expect(await bench.look('one')).toBe('found')
    await settled()
    expect(bench.since()).toEqual(['/jwks'])
  })

  it('are not waited for by anyone while an outage is known', async () => {
    const bench = await warmed()
    bench.down = true
    bench.now += 20 * MINUTE
    expect(await bench.look('one')).toBe('found')
    bench.now += 11_000
    bench.gate = new Promise(() => {})
    expect(await bench.look('one')).toBe('found')
    expect(bench.since()).toEqual(['/jwks', '/jwks'])
  })

  it('are of no use an hour after the issuer was last heard, and that is explained', async () => {
    const bench = await warmed()
    bench.down = true
    bench.now += 60 * MINUTE - 1
    expect(await bench.look('one')).toBe('found')
    bench.now += 10_001
    expect(await bench.look('one')).toBe('issuer_unreachable')
    bench.since()
    expect(await bench.look('one')).toBe('issuer_unreachable')
    expect(bench.since()).toEqual([])
    bench.down = false
    bench.now += 10_000
    expect(await bench.look('one')).toBe('found')
  })

  it('that are not known because the issuer is down are not called unknown', async () => {
    const bench = await warmed()
    bench.down = true
    expect(await bench.look('two')).toBe('issuer_unreachable')
    expect(await bench.look('three')).toBe('issuer_unreachable')
    expect(bench.since()).toEqual(['/jwks'])
    bench.down = false
    bench.keys = [one, two]
    bench.now += MINUTE
    expect(await bench.look('two')).toBe('found')
  })

  it('are not kept longer by a clock that was set back', async () => {
    const bench = await warmed()
    bench.keys = [two]
    bench.now -= 24 * 60 * MINUTE
    expect(await bench.look('one')).toBe('key_unknown')
    expect(bench.since()).toEqual(['/.well-known/openid-configuration', '/jwks'])
  })

  it('need no key id when there is one alone, and need one when there are two', async () => {
    const bench = await warmed()
    expect(await bench.look(null)).toBe('found')
    bench.keys = [one, two]
    bench.now += 11 * MINUTE
    expect(await bench.look(null)).toBe('key_ambiguous')
  })

  it('are looked up again at the address that the metadata names, after an hour', async () => {
    const bench = await warmed()
    bench.now += 61 * MINUTE
    expect(await bench.look('one')).toBe('found')
    expect(bench.since()).toEqual(['/.well-known/openid-configuration', '/jwks'])
  })
})

describe('all issuers', () => {
  const world = (plainLoopback: boolean) => {
    const asked: string[] = []
    const fetch = async (url: string): Promise<IssuerAnswer> => {
      asked.push(url)
      throw new TokenRefused('issuer_unreachable', 'the issuer could not be reached')
    }
    return { asked, issuers: new Issuers({ fetch, now: () => 0, plainLoopback }) }
  }

  it('in plain http are asked only on this machine, and only when that was said', async () => {
    const strict = world(false)
    for (const issuer of ['http://127.0.0.1:9000', 'http://ci.example', 'ftp://ci.example', 'ci']) {
      const asking = strict.issuers.key(issuer, 'RS256', 'one')
      await expect(asking).rejects.toMatchObject({ reason: 'issuer_insecure' })
    }
    expect(strict.asked).toEqual([])
    const loose = world(true)
    const away = loose.issuers.key('http://ci.example', 'RS256', 'one')
    await expect(away).rejects.toMatchObject({ reason: 'issuer_insecure' })
    const here = loose.issuers.key('http://127.0.0.1:9000', 'RS256', 'one')
    await expect(here).rejects.toMatchObject({ reason: 'issuer_unreachable' })
    expect(loose.asked).toEqual(['http://127.0.0.1:9000/.well-known/openid-configuration'])
  })

  it('are warmed without one holding up the others, and say why they cannot be', async () => {
    const { issuers } = world(false)
    const trusted = new Map([
      ['https://a.example', new Set(['us'])],
      ['http://127.0.0.1', new Set(['us'])],
    ])
    const failures = await issuers.warm(trusted)
    const reasons = [...failures].map(([issuer, { reason }]) => `${issuer} ${reason}`)
    expect(reasons.sort()).toEqual([
      'http://127.0.0.1 issuer_insecure',
      'https://a.example issuer_unreachable',
    ])
  })
})

describe('how long an answer is fresh', () => {
  it.each([
    ['', 10 * MINUTE],
    ['max-age=0', MINUTE],
    ['public, max-age=120', 2 * MINUTE],
    ['max-age=86400, must-revalidate', 10 * MINUTE],
    ['max-age=99999999999999999999', 10 * MINUTE],
    ['s-maxage=1', 10 * MINUTE],
    ['no-store', MINUTE],
    ['no-cache, max-age=300', MINUTE],
    ['max-age="180"', 3 * MINUTE],
    ['max-age=-5', 10 * MINUTE],
  ])('%j gives %d ms', (header, expected) => {
    expect(freshFor(header)).toBe(expected)
  })
})
