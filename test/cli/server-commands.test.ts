import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RouteName } from '../../src/api/routes.ts'
import { freshHome, runBroker } from './commands-product.ts'
import { LEASE_ID, lease } from './commands-samples.ts'
import { HANDLE, OPERATOR_KEY, refusing, type Script, ScriptedServer } from './server-scripted.ts'

let home: ReturnType<typeof freshHome>
let server: ScriptedServer

beforeEach(async () => {
  home = freshHome()
  server = await ScriptedServer.open({})
  writeFileSync(join(home.path, 'ca.pem'), server.ca)
  writeFileSync(join(home.path, 'broker.yaml'), 'version: 1\n')
})
afterEach(async () => {
  await server.close()
  home.remove()
})

const broker = (args: readonly string[], env: Readonly<Record<string, string>>) =>
  runBroker(args, { home: home.path, env: { BROKER_CA_FILE: join(home.path, 'ca.pem'), ...env } })
const asOperator = (args: readonly string[]) =>
  broker([...args, '--server', server.url], { BROKER_OPERATOR_KEY: OPERATOR_KEY })

const APPROVAL = 'apr_01k9x2m4v7e8r5t6y7n8p9q0a1'
const check = { ok: true, issues: [], changes: [], baseVersion: 4 }
const view = {
  name: 't',
  version: 1,
  sha256: 'a',
  appliedAt: null,
  description: '',
  isDefault: false,
  environments: ['staging'],
  ttlMs: 60_000,
  maxTtlMs: 60_000,
  isolation: 'scrub',
  grants: {},
}
const CI_LEASE = lease({
  principal: { kind: 'oidc', id: 'repo:acme/shop:ref:refs/heads/main' },
  actor: { command: null, pid: null },
  run: {
    repository: 'acme/shop',
    ref: 'refs/heads/main',
    workflow: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main',
    run: '4711',
  },
})
const approval = { id: APPROVAL, kind: 'request', state: 'denied', waiting: false, lease: LEASE_ID }

describe('with the operator key, at a server', () => {
  const cases: readonly {
    readonly args: readonly string[]
    readonly script: Script
    readonly asks: readonly RouteName[]
    readonly out: string | RegExp
  }[] = [
    {
      args: ['tokens'],
      script: { listLeases: () => ({ body: { leases: [CI_LEASE], nextCursor: null } }) },
      asks: ['listLeases'],
      out: /for acme\/shop · refs\/heads\/main · .*deploy\.yml@refs\/heads\/main · run 4711/,
    },
    {
      args: ['revoke', LEASE_ID, '--reason', 'over'],
      script: { revokeLeases: () => ({ body: { leases: [lease({ state: 'revoked' })] } }) },
      asks: ['revokeLeases'],
      out: `${LEASE_ID} revoked`,
    },
    {
      args: ['template', 'check', 'broker.yaml'],
      script: { checkTemplates: () => ({ body: check }) },
      asks: ['checkTemplates'],
      out: 'broker.yaml: ok',
    },
    {
      args: ['template', 'diff', 'broker.yaml'],
      script: { checkTemplates: () => ({ body: check }) },
      asks: ['checkTemplates'],
      out: 'nothing would change',
    },
    {
      args: ['template', 'apply', 'broker.yaml', '--yes'],
      script: {
        checkTemplates: () => ({ body: check }),
        applyTemplates: () => ({ body: { version: 5, changes: [], issues: [] } }),
      },
      asks: ['checkTemplates', 'applyTemplates'],
      out: 'applied as version 5',
    },
    {
      args: ['template', 'list'],
      script: { listTemplates: () => ({ body: { configVersion: 1, templates: [view] } }) },
      asks: ['listTemplates'],
      out: /^t\t1/,
    },
    {
      args: ['template', 'show', 't'],
      script: { showTemplate: () => ({ body: { ...view, definition: {} } }) },
      asks: ['showTemplate'],
      out: 't version 1',
    },
    {
      args: ['approvals', '--json'],
      script: { listApprovals: () => ({ body: { approvals: [approval], nextCursor: null } }) },
      asks: ['listApprovals'],
      out: APPROVAL,
    },
    {
      args: ['deny', APPROVAL],
      script: { deny: () => ({ body: approval }) },
      asks: ['deny'],
      out: `${APPROVAL} denied`,
    },
    {
      args: ['audit', 'list'],
      script: {
        listAudit: () => ({
          body: {
            entries: [
              {
                seq: 7,
                at: '2026-01-01T00:00:00.000Z',
                type: 'exchange.refused',
                lease: null,
                data: { reason: 'wrong_audience' },
                hash: 'a',
              },
            ],
            nextCursor: null,
          },
        }),
      },
      asks: ['listAudit'],
      out: /exchange\.refused\t-\treason=wrong_audience/,
    },
    {
      args: ['audit', 'show', LEASE_ID],
      script: {
        showLease: () => ({ body: CI_LEASE }),
        listAudit: () => ({ body: { entries: [], nextCursor: null } }),
      },
      asks: ['showLease', 'listAudit'],
      out: /for acme\/shop/,
    },
    {
      args: ['audit', 'verify'],
      script: { verifyAudit: () => ({ body: { ok: true, entries: 3, head: null, bad: null } }) },
      asks: ['verifyAudit'],
      out: 'intact: 3 entries',
    },
  ]
  test.each(cases)('broker $args', async ({ args, script, asks, out }) => {
    server.script = script
    const ran = await asOperator(args)
    expect(ran.stderr).toBe('')
    expect(ran.stdout).toMatch(out)
    expect(ran.code).toBe(0)
    const sent = server.asked.filter(({ route }) => route !== 'health')
    expect(sent.map(({ route }) => route)).toEqual(asks)
    expect(new Set(sent.map(({ authorization }) => authorization))).toEqual(
      new Set([`Bearer ${OPERATOR_KEY}`]),
    )
    // No daemon was started and no key made: what is there is the compile cache.
    expect(readdirSync(home.path)).not.toContain('run')
    expect(readdirSync(home.path)).not.toContain('config')
  })

  test('a list of many pages is asked for page by page', async () => {
    const pages = [
      { leases: [lease()], nextCursor: 'more' },
      { leases: [lease()], nextCursor: null },
    ]
    server.script = { listLeases: () => ({ body: pages.shift() }) }
    const ran = await asOperator(['tokens', '--json'])
    expect(JSON.parse(ran.stdout).leases).toHaveLength(2)
    expect(server.of('listLeases')[1]?.url).toContain('cursor=more')
    expect(server.of('health')).toHaveLength(1)
  })

  test.each(['connect', 'doctor', 'connections', 'disconnect', 'daemon status', 'template init'])(
    '%s is for this machine and has no --server',
    async (command) => {
      const ran = await asOperator(command.split(' '))
      expect(ran.stderr).toContain('unknown flag "--server"')
      expect(ran.code).toBe(2)
      expect(server.asked).toEqual([])
    },
  )

  test('words of a server cannot move the cursor', async () => {
    const evil = '\u001b[2J\u202e'
    const run = { repository: evil, ref: evil, workflow: null, run: 'x'.repeat(4000) }
    server.script = {
      listLeases: () => ({ body: { leases: [lease({ run })], nextCursor: null } }),
    }
    const ran = await asOperator(['tokens'])
    expect(ran.stdout).toContain('for \\u001b[2J\\u202e · \\u001b[2J\\u202e · run x')
    expect(ran.stdout).not.toContain('\u001b')
    expect(ran.stdout.length).toBeLessThan(600)
    server.script = { listLeases: () => refusing(403, 'denied', `no${evil}`, `hint${evil}`) }
    const { stderr } = await asOperator(['tokens'])
    for (const character of evil.slice(0, 1) + evil.slice(-1))
      expect(stderr).not.toContain(character)
  })
})

describe('in a job', () => {
  const inJob = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    broker(args, {
      BROKER_SERVER: server.url,
      BROKER_HANDLE: HANDLE,
      BROKER_LEASE: LEASE_ID,
      ...more,
    })
  const revoked = () => ({ headers: { 'broker-lease-state': 'revoked' }, body: {} })

  test.each([['approve', APPROVAL], ['approve', '--enroll'], ['deny', APPROVAL], ['approvals']])(
    '%s %s is refused before anything is asked, the operator key or not',
    async (...args) => {
      for (const more of [{}, { BROKER_OPERATOR_KEY: OPERATOR_KEY }]) {
        const ran = await inJob(args.filter(Boolean), more)
        expect(ran.stderr).toMatch(/^broker: a task cannot/)
        expect(ran.code).toBe(3)
      }
      expect(server.asked).toEqual([])
    },
  )

  test.each([['connect', 'railway'], ['connections'], ['doctor'], ['disconnect', 'x']])(
    '%s is refused, and no daemon of the machine is asked in its place',
    async (...args) => {
      const ran = await inJob(args)
      expect(ran.stderr).toContain('a job can do here only what its server offers it')
      expect(ran.code).toBe(3)
      expect(existsSync(join(home.path, 'run'))).toBe(false)
    },
  )

  test('commands act with the handle, also where an operator key lies about', async () => {
    server.script = { listLeases: () => ({ body: { leases: [CI_LEASE], nextCursor: null } }) }
    const ran = await inJob(['tokens'], { BROKER_OPERATOR_KEY: OPERATOR_KEY })
    expect(ran.stdout).toContain(LEASE_ID)
    expect(server.of('listLeases')[0]?.authorization).toBe(`Bearer ${HANDLE}`)
    expect(server.heard).not.toContain('canary-operator')
  })

  test('with --server and the operator key it is the operator that acts', async () => {
    server.script = { revokeLeases: () => ({ body: { leases: [lease({ state: 'revoked' })] } }) }
    const more = { BROKER_OPERATOR_KEY: OPERATOR_KEY }
    const ran = await inJob(['revoke', LEASE_ID, '--server', server.url], more)
    expect(ran.code).toBe(0)
    expect(server.of('revokeLeases')[0]?.authorization).toBe(`Bearer ${OPERATOR_KEY}`)
    expect(server.heard).not.toContain('canary-handle')
  })

  test('the handle goes to no other server than its own', async () => {
    const other = await ScriptedServer.open({})
    const ran = await inJob(['tokens', '--server', other.url])
    expect(ran.stderr).toContain('the lease of this job is of "https://127.0.0.1')
    expect(ran.code).toBe(3)
    expect(other.asked).toEqual([])
    await other.close()
  })

  test('inside a task of this machine there is no other broker', async () => {
    const more = { BROKER_SOCKET: '/nosuch', BROKER_OPERATOR_KEY: OPERATOR_KEY }
    const ran = await inJob(['tokens', '--server', server.url], more)
    expect(ran.stderr).toContain('a task cannot act at another broker than its own')
    expect(ran.code).toBe(3)
    expect(server.asked).toEqual([])
  })

  test('a lease that is not its own cannot be ended', async () => {
    server.script = {
      showLease: () => refusing(404, 'not_found', 'no such lease'),
      oauthRevoke: revoked,
    }
    for (const args of [
      ['revoke', 'lse_01k9x2m4v7e8r5t6y7n8p9q0b2'],
      ['revoke', '--all'],
    ]) {
      const ran = await inJob(args)
      expect(ran.stderr).toContain('a job can end its own lease only')
      expect(ran.code).toBe(3)
    }
    // A handle that is over says nothing about whose the other lease was.
    server.script = { showLease: () => refusing(410, 'lease_ended', 'over'), oauthRevoke: revoked }
    const ran = await inJob(['revoke', 'lse_01k9x2m4v7e8r5t6y7n8p9q0b2'])
    expect(ran.stderr).toContain('broker: over')
    expect(server.of('oauthRevoke')).toEqual([])
  })

  test('what a provider has not confirmed is told as still live, by the exit code too', async () => {
    const headers = { 'retry-after': '600', 'broker-lease-state': 'revoking' }
    const body = { error: 'temporarily_unavailable', error_description: 'still being revoked' }
    server.script = {
      showLease: () => ({ body: CI_LEASE }),
      oauthRevoke: () => ({ status: 503, headers, body }),
    }
    const ran = await inJob(['revoke', LEASE_ID])
    expect(ran.stdout).toBe(`${LEASE_ID} still revoking\n`)
    expect(ran.code).toBe(6)
  })

  test('its own lease is ended by the handle alone, twice without harm', async () => {
    server.script = { showLease: () => ({ body: CI_LEASE }), oauthRevoke: revoked }
    const first = await inJob(['revoke', LEASE_ID])
    expect(first.stdout).toBe(`${LEASE_ID} revoked\n`)
    expect(first.code).toBe(0)
    server.script = { showLease: () => refusing(410, 'lease_ended', 'over'), oauthRevoke: revoked }
    const second = await inJob(['revoke', LEASE_ID, '--server', server.url, '--json'])
    expect(JSON.parse(second.stdout)).toEqual({ leases: [{ id: LEASE_ID, state: 'revoked' }] })
    expect(second.code).toBe(0)
    const bodies = server
      .of('oauthRevoke')
      .map(({ body }) => new URLSearchParams(body).get('token'))
    expect(bodies).toEqual([HANDLE, HANDLE])
    for (const { stdout, stderr } of [first, second])
      expect(stdout + stderr).not.toContain('canary')
  })
})
