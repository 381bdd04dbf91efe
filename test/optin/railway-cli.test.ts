import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../fixtures/broker.ts'
import { findRailwayCli } from './railway-cli.ts'
import { mutationsIn, RailwayShop } from './railway-shop.ts'

const cli = findRailwayCli()
const OWN = join(homedir(), '.railway')

/** What lies in the developer's own ~/.railway, with the times. */
const ownFiles = () =>
  existsSync(OWN) ? readdirSync(OWN).map((name) => [name, statSync(join(OWN, name)).mtimeMs]) : []

interface Entry {
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
}

/** What the audit has of one type. */
async function entries(type: string): Promise<readonly Entry[]> {
  const audit = await shop.json<{ entries: readonly Entry[] }>(['audit', 'list'])
  return audit.entries.filter((entry) => entry.type === type)
}

const terminals = existsSync('/usr/bin/script')
if (!terminals) console.warn('SKIPPED: terminals need `script` of util-linux')

let shop: RailwayShop
let before: ReturnType<typeof ownFiles>
beforeAll(async () => {
  before = ownFiles()
  if (cli) shop = await RailwayShop.open(cli)
})
afterAll(() => shop?.dispose())

describe.skipIf(!cli)('what the Railway CLI may not do in a task', () => {
  it('to delete a volume, when the template does not say so: it prints why', async () => {
    const production = shop.cloud.snapshot()
    const ran = await shop.railway(['volume', 'delete', '--volume', 'pgdata', '--yes'])
    expect(ran.status).toBe(1)
    expect(ran.err).toContain(
      '"volumeDelete" (destructive) is not among what template "everyday" allows',
    )
    expect(mutationsIn(ran)).toEqual([])
    expect(shop.cloud.snapshot()).toEqual(production)
  })

  it('to delete a volume that production uses too, when deleting is allowed', async () => {
    const production = shop.cloud.snapshot()
    const ran = await shop.railway(
      ['volume', 'delete', '--volume', 'pgdata', '--yes'],
      ['--template', 'sweeper'],
    )
    expect(ran.status).toBe(1)
    expect(ran.err).toContain('volume "pgdata"')
    expect(ran.err).toContain('also lies in "production": not this task\'s environment')
    expect(mutationsIn(ran)).toEqual([])
    expect(shop.cloud.snapshot()).toEqual(production)
  })

  it('to use the login that it finds in the home: the words of the refusal, and a report', async () => {
    const config = join(shop.folder, '.railway')
    mkdirSync(config, { recursive: true })
    const login = { projects: {}, user: { token: shop.cloud.accountToken } }
    writeFileSync(join(config, 'config.json'), JSON.stringify(login))
    const ran = await shop.script('exec env -u RAILWAY_TOKEN "$@"', [shop.program, 'whoami'])
    rmSync(config, { recursive: true })
    expect(ran.status).toBe(1)
    expect(ran.err).toContain('the credential in header "authorization" is not the one railway was')
    expect(ran.err).toMatch(
      /broker: a key that is not this lease's was tried at backboard\.railway\.com/,
    )
    expect(ran.err).not.toContain(shop.cloud.accountToken)
    const denied = await entries('request.denied')
    const codes = denied.map(({ data }) => data['code'])
    expect(codes.filter((code) => code === 'foreign_credential')).toHaveLength(1)
    expect(JSON.stringify(denied)).not.toContain(shop.cloud.accountToken)
    expect(ran.arrived.filter(({ body }) => body.includes('UserMeta'))).toEqual([])
  })

  it.each([
    [['whoami'], "the whole account or workspace: not this task's environment"],
    [['list'], 'is reached over an edge that leaves the environment'],
  ])('to ask about the account: %j', async (args, words) => {
    const ran = await shop.railway(args)
    expect(ran.status).toBe(1)
    expect(ran.err).toContain(words)
    expect(ran.out).not.toContain('billing')
  })

  it('to describe every environment, which it does in JSON when none is named', async () => {
    const ran = await shop.railway(['status', '--json'])
    expect(ran.status).toBe(1)
    expect(ran.err).toContain(
      `environment ${shop.cloud.ids.production}: not this task's environment`,
    )
    expect(ran.out).toBe('')
  })

  it('to read the logs of another environment', async () => {
    const { webProductionDeployment: id } = shop.cloud.ids
    const ran = await shop.railway(['logs', '--service', 'web', id])
    expect(ran.status).toBe(1)
    expect(ran.err).toMatch(
      /"deploymentLogs" was refused: deployment "web" .* lies in "production"/,
    )
    expect(ran.out).toBe('')
  })

  it.skipIf(!terminals)(
    'to follow them over a websocket: what it asks there never leaves',
    async () => {
      const { webProductionDeployment: id } = shop.cloud.ids
      const terminal = shop.terminal(['logs', '--service', 'web', id])
      await until('it is refused', async () => {
        const denied = (await entries('request.denied')).filter(
          ({ data }) => data['method'] === 'GET',
        )
        return denied.some(({ data }) => data['operation'] === 'deploymentLogs')
      })
      await terminal.end()
      expect(terminal.shown()).not.toContain('starting web')
      const asked = terminal.arrived().filter(({ method }) => method === 'MESSAGE')
      expect(asked.filter(({ body }) => body.includes(id))).toEqual([])
    },
  )

  it('to upload where no rule says so: it prints the status, and nothing arrives', async () => {
    const up = ['up', '--service', 'web', '--detach']
    const ran = await shop.railway(up, ['--template', 'sweeper'])
    expect(ran.status).toBe(1)
    expect(ran.err).toContain('Failed to upload code with status code 403')
    expect(ran.arrived.filter(({ path }) => path.includes('/up'))).toEqual([])
    expect(shop.cloud.world.uploads).toEqual([])
  })

  it('to see variables without a rule that says so', async () => {
    const ran = await shop.railway(['variables', '--service', 'web'], ['--template', 'sweeper'])
    expect(ran.status).toBe(1)
    expect(ran.err).toContain('"variablesForServiceDeployment" (secret)')
    expect(ran.out).not.toContain('LOG_LEVEL')
  })

  it('to look for updates where the egress is a list: nothing breaks, and the audit has it', async () => {
    const fenced = ['--template', 'fenced']
    const quiet = await shop.railway(['status'], fenced)
    expect(quiet.status, quiet.err).toBe(0)
    const told = await shop.script(
      'exec env -u RAILWAY_NO_AUTO_UPDATE "$@"',
      [shop.program, 'status'],
      fenced,
    )
    expect(told.status, told.err).toBe(0)
    expect(told.out).toContain('Environment:     staging')
    const denied = await entries('egress.denied')
    // Of the second run alone: the first has been told not to.
    expect(denied.map(({ data }) => data['host'])).toEqual(['api.github.com'])
  })
})

describe.skipIf(!cli)('what the Railway CLI does in a task', () => {
  it.each([
    [['status'], 'web: ● Online'],
    [['variables', '--service', 'web'], 'LOG_LEVEL'],
    [['logs', '--service', 'web'], 'starting web\nlistening on 8080'],
    [['logs', '--service', 'web', '--build'], 'building web\nbuilt'],
    [['volume', 'list'], 'Volume: pgdata'],
    [['domain', 'list', '--service', 'web'], 'web-staging.up.railway.app'],
    [['environment', 'link', 'staging'], 'Activated environment staging'],
    [['service', 'link', 'web'], 'Linked service web'],
  ])('reads: %j', async (args, words) => {
    const ran = await shop.railway(args)
    expect(ran.status, ran.err).toBe(0)
    expect(ran.out).toContain(words)
    expect(mutationsIn(ran)).toEqual([])
  })

  it('tells a script about the environment that it names', async () => {
    const { shop: project } = shop.cloud.ids
    const where = ['--project', project, '--environment', 'staging']
    const ran = await shop.railway(['status', ...where, '--json'])
    expect(ran.status, ran.err).toBe(0)
    expect(JSON.parse(ran.out)).toMatchObject({ name: 'shop' })
  })

  it('sets a variable', async () => {
    const { staging, web } = shop.cloud.ids
    const ran = await shop.railway(['variables', '--service', 'web', '--set', 'LOG_LEVEL=debug'])
    expect(ran.status, ran.err).toBe(0)
    expect(mutationsIn(ran)).toEqual(['VariableCollectionUpsert'])
    const set = shop.cloud.world.variables.filter(({ value }) => value === 'debug')
    expect(set).toMatchObject([{ environmentId: staging, serviceId: web, name: 'LOG_LEVEL' }])
  })

  it.each([
    [['redeploy', '--service', 'web', '--yes'], 'DeploymentRedeploy'],
    [['restart', '--service', 'web', '--yes'], 'DeploymentRestart'],
    [['domain', '--service', 'api'], 'ServiceDomainCreate'],
  ])('changes: %j', async (args, mutation) => {
    const production = shop.cloud.snapshot()
    const ran = await shop.railway(args)
    expect(ran.status, ran.err).toBe(0)
    expect(mutationsIn(ran)).toEqual([mutation])
    expect(shop.cloud.snapshot()).toEqual(production)
  })

  it.each([[['--detach']], [['--ci']]])('uploads a tree: %j', async (flags) => {
    const uploads = shop.cloud.world.uploads.length
    const ran = await shop.railway(['up', '--service', 'web', ...flags])
    expect(ran.status, ran.err).toBe(0)
    expect(ran.out).toContain('Deployment: https://railway.com/project/')
    const [upload, ...more] = shop.cloud.world.uploads.slice(uploads)
    expect(more).toEqual([])
    expect(upload).toMatchObject({ environmentId: shop.cloud.ids.staging })
    expect(upload?.bytes).toBeGreaterThan(50)
  })

  it.skipIf(!terminals)('follows the logs of its own environment over a websocket', async () => {
    const terminal = shop.terminal(['logs', '--service', 'web'])
    await until('the logs are shown', () => terminal.shown().includes('listening on 8080'))
    await terminal.end()
    const asked = terminal.arrived().filter(({ method }) => method === 'MESSAGE')
    expect(asked.map(({ body }) => JSON.parse(body).type)).toEqual(['connection_init', 'subscribe'])
  })

  it('deletes a volume of staging alone, when the template says so', async () => {
    const production = shop.cloud.snapshot()
    const ran = await shop.railway(
      ['volume', 'delete', '--volume', 'cache', '--yes'],
      ['--template', 'sweeper'],
    )
    expect(ran.status, ran.err).toBe(0)
    expect(ran.out).toContain('Volume "cache" deleted')
    expect(mutationsIn(ran)).toEqual(['VolumeDelete'])
    expect(shop.cloud.world.volumes.map(({ name }) => name)).toEqual(['pgdata', 'orders'])
    expect(shop.cloud.snapshot()).toEqual(production)
  })
})

describe.skipIf(!cli)('after all of that', () => {
  it('no token of a task has reached the cloud, and each request had one that opens it', () => {
    const phantoms = shop.phantoms()
    expect(new Set(phantoms).size).toBe(phantoms.length)
    expect(phantoms.length).toBeGreaterThan(20)
    expect(phantoms.join('\n')).toMatch(/^[0-9a-f-]{36}(\n[0-9a-f-]{36})*$/)
    expect(shop.cloud.record.length).toBeGreaterThan(60)
    for (const { headers, path, body, authorised } of shop.cloud.record) {
      const all = JSON.stringify([headers, path, body])
      expect(phantoms.filter((phantom) => all.includes(phantom))).toEqual([])
      expect(authorised).not.toBeNull()
    }
  })

  it('nothing is left of the tasks: their tokens are deleted in the cloud', () => {
    const names = shop.cloud.world.projectTokens.map(({ name }) => name)
    expect(names).toEqual(['ci-staging', 'ci-production'])
  })

  it('nobody has touched the login of whoever runs these tests', () => {
    expect(ownFiles()).toEqual(before)
  })
})
