import { randomUUID } from 'node:crypto'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/lib/json.ts'
import { collect, until } from '../fixtures/broker.ts'
import { codeAt } from '../fixtures/codes.ts'
import { githubClaims } from '../fixtures/oidc-claims.ts'
import { Served } from '../fixtures/serve.ts'
import { freshHome, runBroker } from './commands-product.ts'
import { hasTerminal, Terminal } from './commands-terminal.ts'

const policy = (issuer: string) => `version: 1
environments:
  ci:
    api: { provider: jwt, audience: https://api.example }
templates:
  deploy:
    environments: [ci]
    who: [{ oidc: { issuer: "${issuer}", claims: { repository_id: "456789", event_name: push } } }]
    grants: { api: { allow: [read] } }
  by-hand:
    environments: [ci]
    approval: required
    confirm: totp
    unconfined: true
    grants: { api: { allow: [read] } }
`

let served: Served
/** Another machine: nothing of the server is there. */
let home: ReturnType<typeof freshHome>
let runs = 4000

beforeAll(async () => {
  served = await Served.start(policy)
  home = freshHome()
})
afterAll(async () => {
  await served?.dispose()
  home?.remove()
})

const far = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runBroker(args, { home: home.path, env: { BROKER_CA_FILE: served.caFile, ...env } })
const asOperator = (args: readonly string[]) =>
  far([...args, '--server', served.url], { BROKER_OPERATOR_KEY: served.operatorKey })
const identity = (changed: JsonObject = {}) => {
  const run = { run_id: String(runs++), jti: randomUUID(), aud: served.url }
  return served.sign({ ...githubClaims(served.issuer.url, Date.now()), ...run, ...changed })
}
const asJob = (token: string) =>
  far(['token', '--env', 'ci', '--json'], { BROKER_SERVER: served.url, BROKER_ID_TOKEN: token })

interface Held {
  readonly lease: { readonly id: string }
  readonly variables: Readonly<Record<string, string>>
}
const held = async (token: string): Promise<Held> => {
  const ran = await asJob(token)
  expect(ran.stderr).toBe('')
  return JSON.parse(ran.stdout)
}
const inJob = ({ variables }: Held, args: readonly string[]) => far(args, variables)

describe('a job at a real server', () => {
  test('that no rule lets in learns nothing, and the operator everything', async () => {
    const ran = await asJob(await identity({ repository_id: '1' }))
    expect(ran.code).toBe(3)
    expect(ran.stdout).toContain('does not accept the identity token of this job')
    const log = await asOperator(['audit', 'list'])
    expect(log.stdout).toMatch(/exchange\.refused.*repository_id/)
  })

  test('gets credentials, sees and ends its own lease alone, and cannot use its identity twice', async () => {
    const token = await identity()
    const mine = await held(token)
    const other = await held(await identity())
    expect(mine.variables['BROKER_ACCESS_TOKEN']).toMatch(/^ey/)

    const own = JSON.parse((await inJob(mine, ['tokens', '--json'])).stdout)
    expect(own.leases.map(({ id }: { id: string }) => id)).toEqual([mine.lease.id])
    const refused = await inJob(mine, ['revoke', other.lease.id])
    expect(refused.stderr).toContain('a job can end its own lease only')
    for (const args of [
      ['audit', 'list'],
      ['template', 'list'],
      ['revoke', '--all'],
    ]) {
      expect((await inJob(mine, args)).code).toBe(3)
    }

    const again = await asJob(token)
    expect(again.code).toBe(3)
    expect(JSON.parse(again.stdout).error.code).toBe('token_replayed')

    const all = await asOperator(['tokens'])
    expect(all.stdout).toContain(mine.lease.id)
    expect(all.stdout).toContain(other.lease.id)
    expect(all.stdout).toMatch(
      /for octo-org\/my-repo · refs\/heads\/main · .*deploy\.yml.* · run 40\d\d/,
    )

    const ended = await inJob(mine, ['revoke', mine.lease.id])
    expect(ended.stdout).toBe(`${mine.lease.id} revoked\n`)
    expect((await inJob(mine, ['revoke', mine.lease.id])).code).toBe(0)
    const dead = await inJob(mine, ['tokens'])
    expect(dead.stderr).toContain('has ended')
    expect(dead.code).toBe(3)

    const story = (await asOperator(['audit', 'show', mine.lease.id])).stdout
    for (const type of ['requested', 'active', 'delivered', 'revoked']) {
      expect(story).toContain(`\tlease.${type}\t`)
    }
    expect(story).toMatch(/lease\.requested.*repository=octo-org\/my-repo/)
    expect(story).toMatch(/for octo-org\/my-repo/)
    const secrets = [token, mine.variables['BROKER_HANDLE'] ?? '', served.operatorKey]
    for (const secret of secrets) {
      expect(story + all.stdout + served.log + served.out).not.toContain(secret)
    }
  })
})

describe('the operator from another machine', () => {
  test('with a wrong key is refused', async () => {
    const env = { BROKER_OPERATOR_KEY: `bko_${'x'.repeat(43)}` }
    const ran = await far(['tokens', '--server', served.url], env)
    expect(ran.stderr).toContain('refused the operator key')
    expect(ran.code).toBe(3)
  })

  test('works with templates, keys and the audit log', async () => {
    const file = join(home.path, 'broker.yaml')
    const text = policy(served.issuer.url).replace('allow: [read]', 'allow: [read, write]')
    writeFileSync(file, text)
    expect((await asOperator(['template', 'check', file])).code).toBe(0)
    expect((await asOperator(['template', 'diff', file])).stdout).toContain('write')
    expect((await asOperator(['template', 'apply', file, '--yes'])).code).toBe(0)
    expect((await asOperator(['template', 'list'])).stdout).toMatch(/^by-hand\t/m)
    expect((await asOperator(['template', 'show', 'deploy'])).stdout).toContain(
      'api allow read, write',
    )
    expect((await asOperator(['audit', 'verify'])).stdout).toMatch(/^intact/)
    expect((await far(['jwks', '--server', served.url])).stdout).toMatch(/\t/)
    expect((await asOperator(['approvals', '--json'])).stdout).toContain('"approvals"')
  })

  test('revokes everything of an environment', async () => {
    await held(await identity())
    const ran = await asOperator(['revoke', '--env', 'ci', '--reason', 'over'])
    expect(ran.stdout).toMatch(/^lse_\w+ revoked$/m)
    expect((await asOperator(['tokens'])).stdout).toBe('')
  })

  test('has left nothing on that machine', () => {
    expect(readdirSync(home.path).filter((name) => name === 'run' || name === 'config')).toEqual([])
  })

  describe.skipIf(!hasTerminal())('at a terminal', () => {
    let seed = ''
    const at = (args: readonly string[]) => {
      const env = { BROKER_CA_FILE: served.caFile, BROKER_OPERATOR_KEY: served.operatorKey }
      return new Terminal([...args, '--server', served.url], { home: home.path, env })
    }
    beforeEach(async () => {
      if (seed !== '') return
      const terminal = at(['approve', '--enroll'])
      await terminal.until('type the key:')
      await terminal.until('code that the app shows')
      const shown = stripVTControlCharacters(terminal.shown)
      seed = shown.match(/type the key: ([A-Z2-7 ]+)/)?.[1]?.replaceAll(' ', '') ?? ''
      terminal.type(`${codeAt(seed, Date.now())}\r`)
      expect(await terminal.end()).toBe(0)
    })

    test('enrols and approves with a code', async () => {
      const exec = served.spawn(
        ['exec', '--env', 'ci', '--template', 'by-hand', '--', 'echo', 'RAN'],
        { stdio: 'pipe' },
      )
      const ended = collect(exec)
      let id = ''
      await until('it waits', async () => {
        const { approvals } = JSON.parse((await asOperator(['approvals', '--json'])).stdout)
        id = approvals[0]?.id ?? ''
        return id !== ''
      })
      const terminal = at(['approve', id])
      await terminal.until('code to approve this')
      // The code of now was used to enrol; the next one is good already.
      terminal.type(`${codeAt(seed, Date.now() + 30_000)}\r`)
      expect(await terminal.end()).toBe(0)
      expect((await ended).out).toBe('RAN\n')
    })
  })
})
