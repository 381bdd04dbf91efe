// The corpus of bad identity tokens, each presented to the real server: every one gets the same answer, its
// own reason stands in the audit log, and none makes the server ask the issuer more than once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compileTrust, type TrustRule } from '../../src/core/trust/compile.ts'
import { explainFailure } from '../../src/core/trust/explain.ts'
import { matchRule } from '../../src/core/trust/match.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { until } from '../fixtures/broker.ts'
import { AUDIENCE } from '../fixtures/oidc-claims.ts'
import { type BadToken, badTokens } from '../fixtures/oidc-corpus.ts'
import { KINDS } from '../fixtures/oidc-corpus-kinds.ts'
import { signToken } from '../fixtures/oidc-issuer.ts'
import { corpusKeys, OidcWorld } from '../fixtures/oidc-world.ts'
import { Served } from '../fixtures/serve.ts'
import { exchangeOf, post, restart, trusting } from './serve-world.ts'

/** Strangers are slowed down and their refusals counted: so many of one address, then of all until a restart. */
const OF_ONE_ADDRESS = 25
const OF_ONE_RUN = 250

const policy = (issuer: string, rule: object) => `version: 1
environments:
  ci:
    api: { provider: jwt, audience: https://api.example }
templates:
  deploy:
    environments: [ci]
    who: [${JSON.stringify({ oidc: { issuer, claims: rule } })}]
    grants: { api: { allow: [read] } }
`

interface Entry {
  readonly type: string
  readonly data: {
    readonly reason: string
    readonly address: string
    readonly rules?: readonly { readonly failure: string }[]
  }
}

describe.each(KINDS)(
  'a bad identity token of $kind at the server',
  ({ kind, path, claims, rule }) => {
    let world: OidcWorld
    let served: Served
    beforeAll(async () => {
      world = await OidcWorld.open(path, corpusKeys())
      const { url, ca } = world.issuer
      served = await trusting(await Served.start(null, { publicUrl: AUDIENCE }), ca)
      await served.prepare(policy(url, rule))
    })
    afterAll(async () => {
      await served?.dispose()
      await world?.close()
    })

    it('is refused like every other, and only the audit log says why', async () => {
      const trust = compileTrust(
        { issuer: world.issuer.url, audience: null, claims: rule },
        { ours: AUDIENCE, plainLoopback: false },
      )
      const wrong: string[] = []
      let presented = 0
      let most = 0

      async function refuse(rows: readonly BadToken[]): Promise<void> {
        for (let at = 0; at < rows.length; at += OF_ONE_RUN) {
          if (at > 0) await restart(served)
          const run = rows.slice(at, at + OF_ONE_RUN)
          const before = (await refusals(served)).length
          for (const [index, row] of run.entries()) {
            const from = `127.0.2.${2 + Math.floor(index / OF_ONE_ADDRESS)}`
            const asked = world.issuer.asked.length
            const { status, text } = await post(served, '/oauth/token', exchangeOf(row.token), {
              from,
            })
            if (status !== 400 || text !== GENERIC) wrong.push(`${row.name}: ${status} ${text}`)
            most = Math.max(most, world.issuer.asked.length - asked)
            presented++
          }
          const entries = (await refusals(served)).slice(before)
          expect(entries).toHaveLength(run.length)
          for (const [index, row] of run.entries()) {
            const found = reasonIn(entries[index], row, trust)
            if (found !== row.reason) wrong.push(`${row.name}: ${found}, not ${row.reason}`)
          }
        }
      }

      const rows = corpus()
      expect(rows.length).toBeGreaterThanOrEqual(200)
      // What becomes good in a moment comes at once, and what has only just ended when it has.
      const soon = rows.filter(({ name }) => name.endsWith('a moment from now'))
      expect(soon).toHaveLength(2)
      await refuse(soon)
      await until('the clock is past the last second', () => Date.now() > begun + 3000)
      await restart(served)
      await refuse(rows.filter((row) => !soon.includes(row) && row.token !== ''))
      expect(wrong).toEqual([])
      expect(presented).toBe(rows.length - 1)
      expect(most).toBeLessThanOrEqual(1)
      const good = await signToken(world.keys.signer, claims(world.issuer.url, Date.now()))
      expect((await post(served, '/oauth/token', exchangeOf(good))).status).toBe(200)
      const leases = await served.leases()
      expect(leases).toHaveLength(1)
    }, 300_000)

    let begun = 0
    /** Claims of a token that was made two seconds from now: well within the leeway. */
    function corpus(): readonly BadToken[] {
      begun = Date.now()
      const good: JsonObject = claims(world.issuer.url, begun + 2000)
      return badTokens(kind, { keys: world.keys, good, named: Object.keys(rule) })
    }
  },
)

const GENERIC =
  '{"error":"invalid_request","error_description":"the subject token is not accepted"}'

async function refusals(served: Served): Promise<readonly Entry[]> {
  const { entries } = await served.json<{ entries: readonly Entry[] }>([
    'audit',
    'list',
    '--since',
    '1h',
  ])
  return entries.filter(({ type }) => type === 'exchange.refused')
}

/** In the words of the corpus. */
function reasonIn(entry: Entry | undefined, row: BadToken, rule: TrustRule): string {
  if (!entry) return 'nothing'
  const { reason, rules } = entry.data
  if (reason !== 'no_rule') return reason
  const claims = JSON.parse(Buffer.from(row.token.split('.')[1] ?? '', 'base64url').toString())
  const failure = matchRule(rule, claims)
  const said = (rules ?? []).map((one) => one.failure)
  if (!failure || said.length !== 1 || said[0] !== explainFailure(failure)) return said.join(', ')
  return `${failure.claim}: ${failure.problem}`
}
