import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Provider } from '../../src/providers/provider.ts'
import { createRailway } from '../../src/providers/railway/provider.ts'
import {
  connectionTo,
  json,
  questionOf,
  type Server,
  startServer,
  worldOf,
} from '../fixtures/railway/server.ts'

const TARGET = {
  project: '0a1b2c3d-0000-4000-8000-000000000001',
  environment: '0a1b2c3d-0000-4000-8000-000000000002',
}
const CANARY = 'canary-0a1b2c3d-0000-4000-8000'

let railway: Provider
let server: Server
let reply: (response: ServerResponse) => void

beforeEach(async () => {
  railway = createRailway()
  server = await startServer((_query, response) => reply(response))
})
afterEach(async () => {
  await railway.close?.()
  await server.close()
})

const locate = (changes: Parameters<typeof questionOf>[2] = {}, ca = server.ca) =>
  railway.guard?.locate(
    { kind: 'environment', id: TARGET.environment },
    questionOf(connectionTo({ url: server.url, ca }, CANARY), TARGET, { fresh: true, ...changes }),
  )

async function failed(changes?: Parameters<typeof questionOf>[2], ca?: string) {
  const error = await Promise.resolve(locate(changes, ca)).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  const { code, message, hint, details } = error as Record<string, string>
  expect(JSON.stringify([message, hint, details])).not.toContain('canary')
  return `${code}: ${message}`
}

const NONE = { edges: [], pageInfo: { hasNextPage: false } }
const OKAY = {
  data: {
    c0: { volumeInstances: NONE },
    c1: { serviceInstances: NONE },
    project: {
      ...{ id: TARGET.project, name: 'shop' },
      environments: {
        edges: [{ node: { id: TARGET.environment, name: 'staging' } }],
        pageInfo: { hasNextPage: false },
      },
    },
  },
}

const REFUSED = 'provider_failed: railway refused the token of "rail"'
const SILENT = 'provider_unavailable: railway does not answer for "rail"'
const STRANGE = 'provider_failed: the server of "rail" did not answer like railway'
const LIMITED = 'provider_unavailable: railway\'s rate limit of "rail" is used up'

describe('an answer of the API', () => {
  it.each<[string, string, (response: ServerResponse) => void]>([
    ['401', REFUSED, (to) => json(to, `no ${CANARY}`, 401)],
    ['403', REFUSED, (to) => json(to, { message: CANARY }, 403)],
    ['Not Authorized', REFUSED, (to) => json(to, { errors: [{ message: 'Not Authorized' }] })],
    [
      'an error beside data',
      'provider_failed: railway rejected a request with the token of "rail"',
      (to) => json(to, { data: { project: null }, errors: [{ message: `oh ${CANARY}` }] }),
    ],
    [
      'errors that say different things',
      'provider_failed: railway rejected a request with the token of "rail"',
      (to) => json(to, { errors: [{ message: 'Not Authorized' }, { message: 'Oh' }] }),
    ],
    [
      'a project that is not there',
      'provider_failed: railway found nothing by that id with the token of "rail"',
      (to) => json(to, { errors: [{ message: 'Project not found' }], data: null }),
    ],
    ['500', SILENT, (to) => json(to, { message: CANARY }, 500)],
    ['503', SILENT, (to) => json(to, 'busy', 503)],
    ['a cut connection', SILENT, (to) => void to.socket?.destroy()],
    ['a redirect', STRANGE, (to) => json(to, OKAY, 302, { location: 'https://127.0.0.1:1/' })],
    ['a redirect that keeps the method', STRANGE, (to) => json(to, OKAY, 308, { location: '/x' })],
    ['a page', STRANGE, (to) => json(to, `<html>${CANARY}</html>`)],
    ['a list', STRANGE, (to) => json(to, [])],
    ['no data', STRANGE, (to) => json(to, { data: null })],
    [
      'a body without an end',
      STRANGE,
      (to) => json(to, { ...OKAY, rest: 'x'.repeat(5 * 1024 * 1024) }),
    ],
  ])('that is %s is told in our own words', async (_, expected, answer) => {
    reply = answer
    expect(await failed()).toBe(expected)
    expect(server.documents).toHaveLength(1)
  })

  it('is taken where it is one', async () => {
    reply = (response) => json(response, OKAY)
    expect(await locate()).toMatchObject({ name: 'staging', project: { name: 'shop' } })
  })

  it.each([
    ['missing', undefined],
    ['null', { volumeInstances: null }],
    ['without an end', { volumeInstances: { edges: [] } }],
    ['without a way on', { volumeInstances: { edges: [], pageInfo: { hasNextPage: true } } }],
  ])('does not pass for an empty list that is %s', async (_, c0) => {
    reply = (response) => json(response, { data: { ...OKAY.data, c0 } })
    expect(await failed()).toBe('provider_failed: railway answered with a list that is not whole')
  })

  it('is not followed without an end', async () => {
    let cursor = 0
    reply = (response) => {
      const pageInfo = { hasNextPage: true, endCursor: String(cursor++) }
      const endless = { volumeInstances: { edges: [], pageInfo } }
      json(response, { data: { ...OKAY.data, c0: endless } })
    }
    expect(await failed()).toBe('provider_failed: there is too much at railway to look through')
    expect(server.documents.length).toBeLessThan(70)
  })

  it('never makes a server that is not vouched for see the credential', async () => {
    reply = (response) => json(response, { data: {} })
    const other = await startServer(() => {})
    expect(await failed({}, other.ca)).toBe(
      'provider_failed: the server of "rail" did not prove who it is',
    )
    expect(server.headers).toEqual([])
    await other.close()
  })

  it('is not waited for when the question is over', async () => {
    reply = () => {}
    expect(await failed({ world: worldOf({ signal: AbortSignal.timeout(50) }) })).toBe(SILENT)
  })
})

describe('the limits the API tells of', () => {
  const NOW = Date.parse('2026-01-02T03:04:05Z')
  async function until(status: number, headers: Readonly<Record<string, string>>) {
    reply = (response) => json(response, OKAY, status, headers)
    await Promise.resolve(locate({ world: worldOf({ now: () => NOW }) })).catch(() => {})
    const asked = server.documents.length
    const error = await Promise.resolve(locate({ world: worldOf({ now: () => NOW }) })).then(
      () => null,
      (thrown: { details: { until?: string } }) => thrown,
    )
    expect(server.documents.length).toBe(asked)
    const { until: at = '' } = error?.details ?? {}
    return (Date.parse(at) - NOW) / 1000
  }

  it.each<[string, number, number, Record<string, string>]>([
    ['seconds to wait', 30, 429, { 'retry-after': '30' }],
    ['a date', 90, 429, { 'retry-after': new Date(NOW + 90_000).toUTCString() }],
    ['nothing', 60, 429, {}],
    ['nonsense', 60, 429, { 'retry-after': 'soon' }],
    ['a time that is over', 60, 429, { 'retry-after': '-5' }],
    ['more than an hour', 3600, 429, { 'retry-after': '999999' }],
    [
      'the last call, and when it starts anew',
      120,
      200,
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW / 1000 + 120) },
    ],
    [
      'the last call, in milliseconds',
      120,
      200,
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(NOW + 120_000) },
    ],
    ['the last call, and no more', 60, 200, { 'x-ratelimit-remaining': '0' }],
  ])('are kept: %s', async (_, seconds, status, headers) => {
    expect(await until(status, headers)).toBe(seconds)
  })

  it('end when they end', async () => {
    const clock = { now: NOW }
    const world = worldOf({ now: () => clock.now })
    reply = (response) => json(response, '', 429, { 'retry-after': '30' })
    expect(await failed({ world })).toBe(LIMITED)
    reply = (response) => json(response, { errors: [{ message: 'Not Authorized' }] })
    clock.now += 29_999
    expect(await failed({ world })).toBe(LIMITED)
    clock.now += 1
    expect(await failed({ world })).toBe(REFUSED)
    // A clock that was set back by more than any limit lasts does not keep us from asking.
    reply = (response) => json(response, '', 429, { 'retry-after': '3000' })
    expect(await failed({ world })).toBe(LIMITED)
    clock.now -= 7_200_000
    reply = (response) => json(response, { errors: [{ message: 'Not Authorized' }] })
    expect(await failed({ world })).toBe(REFUSED)
  })
})
