import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Cloud, startCloud } from '../../src/demo/cloud/cloud.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import type { Connection, MintRequest, Provider, World } from '../../src/providers/provider.ts'
import { createRailway } from '../../src/providers/railway/provider.ts'
import { connectionTo, INSTALL, json, startServer, worldOf } from '../fixtures/railway/server.ts'

const LEASE = 'lse_01hgw2bbg00000000000000000'
const NAME = `broker-${INSTALL}-${LEASE}-rail`

let cloud: Cloud
let railway: Provider
let account: Connection
let world: World

beforeEach(async () => {
  cloud = await startCloud()
  railway = createRailway()
  account = connectionTo(cloud, cloud.accountToken)
  world = worldOf()
})
afterEach(async () => {
  await railway.close?.()
  await cloud.close()
})

function wanted(changes: JsonObject = {}): MintRequest {
  return {
    lease: LEASE,
    grant: 'rail',
    environment: 'staging',
    operations: ['variables'],
    target: { project: cloud.ids.shop, environment: cloud.ids.staging, ...changes },
    notAfter: Date.now() + 60_000,
    principal: 'alice',
  }
}

const plan = (connection = account, changes: JsonObject = {}) =>
  railway.plan(wanted(changes), INSTALL, connection)
const mint = (connection = account, changes: JsonObject = {}) =>
  railway.mint(wanted(changes), plan(connection, changes), connection, world)
const tokens = () => cloud.world.projectTokens.map(({ name }) => name)
const ours = () => tokens().filter((name) => name.startsWith('broker-'))
const storedToken = (token = cloud.projectTokens.staging) =>
  connectionTo(cloud, token, { token: 'project' })

describe('a mint at railway', () => {
  it('fails when nothing answers, instead of giving out the wider token alone', async () => {
    cloud.fail('down')
    await expect(mint()).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: 'railway does not answer for "rail"',
    })
  })

  it.each([
    ['500', 'provider_unavailable', 'railway does not answer for "rail"'],
    ['hang', 'provider_unavailable', 'railway does not answer for "rail"'],
  ] as const)('fails when the answer is %s', async (mode, code, message) => {
    cloud.fail(mode)
    const impatient = worldOf({ signal: AbortSignal.timeout(500) })
    const minting = railway.mint(wanted(), plan(), account, impatient)
    await expect(minting).rejects.toMatchObject({ code, message })
  })

  it('fails for a credential that is refused everything', async () => {
    cloud.fail('not-authorized')
    await expect(mint()).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'railway refused the token of "rail"',
    })
  })

  it('fails for an environment that is not there, or not in that project', async () => {
    const nowhere = { environment: '00000000-0000-4000-8000-000000000000' }
    await expect(mint(account, nowhere)).rejects.toMatchObject({ code: 'provider_failed' })
    await expect(mint(account, { project: cloud.ids.billing })).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'railway found nothing by that id with the token of "rail"',
    })
    expect(ours()).toEqual([])
  })

  it('plans the name before it asks, with lease and grant in it', async () => {
    expect(plan()).toEqual({
      name: NAME,
      project: cloud.ids.shop,
      environment: cloud.ids.staging,
      mints: true,
    })
    const minted = await mint()
    const row = cloud.world.projectTokens.find(({ name }) => name === NAME)
    expect(row).toMatchObject({ projectId: cloud.ids.shop, environmentId: cloud.ids.staging })
    expect(minted.handle).toEqual({ tokenId: row?.id })
    expect(minted.proxied?.minted?.reveal()).toBe(row?.token)
    expect(minted.expiresAt).toBeNull()
    expect(minted.variables.reveal()).toEqual({
      RAILWAY_TOKEN: minted.proxied?.phantom.reveal(),
      RAILWAY_PROJECT_ID: cloud.ids.shop,
      RAILWAY_ENVIRONMENT_ID: cloud.ids.staging,
      RAILWAY_NO_TELEMETRY: '1',
      RAILWAY_NO_AUTO_UPDATE: '1',
    })
  })

  it('has one belt, and says so, where the credential may make no tokens', async () => {
    const front = await startServer((query, response) =>
      json(
        response,
        query.startsWith('query{project(id:')
          ? { data: { project: { id: cloud.ids.shop } } }
          : { errors: [{ message: 'Not Authorized' }] },
      ),
    )
    const minted = await mint(connectionTo(front, 'account'))
    await front.close()
    expect(minted.proxied?.minted).toBeNull()
    expect(minted.handle).toEqual({ tokenId: null })
    expect(minted.notes).toEqual([
      '"rail" may not make project tokens: requests go with its own token',
    ])
    expect(minted.variables.reveal()['RAILWAY_TOKEN']).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('asks nobody where no token is wanted', async () => {
    const minted = await mint(account, { projectToken: false })
    expect(minted).toMatchObject({ handle: { tokenId: null }, notes: [] })
    expect(minted.proxied?.minted).toBeNull()
    expect(cloud.record).toEqual([])
  })

  it('refuses a stored project token of another environment', async () => {
    const wrong = storedToken(cloud.projectTokens.production)
    await expect(mint(wrong)).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'the project token of "rail" belongs to another environment than the lease',
    })
    const minted = await mint(storedToken())
    expect(minted.handle).toEqual({ tokenId: null })
    expect(minted.proxied?.minted).toBeNull()
  })

  it('finds the id by the name where the new token is not known everywhere yet', async () => {
    const front = await startServer(async (query, response) => {
      if (query.includes('projectTokenCreate')) {
        return json(response, { data: { projectTokenCreate: 'a-brand-new-project-token' } })
      }
      if (query.includes('projectTokens(')) {
        const place = { environmentId: cloud.ids.staging }
        const edges = [
          { node: { id: 'other', name: `${NAME}x`, ...place } },
          { node: { id: 'mine', name: NAME, ...place } },
        ]
        return json(response, { data: { c0: { edges, pageInfo: { hasNextPage: false } } } })
      }
      json(response, { errors: [{ message: 'Not Authorized' }] })
    })
    const minted = await mint(connectionTo(front, 'account'))
    expect(minted.handle).toEqual({ tokenId: 'mine' })
    await front.close()
  })

  it.each([
    ['elsewhere', { id: 'id', projectId: 'p', environmentId: 'e' }],
    ['without an id', {}],
  ])('refuses a token that turns out to be %s', async (_, projectToken) => {
    const front = await startServer(async (query, response) => {
      const data = query.includes('Create')
        ? { projectTokenCreate: 'a-brand-new-project-token' }
        : { projectToken }
      json(response, { data })
    })
    await expect(mint(connectionTo(front, 'account'))).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'the server of "rail" did not answer like railway',
    })
    await front.close()
  })
})

describe('a revocation at railway', () => {
  const revoke = (recipe: JsonObject, handle: JsonObject | null = null, connection = account) =>
    railway.revoke(recipe, handle, connection, world)

  it('finds what a mint left behind whose answer was lost, and deletes it', async () => {
    const recipe = plan()
    cloud.fail('lost')
    await expect(railway.mint(wanted(), recipe, account, world)).rejects.toMatchObject({
      code: 'provider_unavailable',
    })
    cloud.fail('off')
    expect(ours()).toEqual([NAME])
    expect(await revoke(recipe)).toEqual({ outcome: 'revoked', notes: [] })
    expect(ours()).toEqual([])
    expect(await revoke(recipe)).toEqual({ outcome: 'absent' })
  })

  it('never touches another name', async () => {
    const { handle } = await mint()
    const row = cloud.world.projectTokens.find(({ name }) => name === NAME)
    if (!row) throw new Error('nothing was minted')
    const near = [`${NAME}-2`, NAME.slice(0, -1), `x${NAME}`, NAME.toUpperCase(), ' ', 'broker-']
    for (const name of near) cloud.world.projectTokens.push({ ...row, id: name, name })
    const before = tokens()
    expect(await revoke(plan(), handle as JsonObject)).toMatchObject({ outcome: 'revoked' })
    expect(await revoke(plan())).toEqual({ outcome: 'absent' })
    expect(tokens()).toEqual(before.filter((name) => name !== NAME))
    await expect(revoke({ ...plan(), name: 'ci-staging' })).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'the token "ci-staging" is not of this installation',
    })
    expect(tokens()).toEqual(before.filter((name) => name !== NAME))
  })

  it('is not done where the upstream is silent or says no', async () => {
    const { handle } = await mint()
    for (const mode of ['down', '500'] as const) {
      cloud.fail(mode)
      await expect(revoke(plan(), handle as JsonObject)).rejects.toMatchObject({
        code: 'provider_unavailable',
      })
    }
    cloud.fail('not-authorized')
    await expect(revoke(plan(), handle as JsonObject)).rejects.toMatchObject({
      code: 'provider_failed',
      message: 'railway refused the token of "rail"',
    })
    cloud.fail('off')
    expect(ours()).toEqual([NAME])
  })

  it('is tried although the rate limit was used up a moment ago', async () => {
    const { handle } = await mint()
    cloud.limit(0)
    await expect(revoke(plan(), handle as JsonObject)).rejects.toMatchObject({
      code: 'provider_unavailable',
      message: 'railway\'s rate limit of "rail" is used up',
    })
    cloud.limit(100)
    expect(await revoke(plan(), handle as JsonObject)).toMatchObject({ outcome: 'revoked' })
  })

  it('has nothing to do where nothing can have been minted', async () => {
    cloud.fail('down')
    expect(await revoke(plan(storedToken()), null, storedToken())).toEqual({ outcome: 'absent' })
    expect(await revoke(plan(account, { projectToken: false }))).toEqual({ outcome: 'absent' })
    expect(await revoke(plan(), { tokenId: null })).toEqual({ outcome: 'absent' })
    expect(cloud.record).toEqual([])
  })

  it('does not call a token dead that the stored one cannot delete any more', async () => {
    const { handle } = await mint()
    await expect(revoke(plan(), handle as JsonObject, storedToken())).rejects.toMatchObject({
      code: 'provider_failed',
      message: `the project token of "rail" cannot delete the token "${NAME}"`,
    })
    expect(ours()).toEqual([NAME])
  })

  it('ends tokens of projects that are gone', async () => {
    const { handle } = await mint()
    cloud.world.projectTokens.length = 0
    cloud.world.projects.length = 0
    expect(await revoke(plan(), handle as JsonObject)).toEqual({ outcome: 'absent' })
  })
})

describe('the list of what is live at railway', () => {
  it('has the tokens of this installation in every project, and their leases', async () => {
    await mint()
    const [row] = cloud.world.projectTokens
    if (!row) throw new Error('no token')
    const add = (name: string, projectId = row.projectId) =>
      cloud.world.projectTokens.push({ ...row, id: name, name, projectId })
    add(`broker-${INSTALL}-probe-00`)
    add(`broker-${INSTALL}-${LEASE}-billing`, cloud.ids.billing)
    add(`broker-99999999-${LEASE}-rail`)
    add(`broker-${INSTALL}x-${LEASE}-rail`)
    const listed = (await railway.list?.(account, world)) ?? []
    const found = listed.map(({ recipe, lease }) => [recipe['name'], recipe['project'], lease])
    const { shop, billing } = cloud.ids
    expect(found.sort()).toEqual([
      [`broker-${INSTALL}-${LEASE}-billing`, billing, LEASE],
      [NAME, shop, LEASE],
      [`broker-${INSTALL}-probe-00`, shop, null],
    ])
    for (const { recipe } of listed) {
      expect(await railway.revoke(recipe, null, account, world)).toMatchObject({
        outcome: 'revoked',
      })
    }
    expect(await railway.list?.(account, world)).toEqual([])
  })

  it('is empty for a stored project token, and fails for one that is refused', async () => {
    expect(await railway.list?.(storedToken(), world)).toEqual([])
    cloud.fail('down')
    await expect(railway.list?.(account, world)).rejects.toMatchObject({
      code: 'provider_unavailable',
    })
  })
})
