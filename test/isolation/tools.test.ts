// Tools that a task has to go on working with, inside every wall: all of them on demand
// (BROKER_TEST_TOOLS=all, `npm run test:tools`), and in every run those that are asked of each machine.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPostgres, type Postgres, startPostgres } from '../fixtures/postgres.ts'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { expectInDocs, row } from './docs-table.ts'
import type { Tool } from './tool.ts'
import { LOCAL } from './tools-local.ts'
import { CLIENTS } from './tools-network.ts'
import { openToolPlace, type Service, type ToolPlace } from './tools-place.ts'
import { until } from './until.ts'

const ALL = process.env['BROKER_TEST_TOOLS'] === 'all'
const TOOLS = [...CLIENTS, ...LOCAL].filter(({ always }) => ALL || always)

const folder = mkdtempSync(join(tmpdir(), 'tools-'))
let installed: string | undefined
const SERVICES = { postgres: findPostgres() !== null, redis: onPath('redis-server') }

function onPath(program: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$0"', program]).status === 0
}

function isThere(need: string): boolean {
  if (need.startsWith('service:')) return SERVICES[need.slice(8) as keyof typeof SERVICES]
  if (need.startsWith('app/')) return existsSync(join(packages(), need.slice('app/'.length)))
  return need.includes('/') ? existsSync(need) : onPath(need)
}

/** What tests of clients from the registry need, once, outside: not among the project's own packages. */
function packages(): string {
  if (installed !== undefined) return installed
  installed = join(folder, 'packages')
  mkdirSync(installed)
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', installed]
  spawnSync('npm', [...args, 'axios@1', 'undici@7'], { stdio: 'ignore' })
  return installed
}

const ready = TOOLS.filter((tool) => tool.needs.every(isThere))

for (const tool of TOOLS.filter((one) => !ready.includes(one))) {
  const missing = tool.needs.filter((need) => !isThere(need)).join(', ')
  const message = `${tool.name}: "${missing}" is missing`
  if (process.env['CI'] && tool.always) throw new Error(`this test needs ${message}`)
  console.warn(`SKIPPED: ${message}`)
}

function furnish(project: string): void {
  const app = join(project, 'app')
  mkdirSync(join(app, 'part'), { recursive: true })
  const about = {
    name: 'app',
    version: '1.0.0',
    scripts: { hello: 'echo hello from npm' },
    dependencies: { part: 'file:./part' },
  }
  writeFileSync(join(app, 'package.json'), JSON.stringify(about))
  writeFileSync(join(app, 'part/package.json'), JSON.stringify({ name: 'part', version: '1.0.0' }))
  writeFileSync(join(app, 'part/index.js'), "module.exports = 'the part'\n")
  if (ALL && existsSync(join(packages(), 'node_modules'))) {
    execFileSync('cp', ['-a', join(packages(), 'node_modules'), join(app, 'node_modules')])
  }
}

let postgres: Postgres | undefined
let redis: ChildProcess | undefined
let bridge: Server | undefined
const services: Service[] = []

async function startServices(): Promise<void> {
  const asked = new Set(ready.flatMap(({ needs }) => needs))
  // Every user of the tests has to reach them, as every user reaches a port.
  execFileSync('chmod', ['755', folder])
  if (asked.has('service:postgres')) {
    const server = await startPostgres()
    postgres = server
    const socket = join(folder, 'postgres.sock')
    bridge = createServer((near) => {
      const far = connect(server.port, '127.0.0.1')
      near.pipe(far).pipe(near)
      for (const one of [near, far]) one.on('error', () => near.destroy(void far.destroy()))
    })
    await new Promise<void>((done) => bridge?.listen(socket, done))
    services.push({ port: 5432, socket })
  }
  if (asked.has('service:redis')) {
    const socket = join(folder, 'redis.sock')
    const place = ['--port', '0', '--unixsocket', socket, '--unixsocketperm', '777']
    redis = spawn('redis-server', [...place, '--save', '', '--dir', folder], { stdio: 'ignore' })
    await until('redis listens', () => existsSync(socket))
    services.push({ port: 6379, socket })
  }
  for (const { socket } of services) execFileSync('chmod', ['777', socket])
}

const works = new Map<string, Map<Person, boolean>>()

describe.runIf(hasBubblewrap())('tools inside confine', () => {
  beforeAll(startServices)
  afterAll(async () => {
    bridge?.close()
    redis?.kill()
    await postgres?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  describe.each(PERSONS)('as %s', (person: Person) => {
    let place: ToolPlace
    beforeAll(async () => {
      place = await openToolPlace(person, services, furnish)
    })
    afterAll(() => place?.close())

    it.each(ready)('$name', async ({ name, code, shows, doesNot, notForRoot }) => {
      const { stdout, stderr } = await place.run(code, {
        PGPORT: '5432',
        PGPASSWORD: postgres?.password ?? '',
      })
      const seen = works.get(name) ?? new Map<Person, boolean>()
      works.set(name, seen.set(person, stdout.includes(shows)))
      const fails = doesNot !== undefined || (person === 'root' && notForRoot !== undefined)
      if (fails) expect(stdout, stderr).not.toContain(shows)
      else expect(stdout, stderr).toContain(shows)
    })
  })

  it('stand in the documentation as they were seen', () => {
    const whole = ALL && works.size === TOOLS.length && PERSONS.includes('root')
    const lines = ready.map((tool) => lineOf(tool)).filter((line) => line !== undefined)
    const head = [row('tool', 'inside `confine`', 'note'), '|---|---|---|']
    expectInDocs('tools', whole ? [...head, ...lines] : lines, whole)
  })
})

function lineOf({ name, note, doesNot, notForRoot }: Tool): string | undefined {
  const seen = works.get(name)
  if (seen === undefined) return undefined
  const ordinary = seen.get('nobody') ?? seen.get('self')
  const asRoot = notForRoot === undefined ? '' : `not as root: ${notForRoot}`
  const said = [doesNot, note, asRoot].filter(Boolean).join('; ')
  if (ordinary === false) return row(name, 'does not', said)
  return row(name, said === '' ? 'works' : 'with a note', said)
}
