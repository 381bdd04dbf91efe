import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type DemoResult, resultOf, type With } from '../../src/demo/result.ts'
import { BIN, collect, type Result, statusOf, TestBroker, until } from '../fixtures/broker.ts'
import { pids, proc } from '../fixtures/product.ts'

const PACKAGE = join(BIN, '..', '..')

/** A machine of somebody who has a broker already, with a temp folder of its own. */
class Machine extends TestBroker {
  readonly temp = join(this.folder, 'tmp')

  constructor() {
    super()
    mkdirSync(this.temp)
  }

  start(args: readonly string[] = [], bin = BIN) {
    // What a person's shell may hold and no demo may be led astray by.
    const astray = { HTTPS_PROXY: 'http://127.0.0.1:9', NODE_USE_ENV_PROXY: '1', NO_COLOR: '1' }
    const env = this.env({ ...astray, TMPDIR: this.temp })
    return spawn(process.execPath, [bin, 'demo', ...args], { env, stdio: 'pipe' })
  }

  demo(args: readonly string[] = [], bin = BIN): Promise<Result> {
    return collect(this.start(args, bin))
  }

  /** What demos have left here: files, and processes of their brokers. */
  leftovers(): readonly string[] {
    const mark = `\0BROKER_HOME=${this.temp}`
    const running = pids().filter((pid) => `\0${proc(pid, 'environ')}`.includes(mark))
    return [...readdirSync(this.temp), ...running.map((pid) => proc(pid, 'cmdline'))]
  }
}

const machine = new Machine()
afterAll(() => machine.dispose())

describe('a demo of a broker that does not look at environments', () => {
  it('exits with 1 and says what got through', async () => {
    const root = join(machine.folder, 'mutated')
    cpSync(PACKAGE, root, { recursive: true })
    removeEnvironmentCheck(join(root, 'dist', 'chunks'))
    const ran = await machine.demo(['--json'], join(root, 'bin', 'run.js'))
    const result: DemoResult = JSON.parse(ran.out)
    expect(ran.status).toBe(1)
    expect(result.passed).toBe(false)
    expect(result.with.gotThrough).toEqual(['volumeDelete'])
    expect(result.with.productionIntact).toBe(false)
    expect(result.with.attempts.at(-1)).toMatchObject({ route: 'own-token', refused: false })
    expect(machine.leftovers()).toEqual([])
  })
})

describe('the demo', () => {
  let ran: Result
  let result: DemoResult
  let owner: number | undefined

  beforeAll(async () => {
    await machine.run(['daemon', 'start'])
    owner = machine.daemonPid()
    ran = await machine.demo(['--json', '--keep'])
    result = JSON.parse(ran.out)
  })

  it('passes, and says nothing beside its one document', () => {
    expect(ran.err).toBe('')
    expect(result.passed).toBe(true)
    expect(ran.status).toBe(0)
  })

  it('loses the volume of production and its backups without the broker', () => {
    const { lost, seconds, foundIn } = result.without
    expect(lost).toHaveLength(4)
    expect(lost[0]).toMatch(/^volume shop\/production pgdata /)
    expect(lost.slice(1).map((line) => line.split(' ').at(-1))).toEqual([
      'before-migration',
      'daily',
      'weekly',
    ])
    expect(foundIn).toBe('tools/domains/.railway-token')
    expect(seconds).toBeGreaterThan(0)
    expect(seconds).toBeLessThan(20)
  })

  it('does the work in staging and refuses every way to the deletion with the broker', () => {
    expect(result.with.work.map(({ done }) => done)).toEqual([true, true, true, true])
    expect(result.with.attempts.map(({ route, code, refused }) => [route, code, refused])).toEqual([
      ['found-token', 'foreign_credential', true],
      ['own-token', 'environment_mismatch', true],
      ['patch', 'operation_denied', true],
      ['alias', 'environment_mismatch', true],
      ['service-delete', 'environment_unknown', true],
      ['service-delete-here', 'environment_mismatch', true],
      ['staged-changes', 'operation_denied', true],
      ['batch', 'request_malformed', true],
    ])
    expect(result.with).toMatchObject({
      gotThrough: [],
      tokenDead: true,
      tokenStayedHere: true,
      auditVerified: true,
      productionIntact: true,
      foreignKey: { host: 'backboard.railway.com', times: 1 },
    })
  })

  it('shows no token, neither the one that lay about nor the one of the task', () => {
    const tree = join(result.folder ?? '', 'shop')
    const found = readFileSync(join(tree, result.without.foundIn ?? ''), 'utf8').trim()
    const held: { token: string } = JSON.parse(
      readFileSync(join(tree, '.agent-notes.json'), 'utf8'),
    )
    expect(found).toMatch(/^[0-9a-f-]{36}$/)
    expect(held.token).toMatch(/^[0-9a-f-]{36}$/)
    expect(ran.out).not.toContain(found)
    expect(ran.out).not.toContain(held.token)
  })

  it('leaves only the folder that was to be kept, and nothing running', () => {
    expect(result.folder).toBe(join(machine.temp, machine.leftovers()[0] ?? ''))
    expect(machine.leftovers()).toHaveLength(1)
  })

  it('does not touch the broker that was there before', async () => {
    expect(machine.daemonPid()).toBe(owner)
    expect(await machine.leases()).toEqual([])
    const { out } = await machine.run(['connections', '--json'])
    expect(JSON.parse(out)).toMatchObject({ connections: [] })
  })

  it.each(spoiled())('does not pass when $name', ({ spoil }) => {
    const { without, with: under } = result
    expect(resultOf(without, under, null).passed).toBe(true)
    expect(resultOf(without, spoil(under), null).passed).toBe(false)
  })

  it('does not pass when nothing was lost without the broker', () => {
    expect(resultOf({ ...result.without, lost: [] }, result.with, null).passed).toBe(false)
  })
})

describe('the demo as text', () => {
  const other = new Machine()
  afterAll(() => other.dispose())

  it('tells a pipe each refusal in a line, and at the end what was not shown', async () => {
    const { status, out, err } = await other.demo()
    expect(err).toBe('')
    expect(status).toBe(0)
    expect(out).not.toContain('\u001b')
    const refused = out.split('\n').filter((line) => /^ {2}refused .* · [a-z_]+ · /.test(line))
    // The eight, and before them the question that its token does not answer.
    expect(refused).toHaveLength(9)
    expect(out).toContain('service "api" also lies in "production"')
    expect(out).toContain('volume "pgdata" also lies in "production"')
    expect(out).not.toContain('NOT OK')
    expect(out).toMatch(/all of it held\nNot shown: .*\nNext: broker connect railway\n$/)
    expect(other.leftovers()).toEqual([])
  })

  it('cleans up when it is interrupted while the agent works', async () => {
    const child = other.start()
    const ended = statusOf(child)
    child.stderr.resume()
    await seen(child.stdout, 'exec --env staging')
    child.kill('SIGINT')
    expect(await ended).toBe(130)
    expect(other.leftovers()).toEqual([])
  })

  it('cleans up when nobody reads on', async () => {
    const child = other.start()
    const ended = statusOf(child)
    child.stderr.resume()
    await seen(child.stdout, 'exec --env staging')
    child.stdout.destroy()
    await ended
    await until('its processes are gone', () => other.leftovers().length === 0)
  })
})

function spoiled(): readonly { name: string; spoil: (under: With) => With }[] {
  const first = (under: With, change: object) => ({
    ...under,
    attempts: under.attempts.map((each, index) => (index === 0 ? { ...each, ...change } : each)),
  })
  return [
    { name: 'one refusal is missing', spoil: (under) => first(under, { refused: false }) },
    {
      name: 'one was refused by luck',
      spoil: (under) => first(under, { code: 'upstream_failed' }),
    },
    {
      name: 'one way was not tried',
      spoil: (under) => ({ ...under, attempts: under.attempts.slice(1) }),
    },
    {
      name: 'something reached the cloud',
      spoil: (under) => ({ ...under, gotThrough: ['volumeDelete'] }),
    },
    { name: 'the work was not done', spoil: (under) => ({ ...under, work: [] }) },
    { name: 'the token is alive', spoil: (under) => ({ ...under, tokenDead: false }) },
    { name: 'the token left', spoil: (under) => ({ ...under, tokenStayedHere: false }) },
    { name: 'the log is broken', spoil: (under) => ({ ...under, auditVerified: false }) },
    { name: 'production changed', spoil: (under) => ({ ...under, productionIntact: false }) },
    { name: 'the key is not reported', spoil: (under) => ({ ...under, foreignKey: null }) },
  ]
}

/** The check that binds what a request touches to the environment of the lease. */
function removeEnvironmentCheck(chunks: string): void {
  const check = /(function checkEnvironments\([\s\S]*?)others\.length > 0/
  const changed = readdirSync(chunks).filter((name) => {
    const path = join(chunks, name)
    const text = readFileSync(path, 'utf8')
    const without = text.replace(check, '$1others.length < 0')
    if (without !== text) writeFileSync(path, without)
    return without !== text
  })
  expect(changed).toHaveLength(1)
}

function seen(stream: NodeJS.ReadableStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let all = ''
    stream.on('data', (chunk) => {
      all += chunk
      if (all.includes(text)) resolve()
    })
    stream.once('end', () => reject(new Error(`ended without "${text}": ${all}`)))
  })
}
