import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TrustRule } from '../../src/core/trust/compile.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import {
  buildkiteClaims,
  circleciClaims,
  githubClaims,
  gitlabClaims,
} from '../fixtures/oidc-claims.ts'
import { type BadToken, badTokens, type CorpusKeys } from '../fixtures/oidc-corpus.ts'
import { KINDS } from '../fixtures/oidc-corpus-kinds.ts'
import { craft, signToken } from '../fixtures/oidc-issuer.ts'
import { corpusKeys, NOW, OidcWorld } from '../fixtures/oidc-world.ts'

let keys: CorpusKeys
beforeAll(() => {
  keys = corpusKeys()
})

describe.each(KINDS)('a bad identity token of $kind', ({ kind, path, claims, rule }) => {
  let world: OidcWorld
  let rules: readonly TrustRule[]
  let corpus: readonly BadToken[]
  let good: JsonObject

  beforeAll(async () => {
    world = await OidcWorld.open(path, keys)
    rules = [world.rule(rule)]
    good = claims(world.issuer.url, NOW)
    corpus = badTokens(kind, { keys, good, named: Object.keys(rule) })
  })
  afterAll(() => world.close())

  it('is refused for its own reason, without asking the issuer once more than it has to', async () => {
    expect(await world.judge(await signToken(keys.signer, good), rules)).toBe('let in')
    expect(corpus.length).toBeGreaterThanOrEqual(200)
    expect(new Set(corpus.map(({ name }) => name)).size).toBe(corpus.length)
    const wrong: string[] = []
    let most = 0
    const before = world.issuer.asked.length
    for (const { name, token, reason } of corpus) {
      const asked = world.issuer.asked.length
      const found = await world.judge(token, rules)
      if (found !== reason) wrong.push(`${name}: ${found}, not ${reason}`)
      most = Math.max(most, world.issuer.asked.length - asked)
    }
    expect(wrong).toEqual([])
    expect(most).toBeLessThanOrEqual(1)
    // Whoever names keys that nobody knows makes us look for them once, not once for each.
    expect(world.issuer.asked.slice(before)).toEqual([world.issuer.keysPath])
    expect(await world.judge(await signToken(keys.signer, good), rules)).toBe('let in')
  })

  it('that was good until now is refused the second time, also within the leeway', async () => {
    const token = await signToken(keys.signer, good)
    const used = new Map<string, number>()
    const present = async () => {
      const verification = await world.verify(token, rules)
      if (verification.outcome === 'refused') return verification.reason
      const { id, keepUntil } = verification.identity
      for (const [old, until] of used) if (until <= world.now) used.delete(old)
      if (used.has(id)) return 'used'
      used.set(id, keepUntil)
      return 'let in'
    }
    const end = Number(good['exp']) * 1000
    const found: string[] = []
    for (const at of [NOW, NOW, end, end + 29_999, end + 30_000, end + 120_000]) {
      world.now = at
      found.push(await present())
    }
    world.now = NOW
    expect(found).toEqual(['let in', 'used', 'used', 'used', 'expired', 'expired'])
  })
})

describe('a good identity token', () => {
  const GOOD = [
    {
      name: 'of GitHub, with a sub of names',
      path: '/_services/token',
      claims: githubClaims,
      rule: { repository_id: '456789', repository_owner_id: '123456', ref: 'refs/heads/main' },
    },
    {
      name: 'of GitHub, with a sub of ids',
      path: '/_services/token',
      claims: (iss: string, now: number) => ({
        ...githubClaims(iss, now),
        sub: 'repo:octo-org@123456/my-repo@456789:ref:refs/heads/main',
      }),
      rule: { repository_id: '456789', repository_owner_id: '123456', ref: 'refs/heads/main' },
    },
    {
      name: 'of GitHub, by the sub of ids alone',
      path: '/_services/token',
      claims: (iss: string, now: number) => ({
        ...githubClaims(iss, now),
        sub: 'repo:octo-org@123456/my-repo@456789:environment:production',
      }),
      rule: { sub: ['repo:octo-org@123456/my-repo@456789:environment:production'] },
    },
    {
      name: 'of GitHub, in either form while a repository moves',
      path: '/_services/token',
      claims: githubClaims,
      rule: {
        repository_id: '456789',
        ref: 'refs/heads/main',
        sub: [
          'repo:octo-org/my-repo:ref:refs/heads/main',
          'repo:octo-org@123456/my-repo@456789:ref:refs/heads/main',
        ],
      },
    },
    {
      name: 'of GitHub, for an event that the rule names',
      path: '/_services/token',
      claims: (iss: string, now: number) => ({
        ...githubClaims(iss, now),
        event_name: 'pull_request_target',
      }),
      rule: { repository_id: '456789', ref: 'refs/heads/main', event_name: 'pull_request_target' },
    },
    {
      name: 'of GitLab',
      path: '',
      claims: gitlabClaims,
      rule: { project_id: '20', ref_protected: 'true', ref: ['main', 'release'] },
    },
    {
      name: 'of GitLab, with a number that is one',
      path: '',
      claims: gitlabClaims,
      rule: { project_id: '20', ref_protected: 'true', runner_id: 1 },
    },
    {
      name: 'of Buildkite, which gives no jti',
      path: '',
      claims: buildkiteClaims,
      rule: {
        organization_id: '0184990a-477b-4fa8-9968-496074483c77',
        pipeline_id: '0184990a-4782-42b5-afc1-16715b10b110',
        build_branch: 'main',
      },
    },
    {
      name: 'of CircleCI, which gives neither jti nor nbf',
      path: '/org/3c7ee0ba-4f5a-4d69-b0a2-4c0d2a3a1b3f',
      claims: circleciClaims,
      rule: {
        'oidc.circleci.com/project-id': '8d1f4c4e-0b1c-4f0c-9a34-0c1e7d3a9b51',
        'oidc.circleci.com/vcs-origin': 'github.com/octo-org/my-repo',
      },
    },
  ] as const

  it.each(GOOD)('$name is let in', async ({ path, claims, rule }) => {
    const world = await OidcWorld.open(path, keys)
    try {
      const rules = [world.rule(rule)]
      const good: JsonObject = claims(world.issuer.url, NOW)
      expect(await world.judge(await signToken(keys.signer, good), rules)).toBe('let in')
      const audience = [good['aud'] ?? '']
      const listed = await signToken(keys.other, { ...good, aud: audience })
      expect(await world.judge(listed, rules)).toBe('let in')
    } finally {
      await world.close()
    }
  })

  it('of CircleCI is refused while someone has a shell in the job', async () => {
    const world = await OidcWorld.open('', keys)
    try {
      const rerun = 'oidc.circleci.com/ssh-rerun'
      const good = circleciClaims(world.issuer.url, NOW)
      const rules = [world.rule({ 'oidc.circleci.com/vcs-ref': 'refs/heads/main' })]
      const header = { alg: 'RS256', kid: keys.signer.kid }
      for (const value of [true, 'false', 1]) {
        const token = craft(keys.signer, header, { ...good, [rerun]: value })
        const problem = value === true ? 'value' : 'type'
        expect(await world.judge(token, rules)).toBe(`${rerun}: ${problem}`)
      }
    } finally {
      await world.close()
    }
  })

  it('without a jti is the same token under each of the two signatures that ECDSA has for it', async () => {
    const world = await OidcWorld.open('', keys)
    try {
      world.issuer.metadata = { id_token_signing_alg_values_supported: ['ES256'] }
      const rules = [world.rule({ pipeline_slug: 'super-duper-app' })]
      const token = await signToken(keys.elliptic, buildkiteClaims(world.issuer.url, NOW))
      const ids = new Set<string>()
      for (const one of [token, mirrored(token)]) {
        const verification = await world.verify(one, rules)
        ids.add(verification.outcome === 'verified' ? verification.identity.id : 'refused')
      }
      expect(mirrored(token)).not.toBe(token)
      expect([...ids]).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
    } finally {
      await world.close()
    }
  })

  it('is verified with ES256 and EdDSA where the issuer says that it signs so', async () => {
    const world = await OidcWorld.open('', keys)
    try {
      world.issuer.metadata = { id_token_signing_alg_values_supported: ['ES256', 'EdDSA', 'none'] }
      const rules = [world.rule({ project_id: '20' })]
      const good = gitlabClaims(world.issuer.url, NOW)
      for (const key of [keys.elliptic, keys.edwards]) {
        expect(await world.judge(await signToken(key, good), rules)).toBe('let in')
      }
      const other = await signToken(keys.signer, good)
      expect(await world.judge(other, rules)).toBe('algorithm_not_offered')
    } finally {
      await world.close()
    }
  })
})

/** The order of the curve P-256 (FIPS 186-5). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** `(r, s)` and `(r, n - s)` are both signatures of the same bytes. */
function mirrored(token: string): string {
  const [head = '', body = '', signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const other = ORDER - BigInt(`0x${bytes.subarray(32).toString('hex')}`)
  bytes.write(other.toString(16).padStart(64, '0'), 32, 'hex')
  return `${head}.${body}.${bytes.toString('base64url')}`
}
