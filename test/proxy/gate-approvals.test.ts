import { afterEach, describe, expect, it } from 'vitest'
import { approve, deny } from '../../src/broker/approval/decide.ts'
import { lapseApprovals } from '../../src/broker/approval/lapse.ts'
import { revoke } from '../../src/broker/revoke.ts'
import type { Approval } from '../../src/core/approval.ts'
import type { RecordedRequest } from '../../src/demo/cloud/record.ts'
import { type Answer, Guarded, type GuardedOptions, type GuardedTask } from '../fixtures/guarded.ts'

let guarded: Guarded
/** How far the broker's clock is ahead of the wall. */
let ahead = 0
afterEach(() => guarded.dispose())

const RULE = {
  allow: ['read', 'deploymentRestart', 'volumeUpdate'],
  approve: ['volumeDelete', 'variableUpsert', 'up'],
  deny: ['deploymentRemove'],
}

async function start(waitMs: number, more: GuardedOptions = {}): Promise<GuardedTask> {
  ahead = 0
  guarded = await Guarded.start({
    rule: RULE,
    template: { confirm: 'typed', approvalWaitMs: waitMs },
    context: { now: () => Date.now() + ahead },
    ...more,
  })
  return guarded.issue()
}

const SHORT = 20
const LONG = 30_000

const wipeCache = () => `mutation{volumeDelete(volumeId:"${guarded.cloud.ids.cache}")}`
const upsert = (value: string) =>
  `mutation{variableUpsert(input:{projectId:"${guarded.cloud.ids.shop}",environmentId:"${guarded.cloud.ids.staging}",name:"A",value:"${value}"})}`

/** Everything that was sent on: what the broker asks by itself are queries under its own name. */
function carriedOut(): readonly RecordedRequest[] {
  return guarded.cloud.record.filter(
    ({ body, headers }) =>
      !body.includes('projectTokenCreate') &&
      !body.includes('projectTokenDelete') &&
      !headers.some(([name, value]) => name === 'user-agent' && value === 'broker'),
  )
}

function codeOf({ body }: Answer): unknown {
  const problem = (body?.['errors'] as { extensions: { code: string } }[] | undefined)?.[0]
  return problem?.extensions.code ?? body?.['code']
}

const approvals = (pending = false): Promise<readonly Approval[]> =>
  guarded.context.store.read.approvals({ pending, limit: 50 })

async function asked(count = 1): Promise<Approval> {
  for (let tries = 0; tries < 2000; tries++) {
    const [newest, ...others] = await approvals(true)
    if (newest && others.length === count - 1) return newest
    await new Promise((again) => setTimeout(again, 5))
  }
  throw new Error('nobody was asked')
}

/** Also that somebody waits right now, not only that it is recorded. */
async function awaited(): Promise<Approval> {
  const approval = await asked()
  while (!guarded.context.approvals.isAwaited(approval.id)) {
    await new Promise((again) => setTimeout(again, 5))
  }
  return approval
}

const sayYes = ({ id, typed }: Approval) =>
  approve(guarded.context, id, { kind: 'typed', typed }, 'alice')

const hasCache = () => guarded.cloud.world.volumes.some(({ name }) => name === 'cache')

/** A second place for `cache`, in production: as if somebody attached it there just now. */
function attachToProduction(): void {
  const { world, ids } = guarded.cloud
  const [one] = world.volumeInstances.filter(({ volumeId }) => volumeId === ids.cache)
  if (!one) throw new Error('there is no cache')
  const id = '22222222-2222-4222-8222-222222222222'
  world.volumeInstances.push({ ...one, id, environmentId: ids.production })
}

describe('a request that needs a person', () => {
  it('is refused with the id of its approval when nobody decides, and nothing leaves', async () => {
    const task = await start(SHORT)
    const answer = await task.graphql(wipeCache())
    expect(answer.status).toBe(403)
    expect(codeOf(answer)).toBe('approval_required')
    const [approval] = await approvals(true)
    expect(answer.text).toContain(approval?.id)
    expect(answer.text).toContain(`broker approve ${approval?.id}`)
    expect(carriedOut()).toEqual([])
    expect(hasCache()).toBe(true)
  })

  it('shows the person the operation and its resolved targets', async () => {
    const task = await start(SHORT)
    await task.graphql(wipeCache())
    expect(await approvals(true)).toMatchObject([
      {
        ...{ kind: 'request', lease: task.lease.id, environment: 'staging', grant: 'main' },
        ...{ provider: 'railway', rule: 'approve: volumeDelete', typed: 'cache' },
        operations: [{ name: 'volumeDelete', risk: 'destructive' }],
        summary: expect.stringMatching(/^volumeDelete \(destructive\): volume "cache" in staging/),
        targets: [
          {
            ...{ kind: 'volume', id: guarded.cloud.ids.cache, name: 'cache', renamed: false },
            environments: [{ id: guarded.cloud.ids.staging, name: 'staging' }],
            notes: [expect.stringMatching(/^1 backup/)],
          },
        ],
      },
    ])
  })

  it('shows which variables are set, never to what, and names the environment', async () => {
    const task = await start(SHORT, { rule: { approve: ['variableCollectionUpsert'] } })
    const { shop, staging, web } = guarded.cloud.ids
    const place = `projectId:"${shop}",environmentId:"${staging}",serviceId:"${web}"`
    await task.graphql(
      `mutation{variableCollectionUpsert(input:{${place},variables:{LOG_LEVEL:"hidden-1",PORT:"hidden-2"}})}`,
    )
    const [approval] = await approvals(true)
    expect(approval?.summary).toBe(
      'variableCollectionUpsert (execute): variables "LOG_LEVEL", "PORT"; service "web" in staging and production; environment "staging"; project "shop" in staging and production; 2 environments',
    )
    expect(approval?.typed).toBe('web')
    const here = [{ id: staging, name: 'staging' }]
    const targets = approval?.targets.map(({ kind, name, environments }) => [
      kind,
      name,
      environments,
    ])
    expect(targets).toContainEqual(['environment', 'staging', here])
    expect(targets).toContainEqual(['variable', 'LOG_LEVEL', here])
    expect(JSON.stringify([approval, await task.entries()])).not.toContain('hidden-')
  })

  it('has the environment typed where nothing narrower has a name of its own', async () => {
    const task = await start(SHORT)
    await task.graphql(upsert('x'))
    expect(await asked()).toMatchObject({ typed: 'staging' })
  })

  it('has the thing typed that is destroyed, not what is touched beside it', async () => {
    const task = await start(SHORT)
    const { shop, staging, web, cache } = guarded.cloud.ids
    const place = `projectId:"${shop}",environmentId:"${staging}",serviceId:"${web}"`
    await task.graphql(
      `mutation{a:variableUpsert(input:{${place},name:"A",value:"b"}) b:volumeDelete(volumeId:"${cache}")}`,
    )
    expect(await asked()).toMatchObject({ typed: 'cache' })
  })

  it('passes when it is approved while it waits', async () => {
    const task = await start(LONG)
    const waiting = task.graphql(wipeCache())
    await sayYes(await awaited())
    expect((await waiting).status).toBe(200)
    expect(carriedOut()).toHaveLength(1)
    expect(hasCache()).toBe(false)
    expect(await approvals()).toMatchObject([{ state: 'used' }])
    const lease = await guarded.context.store.read.lease(task.lease.id)
    expect(lease?.grants[0]?.requests).toEqual({ allowed: 0, denied: 0, approved: 1 })
  })

  it('passes once of two identical ones that wait for the same approval', async () => {
    const task = await start(LONG)
    const both = [task.graphql(upsert('x')), task.graphql(upsert('x'))]
    await sayYes(await awaited())
    const answers = await Promise.all(both)
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 403])
    expect(answers.map(codeOf)).toContain('approval_required')
    expect(carriedOut()).toHaveLength(1)
  })

  it('passes once when it is sent again after the approval, and not a second time', async () => {
    const task = await start(SHORT)
    expect(codeOf(await task.graphql(upsert('x')))).toBe('approval_required')
    const first = await asked()
    await sayYes(first)
    expect((await task.graphql(upsert('x'))).status).toBe(200)
    expect(codeOf(await task.graphql(upsert('x')))).toBe('approval_required')
    expect(carriedOut()).toHaveLength(1)
    expect((await asked()).id).not.toBe(first.id)
  })

  it('is the same one whatever its spelling and its noise', async () => {
    const task = await start(SHORT)
    await task.graphql(upsert('x'))
    await sayYes(await asked())
    const spelled = upsert('x').replace('mutation{', 'mutation { # again\n  ')
    const { status } = await task.graphql(
      spelled,
      {},
      { authorization: `Bearer ${task.phantom}`, 'user-agent': 'other/1', 'x-request-id': '7' },
    )
    expect(status).toBe(200)
    expect(carriedOut()).toHaveLength(1)
  })

  it('is still waiting for when its client goes away, and passes once when it is sent again', async () => {
    const task = await start(LONG)
    const socket = await task.tls('backboard.railway.com')
    const body = JSON.stringify({ query: upsert('x') })
    socket.write(
      `POST /graphql/v2 HTTP/1.1\r\nhost: backboard.railway.com\r\ncontent-type: application/json\r\nproject-access-token: ${task.phantom}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    const approval = await awaited()
    socket.destroy()
    while (guarded.context.approvals.isAwaited(approval.id)) {
      await new Promise((again) => setTimeout(again, 5))
    }
    await sayYes(approval)
    expect(carriedOut()).toEqual([])
    const again = await task.graphql(upsert('x'), undefined)
    expect(codeOf(again)).toBeUndefined()
    expect(carriedOut()).toHaveLength(1)
  })
})

describe('an approval is for exactly one request', () => {
  /** Approves `upsert("x")`, then sends something else. */
  async function approvedThen(send: (task: GuardedTask) => Promise<Answer>): Promise<Answer> {
    const task = await start(SHORT)
    await task.graphql(upsert('x'))
    const first = await asked()
    await sayYes(first)
    const answer = await send(task)
    expect(await guarded.context.store.read.approval(first.id)).toMatchObject({ state: 'approved' })
    expect(carriedOut()).toEqual([])
    return answer
  }

  const headers = (task: GuardedTask) => ({
    'content-type': 'application/json',
    'project-access-token': task.phantom,
  })

  it('not for another body', async () => {
    expect(codeOf(await approvedThen((task) => task.graphql(upsert('y'))))).toBe(
      'approval_required',
    )
  })

  it('not for the same body under another alias', async () => {
    const query = () => upsert('x').replace('{variableUpsert', '{a:variableUpsert')
    expect(codeOf(await approvedThen((task) => task.graphql(query())))).toBe('approval_required')
  })

  it('not for another operation beside it', async () => {
    const query = () => `${upsert('x').slice(0, -1)} __typename}`
    expect(codeOf(await approvedThen((task) => task.graphql(query())))).toBe('approval_required')
  })

  it('not with another header', async () => {
    const send = (task: GuardedTask) =>
      task.graphql(upsert('x'), {}, { ...headers(task), 'x-mode': 'force' })
    expect(codeOf(await approvedThen(send))).toBe('approval_required')
  })

  it('not at the other host', async () => {
    const send = (task: GuardedTask) =>
      task.send({
        ...{ method: 'POST', path: '/graphql/v2', host: 'backboard.railway.app' },
        headers: headers(task),
        body: JSON.stringify({ query: upsert('x') }),
      })
    expect(codeOf(await approvedThen(send))).toBe('approval_required')
  })

  it('not for another lease', async () => {
    const answer = await approvedThen(async () => (await guarded.issue()).graphql(upsert('x')))
    expect(codeOf(answer)).toBe('approval_required')
  })

  it('not for another tarball', async () => {
    const task = await start(SHORT)
    const { ids } = guarded.cloud
    const upload = (body: string) =>
      task.send({
        method: 'POST',
        path: `/project/${ids.shop}/environment/${ids.staging}/up?serviceId=${ids.web}`,
        headers: { 'project-access-token': task.phantom },
        body,
      })
    expect(codeOf(await upload('good tree'))).toBe('approval_required')
    await sayYes(await asked())
    expect(codeOf(await upload('evil tree'))).toBe('approval_required')
    expect(carriedOut()).toEqual([])
    expect((await upload('good tree')).status).toBe(200)
    expect(carriedOut()).toMatchObject([{ body: 'good tree' }])
  })
})

describe('what was approved is looked at again before it goes', () => {
  it('a volume that production has got meanwhile is refused, and the approval is not used', async () => {
    const task = await start(LONG)
    const waiting = task.graphql(wipeCache())
    const approval = await awaited()
    attachToProduction()
    await sayYes(approval)
    expect(codeOf(await waiting)).toBe('environment_mismatch')
    expect(carriedOut()).toEqual([])
    expect(hasCache()).toBe(true)
    expect(await guarded.context.store.read.approval(approval.id)).toMatchObject({
      state: 'approved',
    })
  })

  it('the same when it is sent again after the approval', async () => {
    const task = await start(SHORT)
    await task.graphql(wipeCache())
    await sayYes(await asked())
    attachToProduction()
    expect(codeOf(await task.graphql(wipeCache()))).toBe('environment_mismatch')
    expect(carriedOut()).toEqual([])
  })

  it('more that would go with it needs an approval of its own', async () => {
    const task = await start(LONG)
    const waiting = task.graphql(wipeCache())
    const approval = await awaited()
    const [backup] = guarded.cloud.world.backups.filter(
      ({ volumeInstanceId }) => volumeInstanceId === guarded.cloud.ids.cacheStaging,
    )
    if (!backup) throw new Error('the cache has no backup')
    const id = '33333333-3333-4333-8333-333333333333'
    guarded.cloud.world.backups.push({ ...backup, id, name: 'before-wipe' })
    await sayYes(approval)
    expect(codeOf(await waiting)).toBe('approval_required')
    expect(carriedOut()).toEqual([])
    expect(hasCache()).toBe(true)
  })
})

describe('a no', () => {
  it('is told with its reason, and stays one', async () => {
    const task = await start(LONG)
    const waiting = task.graphql(wipeCache())
    const { id } = await awaited()
    await deny(guarded.context, id, 'we need that cache', 'alice')
    const answer = await waiting
    expect(codeOf(answer)).toBe('approval_denied')
    expect(answer.text).toContain('we need that cache')
    expect(codeOf(await task.graphql(wipeCache()))).toBe('approval_denied')
    expect(await approvals()).toHaveLength(1)
    expect(carriedOut()).toEqual([])
    await expect(sayYes((await approvals())[0] as Approval)).rejects.toMatchObject({
      code: 'conflict',
      message: `approval "${id}" was denied, and stays so`,
    })
  })

  it('comes in time after a yes that was not used yet', async () => {
    const task = await start(SHORT)
    await task.graphql(wipeCache())
    const approval = await asked()
    await sayYes(approval)
    await deny(guarded.context, approval.id, null, 'alice')
    expect(codeOf(await task.graphql(wipeCache()))).toBe('approval_denied')
    expect(carriedOut()).toEqual([])
  })
})

describe('time', () => {
  it('a yes that is not used within ten minutes is worth nothing', async () => {
    const task = await start(SHORT)
    await task.graphql(wipeCache())
    const approval = await asked()
    await sayYes(approval)
    ahead = 600_000
    expect(codeOf(await task.graphql(wipeCache()))).toBe('approval_required')
    expect(carriedOut()).toEqual([])
    expect(await guarded.context.store.read.approval(approval.id)).toMatchObject({
      state: 'lapsed',
    })
  })

  it('a question that lapses while its request waits is a refusal', async () => {
    const task = await start(LONG)
    const waiting = task.graphql(wipeCache())
    await awaited()
    ahead = 600_000
    await lapseApprovals(guarded.context)
    expect(codeOf(await waiting)).toBe('approval_required')
    expect(carriedOut()).toEqual([])
  })

  it('a lease that ends while its request waits takes request and approval along', async () => {
    const task = await start(LONG)
    const waiting = task.graphql(wipeCache())
    const approval = await awaited()
    await revoke(guarded.context, task.lease.id, 'revoked_by_operator')
    expect(codeOf(await waiting)).toBe('lease_ended')
    await expect(sayYes(approval)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining(`approval "${approval.id}" has lapsed`),
    })
    expect(carriedOut()).toEqual([])
  })
})

describe('how many questions', () => {
  it('a fourth one is not asked while three are open', async () => {
    const task = await start(SHORT)
    for (const value of ['a', 'b', 'c']) await task.graphql(upsert(value))
    const answer = await task.graphql(upsert('d'))
    expect(codeOf(answer)).toBe('approval_required')
    const open = await approvals(true)
    expect(open).toHaveLength(3)
    for (const { id } of open) expect(answer.text).toContain(id)
    // One of the three still works, and makes room.
    await sayYes(open[0] as Approval)
    expect((await task.graphql(upsert('c'))).status).toBe(200)
    await task.graphql(upsert('d'))
    expect(await approvals(true)).toHaveLength(3)
    expect(carriedOut()).toHaveLength(1)
  })

  it('nobody is asked about what no person could allow', async () => {
    const task = await start(SHORT)
    const { pgdata, webStagingDeployment } = guarded.cloud.ids
    const elsewhere = `mutation{volumeDelete(volumeId:"${pgdata}")}`
    expect(codeOf(await task.graphql(elsewhere))).toBe('environment_mismatch')
    const denied = `${wipeCache().slice(0, -1)} deploymentRemove(id:"${webStagingDeployment}")}`
    expect(codeOf(await task.graphql(denied))).toBe('operation_denied')
    expect(await approvals()).toEqual([])
  })

  it('all of a document waits when a part of it does', async () => {
    const task = await start(SHORT)
    const { webStagingDeployment } = guarded.cloud.ids
    const both = `mutation{deploymentRestart(id:"${webStagingDeployment}") ${wipeCache().slice(9)}`
    expect(codeOf(await task.graphql(both))).toBe('approval_required')
    expect(await approvals(true)).toMatchObject([
      { operations: [{ name: 'deploymentRestart' }, { name: 'volumeDelete' }] },
    ])
    expect(carriedOut()).toEqual([])
  })
})

describe('names', () => {
  it('that the task itself may have given are told to be so, and not asked to be typed', async () => {
    const task = await start(SHORT)
    const { cache } = guarded.cloud.ids
    await task.graphql(`mutation{volumeUpdate(volumeId:"${cache}",input:{name:"junk"}){id}}`)
    await task.graphql(wipeCache())
    expect(await approvals(true)).toMatchObject([
      { typed: cache, targets: [{ kind: 'volume', id: cache, renamed: true }] },
    ])
  })
})

it('every decision is on record, with the approval it used', async () => {
  const task = await start(SHORT)
  await task.graphql(upsert('x'))
  const approval = await asked()
  await sayYes(approval)
  await task.graphql(upsert('x'))
  const told = (await task.entries())
    .filter(({ type }) => /^(?:approval|request)\./.test(type) && type !== 'request.ended')
    .map(({ type, data }) => [type, data['approval']])
  expect(told).toEqual([
    ['approval.requested', approval.id],
    ['request.denied', approval.id],
    ['approval.approved', approval.id],
    ['approval.used', approval.id],
    ['request.allowed', approval.id],
  ])
})
