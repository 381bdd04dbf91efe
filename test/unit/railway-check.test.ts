import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import type { Connection, Provider } from '../../src/providers/provider.ts'
import { createRailway } from '../../src/providers/railway/provider.ts'
import {
  connectionTo,
  INSTALL,
  json,
  sendOn,
  startServer,
  worldOf,
} from '../fixtures/railway/server.ts'

let cloud: Cloud
let railway: Provider
let account: Connection

beforeEach(async () => {
  cloud = await startCloud()
  railway = createRailway()
  account = connectionTo(cloud, cloud.accountToken)
})
afterEach(async () => {
  await railway.close?.()
  await cloud.close()
})

const check = async (connection: Connection) =>
  ((await railway.check?.(connection, worldOf())) ?? []).map(
    ({ level, message }) => `${level}: ${message}`,
  )
const narrowness = async (
  changes: { probe?: boolean; connection?: Connection; projectToken?: boolean } = {},
) => {
  const { probe = false, connection = account, projectToken = true } = changes
  const target = { project: cloud.ids.shop, environment: cloud.ids.staging, projectToken }
  const grant = { target, operations: ['variables'], connection, probe }
  return (await railway.narrowness?.(grant, worldOf())) ?? []
}
const stored = (token: string) => connectionTo(cloud, token, { token: 'project' })
const ours = () => cloud.world.projectTokens.filter(({ name }) => name.startsWith('broker-'))

describe('the check of a connection', () => {
  it('refuses a token that opens nothing', async () => {
    await expect(check(connectionTo(cloud, 'no-such-token'))).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'railway refused the token of "rail"',
    })
  })

  it('says so where only the kind of token is wrong', async () => {
    const { staging } = cloud.projectTokens
    await expect(check(connectionTo(cloud, staging))).rejects.toMatchObject({
      message: 'the secret of "rail" is a project token',
      hint: 'connect it again: --set token=project',
    })
    await expect(check(stored(cloud.accountToken))).rejects.toMatchObject({
      message: 'the secret of "rail" is an account or workspace token',
      hint: 'connect it again: leave out --set token=project',
    })
  })

  it('fails when nothing answers', async () => {
    cloud.fail('down')
    await expect(check(account)).rejects.toMatchObject({ code: 'provider_unavailable' })
  })

  it('says how much too wide an account token is', async () => {
    expect(await check(account)).toEqual([
      'ok: account token of "Founder"',
      'warning: reaches 2 projects, 3 environments, and can delete all of them with their volumes and backups',
    ])
  })

  it('knows a workspace token by what it may not ask', async () => {
    const [row] = cloud.world.apiTokens
    if (!row) throw new Error('no token')
    cloud.world.apiTokens.push({
      ...{ ...row, id: 'w', token: 'workspace-token' },
      workspaceId: cloud.ids.workspace,
    })
    const [first] = await check(connectionTo(cloud, 'workspace-token'))
    expect(first).toBe('ok: workspace token')
    const named = connectionTo(cloud, 'workspace-token', { token: 'workspace' })
    expect((await check(named))[0]).toBe('ok: workspace token')
  })

  it('names the one place of a project token', async () => {
    expect((await check(stored(cloud.projectTokens.staging)))[0]).toBe(
      'ok: project token "ci-staging": environment "staging" of project "shop" and nothing else',
    )
  })

  it('lets no name of the upstream reach a terminal as it is', async () => {
    const token = cloud.world.projectTokens.find(({ id }) => id === cloud.ids.stagingToken)
    if (!token) throw new Error('no token')
    token.name = 'a\u001b[31m"b\n\u202ec'
    const [first] = await check(stored(cloud.projectTokens.staging))
    expect(first).toContain('project token "a?[31m\\"b??c"')
  })
})

describe('the proof of narrowness', () => {
  const lines = (list: Awaited<ReturnType<typeof narrowness>>) =>
    list.map(({ by, message, probed }) => `${by}${probed ? ' (tried)' : ''}: ${message}`)

  it('leaves nothing behind when it fails half-way', async () => {
    const front = await startServer(async (query, response) => {
      if (query.includes('variables(')) return json(response, 'busy', 500)
      const answer = await sendOn(cloud, query, front.headers.at(-1))
      json(response, answer)
    })
    await expect(
      narrowness({ probe: true, connection: connectionTo(front, cloud.accountToken) }),
    ).rejects.toMatchObject({ code: 'provider_unavailable' })
    expect(cloud.record.some(({ body }) => body.includes('projectTokenCreate'))).toBe(true)
    expect(ours()).toEqual([])
    await front.close()
  })

  it('leaves nothing behind when the answer to its making is lost', async () => {
    const front = await startServer(async (query, response) => {
      const answer = await sendOn(cloud, query, front.headers.at(-1))
      if (query.includes('projectTokenCreate')) return void response.socket?.destroy()
      json(response, answer)
    })
    await expect(
      narrowness({ probe: true, connection: connectionTo(front, cloud.accountToken) }),
    ).rejects.toMatchObject({ code: 'provider_unavailable' })
    expect(cloud.record.some(({ body }) => body.includes('projectTokenCreate'))).toBe(true)
    expect(ours()).toEqual([])
    await front.close()
  })

  it('says by name what it could not clean up', async () => {
    const front = await startServer(async (query, response) => {
      if (query.includes('projectTokenDelete')) return json(response, 'busy', 500)
      json(response, await sendOn(cloud, query, front.headers.at(-1)))
    })
    await expect(
      narrowness({ probe: true, connection: connectionTo(front, cloud.accountToken) }),
    ).rejects.toMatchObject({
      code: 'provider_failed',
      message: expect.stringMatching(
        new RegExp(
          `^the probe's token "broker-${INSTALL}-probe-[0-9a-f]{16}" could not be deleted$`,
        ),
      ),
    })
    await front.close()
    // What is left has a name that the reconciler finds.
    const [left] = (await railway.list?.(account, worldOf())) ?? []
    expect(left?.recipe['name']).toBe(ours()[0]?.name)
  })

  it('says that only the proxy holds where railway lets a token read too much', async () => {
    const front = await startServer(async (query, response) => {
      if (query.includes('variables(')) return json(response, { data: { variables: {} } })
      json(response, await sendOn(cloud, query, front.headers.at(-1)))
    })
    const found = await narrowness({
      probe: true,
      connection: connectionTo(front, cloud.accountToken),
    })
    expect(lines(found)).toContain(
      'proxy (tried): railway let a minted project token read the variables of another environment: only the proxy holds that back',
    )
    await front.close()
  })

  it('does not take an error of another kind for a refusal', async () => {
    const front = await startServer(async (query, response) => {
      if (query.includes('variables(')) {
        return json(response, { errors: [{ message: 'Problem processing request' }] })
      }
      json(response, await sendOn(cloud, query, front.headers.at(-1)))
    })
    const connection = connectionTo(front, cloud.accountToken)
    expect(lines(await narrowness({ probe: true, connection }))).toContain(
      'nobody (tried): railway did not say whether a minted project token may read the variables of another environment',
    )
    await front.close()
  })

  it('tries what a minted token must not do, and that it dies', async () => {
    const before = cloud.world.projectTokens.length
    const found = lines(await narrowness({ probe: true }))
    expect(found.slice(0, 3)).toEqual([
      'provider (tried): a minted project token cannot see the account',
      'provider (tried): a minted project token cannot read the variables of another environment, "production"',
      'provider (tried): a deleted project token stops working',
    ])
    expect(cloud.world.projectTokens.length).toBe(before)
    const who = new Set(cloud.record.map(({ authorised }) => authorised))
    expect([...who].some((each) => each?.includes('probe-'))).toBe(true)
  })

  it('asks nobody without a probe', async () => {
    const found = lines(await narrowness())
    expect(found.some((line) => line.includes('(tried)'))).toBe(false)
    expect(found.filter((line) => line.startsWith('nobody:')).length).toBeGreaterThan(3)
    const { size } = railway.catalogue.operations
    expect(found).toContain(
      `proxy: 1 of ${size} operations pass, each judged by what its payload does`,
    )
    expect(cloud.record).toEqual([])
  })

  it('does not claim a second belt that is not there', async () => {
    const without = lines(await narrowness({ projectToken: false, probe: true }))
    expect(without[0]).toBe('nobody: no project token is minted: railway itself limits nothing')
    const own = lines(await narrowness({ connection: stored(cloud.projectTokens.staging) }))
    expect(own[0]).toBe(
      'provider: the stored project token is limited to one environment of one project',
    )
    const front = await startServer(async (query, response) => {
      const refused = { errors: [{ message: 'Not Authorized' }] }
      const answer = await sendOn(cloud, query, front.headers.at(-1))
      json(response, query.includes('mutation') ? refused : answer)
    })
    const connection = connectionTo(front, cloud.accountToken)
    expect(lines(await narrowness({ probe: true, connection }))[0]).toMatch(
      /^nobody \(tried\): the stored token may not make project tokens/,
    )
    await front.close()
  })
})
