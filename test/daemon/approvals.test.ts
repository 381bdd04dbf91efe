import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ROUTES, type RouteName } from '../../src/api/routes.ts'
import { awaitDecision } from '../../src/broker/approval/await.ts'
import { requestApproval } from '../../src/broker/approval/request.ts'
import type { Context } from '../../src/broker/context.ts'
import { RESET_SENTENCE } from '../../src/core/approval.ts'
import { addApprovalRoutes } from '../../src/daemon/routes/approvals.ts'
import { createServer, type Server } from '../../src/daemon/server.ts'
import { digest } from '../../src/lib/equal.ts'
import { resolveHome } from '../../src/lib/home.ts'
import { newBearer } from '../../src/lib/ids.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openVault } from '../../src/vault/open.ts'
import { approvalId, approvalOf, leaseId, leaseOf } from '../fixtures/approvals.ts'
import { approverContext } from '../fixtures/approver.ts'
import { codeAt, wrongCodeAt } from '../fixtures/codes.ts'

const OPERATOR = 'bko_operator'
const HANDLE = newBearer('bkh_', randomBytes)

let folder: string
let context: Awaited<ReturnType<typeof approverContext>>
let server: Server
const logged: string[] = []

/** The daemon's own routes and a vault that is a file; only the socket is missing. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'broker-approvals-'))
  const home = resolveHome({ BROKER_HOME: folder })
  const vault = await openVault({ home, kind: 'file', passphrase: undefined, keyFile: undefined })
  const log: Context['log'] = {
    info: (...all) => logged.push(JSON.stringify(all)),
    warn: (...all) => logged.push(JSON.stringify(all)),
    error: (message, error) => logged.push(`${message} ${String(error)}`),
  }
  context = await approverContext({ vault, log })
  server = createServer(context, {
    operatorKey: new Secret(OPERATOR),
    operator: { kind: 'local', id: 'alice' },
  })
  addApprovalRoutes(server, context)
  const lease = leaseOf(1, { expiresAt: context.clock.now + 3_600_000 })
  const secrets = { handleDigest: digest(HANDLE), sessionDigest: null }
  await context.store.write((writer) => writer.insertLease(lease, secrets, lease.expiresAt))
})
afterEach(async () => {
  await server.app.close()
  await context.dispose()
  rmSync(folder, { recursive: true, force: true })
})

interface Call {
  readonly id?: string
  readonly query?: string
  readonly body?: object
  readonly bearer?: string
}

async function call(route: RouteName, { id = '', query = '', body, bearer = OPERATOR }: Call = {}) {
  const { method, path } = ROUTES[route]
  const answer = await server.app.inject({
    method,
    url: path.replace(':id', id) + query,
    headers: { authorization: `Bearer ${bearer}` },
    ...(body && { payload: body }),
  })
  const parsed = answer.json()
  return { status: answer.statusCode, body: parsed, error: parsed.error, headers: answer.headers }
}

async function asked(changes: Parameters<typeof approvalOf>[1] = {}) {
  context.clock.now += 1
  const { id, state, createdAt, lapsesAt, decidedAt, decidedBy, note, usedAt, ...wanted } =
    approvalOf(1, changes)
  return requestApproval(context, wanted)
}

async function enroll(body: object = {}): Promise<string> {
  const { body: offer } = await call('enroll', { body })
  const code = codeAt(offer.secret, context.clock.now)
  const { status } = await call('confirmEnrollment', { body: { code } })
  if (status !== 200) throw new Error('not enrolled')
  context.clock.now += 60_000
  return offer.secret
}

const OURS = (Object.keys(ROUTES) as RouteName[]).filter((name) =>
  ROUTES[name].path.startsWith('/v1/approvals'),
)

describe('the task itself', () => {
  it('is known to the daemon by its handle, or the refusals below would prove nothing', async () => {
    expect((await context.store.read.leaseByHandle(digest(HANDLE)))?.id).toBe(leaseId(1))
    expect(OURS).toHaveLength(6)
  })

  it.each(OURS)('is refused at %s, whatever it brings, and nothing changes', async (route) => {
    const seed = await enroll()
    const approval = await asked()
    const code = codeAt(seed, context.clock.now)
    const before = await context.store.read.head()
    for (const body of [{ code }, {}, { reset: true, typed: RESET_SENTENCE }]) {
      const sent = ROUTES[route].method === 'POST' ? { body } : {}
      const answer = await call(route, { id: approval.id, bearer: HANDLE, ...sent })
      expect(answer.status).toBe(403)
      expect(answer.error).toMatchObject({ code: 'denied', message: 'a task may not do this' })
      expect(JSON.stringify(answer.body)).not.toContain(approval.id)
    }
    expect(await context.store.read.head()).toEqual(before)
    expect((await context.store.read.approval(approval.id))?.state).toBe('pending')
  })

  it.each(OURS)('and anybody without a key, at %s', async (route) => {
    for (const bearer of ['', 'bko_other', 'bkh_other']) {
      const { status } = await call(route, { id: approvalId(1), bearer })
      expect([401, 410]).toContain(status)
    }
  })
})

describe('what comes in', () => {
  it.each([
    ['approve', {}],
    ['approve', { code: '123456', typed: 'pgdata' }],
    ['approve', { code: 123456 }],
    ['approve', { code: '123456', by: 'bob' }],
    ['approve', { typed: 'x'.repeat(501) }],
    ['deny', { because: 'no' }],
    ['enroll', { reset: true }],
    ['enroll', { reset: false, typed: RESET_SENTENCE }],
    ['enroll', { code: '123456', reset: true, typed: RESET_SENTENCE }],
    ['confirmEnrollment', {}],
  ] as const)('is refused at %s (case %#)', async (route, body) => {
    const { id } = await asked()
    const answer = await call(route, { id, body })
    expect(answer.error).toMatchObject({ code: 'invalid_request' })
    expect((await context.store.read.approval(id))?.state).toBe('pending')
  })

  it.each(['approve', 'deny', 'showApproval'] as const)(
    'is not found at %s for an unknown id',
    async (route) => {
      const sent = route === 'approve' ? { body: { code: '123456' } } : {}
      const body = route === 'deny' ? { body: {} } : sent
      const answer = await call(route, { id: approvalId(9), ...body })
      expect(answer).toMatchObject({ status: 404, error: { code: 'not_found' } })
    },
  )
})

describe('a decision', () => {
  it('goes from enrolling to a held request, and to no log', async () => {
    const seed = await enroll()
    const approval = await asked()
    const held = awaitDecision(context, approval.id, 600_000, new AbortController().signal)
    const code = codeAt(seed, context.clock.now)
    const wrong = wrongCodeAt(seed, context.clock.now)
    const refused = await call('approve', { id: approval.id, body: { code: wrong } })
    expect(refused).toMatchObject({ status: 403, error: { code: 'denied' } })
    const answer = await call('approve', { id: approval.id, body: { code } })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ state: 'approved', decidedBy: 'alice', waiting: true })
    expect(await held).toMatchObject({ state: 'approved' })
    const told = `${logged.join('')}${JSON.stringify([refused, answer])}`
    for (const secret of [seed, code, wrong]) expect(told).not.toContain(secret)
  })

  it('by typing shows what to type, and by code does not ask for any', async () => {
    const typed = await asked({ confirm: 'typed', typed: 'pgdata' })
    expect((await call('showApproval', { id: typed.id })).body).toMatchObject({
      typed: 'pgdata',
      waiting: false,
    })
    const { body } = await call('approve', { id: typed.id, body: { typed: 'pgdata' } })
    expect(body).toMatchObject({ state: 'approved', waiting: false })
    const coded = await asked({ binding: 'other' })
    expect((await call('showApproval', { id: coded.id })).body.typed).toBeNull()
  })

  it('that is a no keeps its reason, also while approving is locked', async () => {
    const seed = await enroll()
    const approval = await asked()
    for (let n = 0; n < 5; n++) {
      const code = wrongCodeAt(seed, context.clock.now)
      await call('approve', { id: approval.id, body: { code } })
    }
    const locked = await call('approve', {
      id: approval.id,
      body: { code: codeAt(seed, context.clock.now) },
    })
    expect(locked).toMatchObject({ status: 429, error: { code: 'quota_exceeded' } })
    const list = (await call('listApprovals')).body
    expect(list.approver).toEqual({
      enrolled: true,
      lockedUntil: new Date(context.clock.now + 600_000).toISOString(),
    })
    const answer = await call('deny', { id: approval.id, body: { reason: 'that is production' } })
    expect(answer.body).toMatchObject({ state: 'denied', note: 'that is production' })
    const again = await call('deny', { id: approval.id, body: {} })
    expect(again).toMatchObject({ status: 409, error: { code: 'conflict' } })
  })
})

describe('the list', () => {
  it('has what waits, newest first, by page, and what it shows is bound to nothing', async () => {
    const ids = []
    for (const binding of ['a', 'b', 'c']) ids.unshift((await asked({ binding })).id)
    await call('deny', { id: ids[1] ?? '', body: {} })
    const list = async (query: string) => (await call('listApprovals', { query })).body
    const idsOf = (body: { approvals: { id: string }[] }) => body.approvals.map(({ id }) => id)
    expect(idsOf(await list(''))).toEqual([ids[0], ids[2]])
    const first = await list('?state=all&limit=2')
    expect(idsOf(first)).toEqual([ids[0], ids[1]])
    const rest = await list(`?state=all&limit=2&cursor=${first.nextCursor}`)
    expect(idsOf(rest)).toEqual([ids[2]])
    expect(rest.nextCursor).toBeNull()
    expect(idsOf(await list(`?lease=${leaseId(7)}`))).toEqual([])
    expect(first.approver).toEqual({ enrolled: false, lockedUntil: null })
    expect(JSON.stringify(first)).not.toContain('binding')
  })
})

describe('enrolling', () => {
  it('is refused a second time without a code or the sentence', async () => {
    const seed = await enroll()
    expect(await call('enroll', { body: {} })).toMatchObject({
      status: 403,
      error: { message: 'an authenticator is enrolled already' },
    })
    const other = await enroll({ code: codeAt(seed, context.clock.now) })
    expect(other).not.toBe(seed)
    const third = await enroll({ reset: true, typed: RESET_SENTENCE })
    const approval = await asked()
    const old = await call('approve', {
      id: approval.id,
      body: { code: codeAt(other, context.clock.now) },
    })
    expect(old.error).toMatchObject({ code: 'denied' })
    const answer = await call('approve', {
      id: approval.id,
      body: { code: codeAt(third, context.clock.now) },
    })
    expect(answer.body.state).toBe('approved')
  })

  it('answers with the key once, not to be kept by anything between', async () => {
    const { status, body, headers } = await call('enroll', { body: {} })
    expect(status).toBe(201)
    expect(headers['cache-control']).toBe('no-store')
    expect(body.uri).toContain(body.secret)
    const confirmed = await call('confirmEnrollment', {
      body: { code: codeAt(body.secret, context.clock.now) },
    })
    expect(confirmed.body).toEqual({ enrolled: true, lockedUntil: null })
  })
})
