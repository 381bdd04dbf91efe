// The entry points of the action as a runner starts them, against servers that can be told to fail.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  CiBroker,
  HANDLE,
  KEY,
  LEASE,
  REQUEST_TOKEN,
  SECRET,
  VARIABLES,
} from '../fixtures/ci-broker.ts'
import { CiRunner, type StepResult } from '../fixtures/ci-runner.ts'

const CREDENTIALS = `/v1/leases/${LEASE}/credentials`
const ACK = `/v1/leases/${LEASE}/ack`
/** Of each secret a piece that must not be seen. */
const CANARIES = [
  HANDLE,
  SECRET,
  'canary-line-one',
  'canary-line-two',
  'canary%2Dpassword',
  'canary-password',
  REQUEST_TOKEN,
]

let github: CiBroker
let broker: CiBroker
let runner: CiRunner
let inputs: Record<string, string>

beforeAll(async () => {
  github = await CiBroker.open()
  broker = await CiBroker.open()
})
beforeEach(() => {
  for (const server of [github, broker]) server.reset()
  runner = new CiRunner({ ...github.github, NODE_EXTRA_CA_CERTS: '' })
  const roots = (name: string, text: string) => {
    const file = join(runner.folder, name)
    writeFileSync(file, text)
    return file
  }
  runner.job['NODE_EXTRA_CA_CERTS'] = roots('github.pem', github.ca)
  inputs = { server: broker.url, environment: 'ci', 'ca-file': roots('broker.pem', broker.ca) }
})
afterEach(() => runner.dispose())
afterAll(() => Promise.all([github.close(), broker.close()]))

const revoked = () => broker.asked.filter(({ path }) => path === '/oauth/revoke')

const exported = () => ({
  ...VARIABLES,
  BROKER_SERVER: broker.url,
  BROKER_CA_FILE: inputs['ca-file'],
})

function expectNoSecret({ log, annotations }: StepResult): void {
  for (const canary of CANARIES) expect(log + annotations.join('\n')).not.toContain(canary)
}

describe('the step', () => {
  it.each([
    ['server', '', 'input "server" is missing'],
    ['environment', ' ', 'input "environment" is missing'],
    ['server', 'http://broker.example', '"http://broker.example" is not the address of a server'],
    ['ttl', 'soon', 'input "ttl" is no duration: "soon"'],
    ['export', 'yes', 'input "export" is neither true nor false'],
    ['ca-file', '/nowhere', 'the roots in "/nowhere" cannot be read'],
  ])('asks for nothing when "%s" is "%s"', async (name, value, message) => {
    const result = await runner.action('main', { ...inputs, [name]: value })
    expect(result.status).toBe(1)
    expect(result.annotations[0]).toContain(`error: broker: ${message}`)
    expect([...github.asked, ...broker.asked]).toEqual([])
  })

  it('says which permission the job lacks', async () => {
    delete runner.job['ACTIONS_ID_TOKEN_REQUEST_URL']
    const result = await runner.action('main', inputs)
    expect(result.status).toBe(1)
    expect(result.annotations).toEqual([
      expect.stringMatching(/may not ask GitHub.*\nhint: give it "permissions: id-token: write"/),
    ])
    expect(broker.asked).toEqual([])
  })

  it('does not give the identity to a server with a certificate of somebody else', async () => {
    const result = await runner.action('main', { ...inputs, 'ca-file': '' })
    expect(result.status).toBe(1)
    expect(result.annotations[0]).toContain(
      `the certificate of "${broker.url}" is not signed by a root`,
    )
    expect(broker.asked).toEqual([])
  })

  it('fails, with nothing in the environment, when the identity is refused', async () => {
    const body = {
      error: 'invalid_request',
      error_description: 'the subject token is not accepted',
    }
    broker.next.set('/oauth/token', [{ status: 400, body }])
    const result = await runner.action('main', inputs)
    expect(result.status).toBe(1)
    expect(result.annotations[0]).toContain('the server does not accept the identity token')
    expect(runner.env).toEqual({})
    expectNoSecret(result)

    const post = await runner.action('post', inputs)
    expect(post).toMatchObject({ status: 0, log: 'broker: there is no lease to revoke\n' })
    expect(revoked()).toEqual([])
  })

  it('obeys no command in what a server says', async () => {
    const evil = 'x\n::stop-commands::y\n::error::z'
    broker.next.set('/oauth/token', [
      { status: 400, body: { error: 'invalid_target', error_description: evil } },
    ])
    const result = await runner.action('main', inputs)
    expect(result.annotations).toHaveLength(1)
    expect(result.annotations[0]).toContain('error: broker: x ::stop-commands::y ::error::z')
  })

  it('obeys no command in an input', async () => {
    const result = await runner.action('main', { ...inputs, server: 'x\n::stop-commands::y' })
    expect(result.annotations).toEqual([
      expect.stringMatching(/^error: broker: "x ::stop-commands::y" is not the address/),
    ])
  })

  it('revokes at once when it cannot hand the credentials on', async () => {
    broker.next.set(CREDENTIALS, [
      { body: { lease: {}, variables: { ...VARIABLES, NODE_OPTIONS: '--require /tmp/x' } } },
    ])
    const result = await runner.action('main', inputs)
    expect(result.status).toBe(1)
    expect(result.annotations[0]).toContain('no step may set "NODE_OPTIONS"')
    expect(runner.env).toEqual({})
    expect(broker.paths).toEqual(['/oauth/token', CREDENTIALS, '/oauth/revoke'])
    expectNoSecret(result)
  })

  it('gives later steps the credentials, and the log none of them', async () => {
    const main = await runner.action('main', inputs)
    expect(main).toMatchObject({ status: 0, annotations: [] })
    expect(main.log).toContain(`broker: lease ${LEASE} · ci · template deploy`)
    expectNoSecret(main)
    expect(runner.env).toEqual(exported())
    expect(runner.outputs).toEqual({ lease: LEASE, 'expires-at': '2026-11-21T18:15:00.000Z' })
    expect(broker.paths).toEqual(['/oauth/token', CREDENTIALS, ACK])
    expect(broker.form(0)['audience']).toBe('ci')

    const step = await runner.run(
      'echo "$DEPLOY_PASSWORD"; echo "$DEPLOY_KEY"; env; echo "https://u:$BROKER_HANDLE@x"; echo "$DATABASE_URL"',
    )
    expect(step.status).toBe(0)
    expect(step.raw).toContain(SECRET)
    expect(step.raw).toContain(KEY)
    expect(step.log).toContain('PGHOST=db.example')
    expectNoSecret(step)

    const post = await runner.action('post', inputs)
    expect(post).toMatchObject({ status: 0, log: `broker: lease ${LEASE} revoked\n` })
    expect(revoked().map(({ body }) => body)).toEqual([`token=${HANDLE}`])
    expectNoSecret(post)
  })

  it('asks GitHub for the address of the server, or for the audience that was named', async () => {
    const audience = () => new URL(github.asked.at(-1)?.path ?? '', github.url).searchParams
    await runner.action('main', inputs)
    expect(audience().get('audience')).toBe(broker.url)
    await runner.action('main', { ...inputs, server: `${broker.url}/`, audience: 'ours' })
    expect(audience().get('audience')).toBe('ours')
  })

  it('passes on what it was told', async () => {
    await runner.action('main', {
      ...inputs,
      template: 'deploy',
      ttl: '90s',
      reason: 'nightly build',
      'authorization-details': '[]',
    })
    expect(broker.form(0)).toMatchObject({
      scope: 'template:deploy',
      ttl: '90',
      reason: 'nightly build',
      authorization_details: '[]',
    })
  })

  it('leaves the variables in an output alone when they are not to be exported', async () => {
    const main = await runner.action('main', { ...inputs, export: 'false' })
    expect(main.status).toBe(0)
    expectNoSecret(main)
    expect(runner.env).toEqual({})
    const variables = runner.outputs['variables'] ?? ''
    expect(JSON.parse(variables)).toEqual(exported())
    expect(runner.masked(`echo ${variables}`)).toBe('echo ***')
  })

  it('keeps every secret out of the arguments of its process', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    broker.held.set(ACK, () => promise)
    const { child, ended } = runner.start('main', inputs)
    await until(() => broker.paths.includes(ACK))
    const command = execFileSync('ps', ['-o', 'args=', '-p', String(child.pid)], {
      encoding: 'utf8',
    })
    resolve()
    await ended
    expect(command).toContain('main.mjs')
    for (const canary of CANARIES) expect(command).not.toContain(canary)
  })
})

describe('a job that is cancelled', () => {
  it.each([
    ['SIGINT', '/oauth/token'],
    ['SIGTERM', '/oauth/token'],
    ['SIGINT', CREDENTIALS],
    ['SIGTERM', ACK],
  ] as const)('with %s while %s is under way leaves nothing behind', async (signal, path) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    broker.held.set(path, () => promise)
    const { child, ended } = runner.start('main', inputs)
    await until(() => broker.paths.includes(path))
    child.kill(signal)
    // The answer comes after the signal.
    setTimeout(resolve, 100)
    const result = await ended
    expect(result.status).toBe(1)
    expect(result.annotations).toEqual([
      expect.stringMatching(
        /^error: broker: the step was cancelled\nhint: what it had got is revoked/,
      ),
    ])
    expect(revoked()).toHaveLength(1)
    expect(broker.paths.at(-1)).toBe('/oauth/revoke')
    expectNoSecret(result)
  })

  it('and killed is ended by its post step', async () => {
    broker.held.set(CREDENTIALS, () => new Promise(() => {}))
    const { child, ended } = runner.start('main', inputs)
    await until(() => broker.paths.includes(CREDENTIALS))
    child.kill('SIGKILL')
    expect(await ended).toMatchObject({ status: null, signal: 'SIGKILL' })
    expect(revoked()).toEqual([])
    // A runner in debug mode logs what is kept for the post step.
    expect(runner.masked(runner.state['handle'] ?? '')).toBe('***')

    const post = await runner.action('post', inputs)
    expect(post.log).toBe(`broker: lease ${LEASE} revoked\n`)
    expect(revoked().map(({ body }) => body)).toEqual([`token=${HANDLE}`])
  })
})

describe('the post step', () => {
  const state = () => {
    runner.state = { server: broker.url, ca: broker.ca, lease: LEASE, handle: HANDLE }
  }

  it('warns, and does not fail the job, when the end is not confirmed', async () => {
    state()
    const headers = { 'retry-after': '0', 'broker-lease-state': 'revoking' }
    const open = { status: 503, headers }
    broker.next.set('/oauth/revoke', [open, open, open])
    const post = await runner.action('post', inputs)
    expect(post.status).toBe(0)
    expect(post.annotations).toEqual([
      `warning: broker: lease ${LEASE} is still being revoked: the server keeps trying`,
    ])
  })

  it('warns when it cannot reach the server, and says who else can end the lease', async () => {
    state()
    runner.state['server'] = 'https://127.0.0.1:1'
    const post = await runner.action('post', inputs)
    expect(post.status).toBe(0)
    expect(post.annotations[0]).toMatch(
      /^warning: broker: lease lse_\w+ could not be revoked: nobody listens.*broker revoke lse_\w+ --server/,
    )
    expectNoSecret(post)
  })

  it('does not send the handle to a server with a certificate of somebody else', async () => {
    state()
    runner.state['ca'] = ''
    const post = await runner.action('post', inputs)
    expect(post.annotations[0]).toContain('could not be revoked')
    expect(broker.asked).toEqual([])
  })
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((done) => setTimeout(done, 5))
}
