import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ProxiedProduct } from '../fixtures/proxied.ts'
import type { AgentTask } from '../fixtures/proxied-agent.ts'
import { API, BEARER, codeOf, graphql, nameOf } from '../fixtures/proxied-requests.ts'

let broker: ProxiedProduct
let task: AgentTask
let before = 0
beforeAll(async () => {
  broker = await ProxiedProduct.start()
  task = await broker.startAgent()
})
afterAll(() => broker?.dispose())
beforeEach(() => {
  before = broker.cloud.record.length
})

/** What the task sent: the broker itself asks now and then, with the key of the account. */
const arrived = () =>
  broker.cloud.record
    .slice(before)
    .filter(({ headers }) => !headers.some(([, value]) => value === 'broker'))
const staging = () => broker.cloud.ids.staging
const WHICH = 'query($id:String!){environment(id:$id){name}}'
const question = () => JSON.stringify({ query: WHICH, variables: { id: staging() } })
const TYPE = ['-H', 'content-type: application/json']
const curl = (...args: string[]) =>
  task.run('curl', ['-sS', ...TYPE, ...args], { input: question() })

/** A client that is not on this machine is not tested, and says so; where all are required, it fails. */
function withClient(file: string, name: string, test: () => Promise<void>) {
  const present =
    spawnSync(file, ['--version']).status === 0 || process.env['BROKER_TEST_CLIENTS'] === 'required'
  if (!present) console.warn(`SKIPPED: ${name}: "${file}" is missing`)
  it.skipIf(!present)(name, test)
}

/** Answered out of the cloud, which saw the lease's own token alone, in its own header. */
function expectPassed(text: string | undefined): void {
  expect(text).toContain('"name":"staging"')
  expect(arrived().length).toBeGreaterThan(0)
  const minted = broker.made.at(-1)?.token
  for (const { headers } of arrived()) {
    expect(headers).toContainEqual(['project-access-token', minted])
    expect(headers.map(([name]) => name.toLowerCase())).not.toContain('authorization')
  }
  expect(broker.left(task.phantom)).toBe(false)
}

describe('what a task of broker exec may not', () => {
  const volume = (name: 'pgdata' | 'orders' | 'cache') => {
    return graphql('mutation($id:String!){volumeDelete(volumeId:$id)}', {
      id: broker.cloud.ids[name],
    })
  }

  it.each([
    ['a volume that production shares', () => volume('pgdata'), 'environment_mismatch'],
    ['a volume of production', () => volume('orders'), 'environment_mismatch'],
    [
      'what its template does not name',
      () => graphql(`mutation{serviceDelete(id:"${broker.cloud.ids.api}")}`),
      'operation_denied',
    ],
    [
      'the production environment',
      () => nameOf(broker.cloud.ids.production),
      'environment_mismatch',
    ],
    [
      'to come without a credential',
      () => ({ ...nameOf(staging()), headers: TYPE_ONLY }),
      'credential_missing',
    ],
    [
      'a key that it found',
      () => graphql(WHICH, { id: staging() }, { 'project-access-token': `@{${broker.foundKey}}` }),
      'foreign_credential',
    ],
  ])('%s: refused, and nothing reaches the cloud but look-ups', async (_name, wish, code) => {
    const told = await task.send(wish())
    expect([told.status, told.decision, codeOf(told)]).toEqual([403, 'deny', code])
    expect(arrived().every(({ body }) => !body.includes('mutation'))).toBe(true)
    expect(broker.cloud.world.volumes).toHaveLength(3)
  })

  it('nor any of it over curl in the other form', async () => {
    const input = JSON.stringify({
      query: `mutation{volumeDelete(volumeId:"${broker.cloud.ids.pgdata}")}`,
    })
    const args = [
      '-sS',
      ...TYPE,
      '-H',
      'authorization: Bearer $RAILWAY_TOKEN',
      '-d',
      '@-',
      '-w',
      '%{http_code}',
      API,
    ]
    const { out } = await task.run('curl', args, { input })
    expect(out).toContain('"code":"environment_mismatch"')
    expect(out?.endsWith('403')).toBe(true)
  })

  it('nor to reach anything without its proxy’s certificate in the way', async () => {
    const { code, err } = await curl('--cacert', '/etc/hostname', API)
    expect(code).not.toBe(0)
    expect(err).toMatch(/certificate/i)
    expect(arrived()).toEqual([])
  })
})

describe('what a task of broker exec may', () => {
  withClient('curl', 'curl as a bearer, with the task’s own roots', async () => {
    expectPassed((await curl('-H', 'authorization: Bearer $RAILWAY_TOKEN', '-d', '@-', API)).out)
  })

  withClient('curl', 'curl with the header of project tokens, over HTTP/2', async () => {
    const header = ['-H', 'project-access-token: $RAILWAY_TOKEN']
    expectPassed((await curl('--http2', ...header, '-d', '@-', API)).out)
  })

  it('fetch of Node in both forms', async () => {
    for (const headers of [BEARER, undefined]) {
      expectPassed((await task.send(graphql(WHICH, { id: staging() }, headers))).text)
    }
  })

  withClient('wget', 'wget, which reads its roots from no variable', async () => {
    const headers = ['authorization: Bearer $RAILWAY_TOKEN', 'content-type: application/json']
    const args = ['-qO-', ...headers.map((header) => `--header=${header}`)]
    const { out, err } = await task.run('wget', [...args, `--post-data=${question()}`, API])
    expect(err).toBe('')
    expectPassed(out)
  })

  withClient('python3', 'urllib of Python', async () => {
    const program = [
      'import os, sys, urllib.request',
      'headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["RAILWAY_TOKEN"]}',
      `request = urllib.request.Request("${API}", data=sys.stdin.buffer.read(), headers=headers)`,
      'print(urllib.request.urlopen(request, timeout=30).read().decode())',
    ].join('\n')
    writeFileSync(join(broker.tree, 'ask.py'), program)
    const { out, err } = await task.run('python3', ['ask.py'], { input: question() })
    expect(err).toBe('')
    expectPassed(out)
  })

  it('a change in its own environment arrives as one, with the token of this lease', async () => {
    const input = {
      ...{
        projectId: broker.cloud.ids.shop,
        environmentId: staging(),
        serviceId: broker.cloud.ids.web,
      },
      ...{ name: 'LOG_LEVEL', value: 'debug', skipDeploys: true },
    }
    const told = await task.send(
      graphql('mutation($input:VariableUpsertInput!){variableUpsert(input:$input)}', { input }),
    )
    expect(told.status).toBe(200)
    const level = broker.cloud.world.variables.find(
      (row) => row.name === 'LOG_LEVEL' && row.environmentId === staging(),
    )
    expect(level?.value).toBe('debug')
    expect(broker.mutations()).toHaveLength(1)
    expect(broker.left(task.phantom)).toBe(false)
  })

  withClient('git', 'git clones with what it finds in its environment', async () => {
    broker.forge.makeRepository(broker.folder)
    const { code, err } = await task.run('git', [
      'clone',
      '-q',
      'https://forge.example/shop/site',
      'copy',
    ])
    expect([code, err]).toEqual([0, ''])
    expect(readFileSync(join(broker.tree, 'copy', 'page.html'), 'utf8')).toBe('hello\n')
    expect(
      broker.forge.arrived.filter(({ line }) => line.includes('/shop/site/')).length,
    ).toBeGreaterThan(2)
    expect(broker.forge.arrived.every(({ authorised }) => authorised)).toBe(true)
    expect(broker.left(task.env['FORGE_TOKEN'] ?? '')).toBe(false)
  })

  withClient('git', 'git is refused the repository of somebody else', async () => {
    const { code, err } = await task.run('git', ['ls-remote', 'https://forge.example/billing/site'])
    expect(code).not.toBe(0)
    expect(err).toContain('403')
    expect(broker.forge.arrived.some(({ line }) => line.includes('/billing/'))).toBe(false)
  })
})

describe('afterwards', () => {
  it('the found key is told at the end, its tokens are dead and its certificates are gone', async () => {
    const { status, err } = await task.finish()
    expect(status).toBe(0)
    expect(err).toMatch(
      /\nbroker: a key that is not this lease's was tried at backboard\.railway\.com \(fingerprint \w{8}…, once, refused\): broker audit show lse_\w+\n/,
    )
    expect(err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
    await broker.settled()
    expect(existsSync(task.env['SSL_CERT_FILE'] ?? '')).toBe(false)
    const lease = await broker.lease(task.lease)
    expect(lease).toMatchObject({ state: 'revoked', endReason: 'task_ended' })
    expect(lease.foreignCredentials).toMatchObject([{ host: 'backboard.railway.com', times: 1 }])
  })

  it('each decision stands in the log before its outcome', async () => {
    const entries = await broker.entries(task.lease)
    const about = (type: string) => entries.filter((entry) => entry.type === type)
    expect(about('request.denied').length).toBeGreaterThanOrEqual(8)
    const allowed = about('request.allowed').map(({ data }) => data['request'])
    const ended = about('request.ended').map(({ data }) => data['request'])
    expect(ended.toSorted()).toEqual(allowed.toSorted())
    for (const id of allowed) {
      const at = (type: string) =>
        entries.findIndex((e) => e.type === type && e.data['request'] === id)
      expect(at('request.allowed')).toBeLessThan(at('request.ended'))
    }
    await broker.must(['audit', 'verify'])
  })

  it('no secret was seen anywhere', async () => {
    expect(await broker.sightings()).toEqual([])
    expect(broker.canary.size).toBeGreaterThanOrEqual(4)
  })
})

const TYPE_ONLY = { 'content-type': 'application/json' }
