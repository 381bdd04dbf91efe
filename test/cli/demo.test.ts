import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Around, ENDS } from '../../src/demo/bypass/result.ts'
import { type DemoResult, resultOf, type With } from '../../src/demo/result.ts'
import { BIN, collect, type Result, statusOf, TestBroker, until } from '../fixtures/broker.ts'
import { pids, proc } from '../fixtures/product.ts'

const PACKAGE = join(BIN, '..', '..')

interface Changed {
  /** Of another package than the one that was built. */
  readonly bin?: string
  readonly PATH?: string
  readonly TMPDIR?: string
}

/** A machine of somebody who has a broker already, with a temp folder of its own. */
class Machine extends TestBroker {
  /** With a short name: sockets lie deep in it. */
  readonly temp = mkdtempSync(join(tmpdir(), 'd-'))

  override async dispose(): Promise<void> {
    await super.dispose()
    rmSync(this.temp, { recursive: true, force: true })
  }

  start(args: readonly string[] = [], { bin = BIN, ...more }: Changed = {}) {
    // What a person's shell may hold and no demo may be led astray by.
    const astray = { HTTPS_PROXY: 'http://127.0.0.1:9', NODE_USE_ENV_PROXY: '1', NO_COLOR: '1' }
    const env = this.env({ ...astray, TMPDIR: this.temp, ...more })
    return spawn(process.execPath, [bin, 'demo', ...args], { env, stdio: 'pipe' })
  }

  demo(args: readonly string[] = [], changed: Changed = {}): Promise<Result> {
    return collect(this.start(args, changed))
  }

  /** A folder for PATH with nothing in it, or with a bubblewrap that says this and fails. */
  path(name: string, bubblewrap?: string): string {
    const folder = join(this.folder, name)
    mkdirSync(folder)
    if (bubblewrap !== undefined) {
      const program = join(folder, 'bwrap')
      writeFileSync(program, `#!/bin/sh\necho "${bubblewrap}" >&2\nexit 1\n`)
      chmodSync(program, 0o755)
    }
    return folder
  }

  /** What demos have left here: files, and processes of their brokers. */
  leftovers(): readonly string[] {
    const mark = `\0BROKER_HOME=${this.temp}`
    const running = pids().filter(
      (pid) => `\0${proc(pid, 'environ')}`.includes(mark) || folderOf(pid).startsWith(this.temp),
    )
    return [...readdirSync(this.temp), ...running.map((pid) => proc(pid, 'cmdline'))]
  }
}

const machine = new Machine()
afterAll(() => machine.dispose())

describe('a demo of a broker that does not look at environments', () => {
  it('exits with 1 and says what got through', async () => {
    const ran = await machine.demo(['--json'], { bin: changedPackage('open', ENVIRONMENT_CHECK) })
    const result: DemoResult = JSON.parse(ran.out)
    expect(ran.status).toBe(1)
    expect(result.passed).toBe(false)
    expect(result.with.gotThrough).toEqual(['volumeDelete'])
    expect(result.with.productionIntact).toBe(false)
    expect(result.with.attempts.at(-1)).toMatchObject({ route: 'own-token', refused: false })
    expect(machine.leftovers()).toEqual([])
  })
})

const linux = process.platform === 'linux'

describe.runIf(linux)('a demo of a broker whose walls are none', () => {
  it('exits with 1 and says that production is gone', async () => {
    const ran = await machine.demo([], { bin: changedPackage('bare', CHOICE_OF_WALLS) })
    const walled = ran.out.slice(ran.out.indexOf('--isolation confine'))
    expect(ran.status).toBe(1)
    expect(walled).toContain('  DONE     reads the key in ~/.railway/config.json\n')
    expect(walled).toContain("  DONE     deletes pgdata at the cloud's own address\n")
    expect(walled).toContain('  NOT OK   behind them 1 of 8 ways are shut')
    expect(walled).toContain('  NOT OK   nothing that it sent from there reached the cloud\n')
    expect(walled).toContain('  NOT OK   production is as it was, to the last backup\n')
    expect(walled).toContain('  NOT OK   the broker has that task down as scrub\n')
    expect(walled).toContain('\nNOT all of it held: see the lines above\n')
    expect(machine.leftovers()).toEqual([])
  })
})

const walls = linux && wallsStand()

describe.runIf(walls)('a demo of a broker whose walls have a hole', () => {
  it.each([
    { name: 'the home', hole: HOME_WALL, open: ['home-file'], intact: true },
    { name: 'secret files', hole: MASKS, open: ['env-file'], intact: true },
    { name: 'the network', hole: NETWORK_WALL, open: ['unset', 'address', 'proxy'], intact: false },
  ])('exits with 1 and tells the ways through it: $name', async ({ name, hole, open, intact }) => {
    const ran = await machine.demo(['--json'], { bin: changedPackage(name, hole) })
    const { around, passed }: DemoResult = JSON.parse(ran.out)
    expect(ran.status).toBe(1)
    expect(passed).toBe(false)
    expect(around).toMatchObject({ walled: { productionIntact: intact, reachedCloud: !intact } })
    expect(otherwise(around as Around)).toEqual(open)
  })
})

describe('the demo on a machine without walls', () => {
  it.each([
    {
      name: 'there is no bubblewrap',
      bubblewrap: undefined,
      reason: linux ? 'bubblewrap (bwrap) is not installed' : /^only Linux /,
      hint: linux ? /^install bubblewrap with / : /./,
    },
    {
      name: 'bubblewrap may not build any',
      bubblewrap: 'bwrap: No permissions to create new namespace',
      reason: linux ? 'user namespaces are not allowed here' : /^only Linux /,
      hint: linux ? /^as root: sysctl / : /./,
    },
  ])(
    'passes with two acts and says why, where $name',
    async ({ name, bubblewrap, reason, hint }) => {
      const { status, out, err } = await machine.demo([], { PATH: machine.path(name, bubblewrap) })
      expect(err).toBe('')
      expect(status).toBe(0)
      const third = out.slice(out.indexOf('Act three'))
      const [title, said, ...rest] = third.split('\n')
      expect(title).toBe('Act three: around the broker')
      const [why, ...how] = (said ?? '').split('; ')
      expect(why).toMatch(/^left out: isolation confine is not possible here: /)
      expect(why?.replace(/^.* here: /, '')).toMatch(reason)
      expect(how.join('; ')).toMatch(hint)
      expect(rest.slice(0, 3)).toEqual([
        '',
        'all of it held',
        expect.stringMatching(/^Not shown: at isolation scrub /),
      ])
      expect(machine.leftovers()).toEqual([])
    },
  )
})

describe.runIf(walls)('the demo in a temp folder too deep for sockets', () => {
  it('passes with two acts and says why', async () => {
    const deep = join(machine.folder, 'deep'.repeat(5))
    mkdirSync(deep)
    const ran = await machine.demo(['--json'], { TMPDIR: deep })
    const { around, passed }: DemoResult = JSON.parse(ran.out)
    expect(around).toEqual({
      leftOut: {
        reason: expect.stringMatching(/^no socket can have a path as long as /),
        hint: expect.stringMatching(/^set BROKER_HOME or TMPDIR to a shorter path /),
      },
    })
    expect(passed).toBe(true)
    expect(ran.status).toBe(0)
    expect(readdirSync(deep)).toEqual([])
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

  it.runIf(walls)('loses the same without walls, and nothing behind them', () => {
    expect(result.around).toMatchObject({
      bare: { lost: result.without.lost },
      walled: { level: 'confine', reachedCloud: false, productionIntact: true },
    })
    expect((result.around as Around).ways).toEqual([
      { way: 'home-file', bare: null, walled: 'ENOENT' },
      { way: 'env-file', bare: null, walled: 'EMPTY' },
      { way: 'shell', bare: null, walled: 'NO_KEY' },
      { way: 'operator-key', bare: null, walled: 'ENOENT' },
      { way: 'socket', bare: null, walled: 'ENOENT' },
      { way: 'unset', bare: null, walled: 'ECONNREFUSED' },
      { way: 'address', bare: null, walled: 'ECONNREFUSED' },
      { way: 'proxy', bare: 'foreign_credential', walled: 'foreign_credential' },
    ])
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
    const { without, with: under, around } = result
    expect(resultOf(without, under, around, null).passed).toBe(true)
    expect(resultOf(without, spoil(under), around, null).passed).toBe(false)
  })

  it.each(spoiledWalls())('does not pass when $name', ({ spoil }) => {
    const { without, with: under } = result
    expect(resultOf(without, under, HELD, null).passed).toBe(true)
    expect(resultOf(without, under, spoil(HELD), null).passed).toBe(false)
  })

  it('does not pass when nothing was lost without the broker', () => {
    const { without, with: under, around } = result
    expect(resultOf({ ...without, lost: [] }, under, around, null).passed).toBe(false)
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

  it.each([
    { name: 'while the agent works', at: 'exec --env staging' },
    ...(walls ? [{ name: 'while it is behind walls', at: '--isolation confine' }] : []),
  ])('cleans up when it is interrupted $name', async ({ at }) => {
    const child = other.start()
    const ended = statusOf(child)
    child.stderr.resume()
    await seen(child.stdout, at)
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

/** What act three comes to where everything holds. */
const HELD: Around = {
  lease: 'lse_1',
  ways: Object.entries(ENDS).map(([way, ends]) => ({ way: way as keyof typeof ENDS, ...ends })),
  bare: { seconds: 0.1, lost: ['volume shop/production pgdata'] },
  walled: { level: 'confine', reachedCloud: false, productionIntact: true },
}

function spoiledWalls(): readonly { name: string; spoil: (around: Around) => Around }[] {
  const first = (around: Around, change: object) => ({
    ...around,
    ways: around.ways.map((each, index) => (index === 0 ? { ...each, ...change } : each)),
  })
  const walled = (change: Partial<Around['walled']>) => (around: Around) => ({
    ...around,
    walled: { ...around.walled, ...change },
  })
  return [
    { name: 'a way is open behind walls', spoil: (around) => first(around, { walled: null }) },
    { name: 'a way is shut by luck', spoil: (around) => first(around, { walled: 'EACCES' }) },
    { name: 'a way was not tried there', spoil: (around) => first(around, { walled: undefined }) },
    { name: 'a way is shut without walls', spoil: (around) => first(around, { bare: 'ENOENT' }) },
    {
      name: 'a way is missing',
      spoil: (around) => ({ ...around, ways: around.ways.slice(1) }),
    },
    {
      name: 'nothing is lost without walls',
      spoil: (around) => ({ ...around, bare: { ...around.bare, lost: [] } }),
    },
    { name: 'the level is another', spoil: walled({ level: 'mask' }) },
    { name: 'something got out', spoil: walled({ reachedCloud: true }) },
    { name: 'production changed behind walls', spoil: walled({ productionIntact: false }) },
  ]
}

/** Not required of a machine for these tests, in CI neither: those of test/isolation require it. */
function wallsStand(): boolean {
  const own = ['--unshare-user-try', '--unshare-pid', '--unshare-net']
  const { status } = spawnSync('bwrap', [...own, '--ro-bind', '/', '/', '--proc', '/proc', 'true'])
  if (status !== 0) console.warn('\nSKIPPED: no bubblewrap that works, so no third act\n')
  return status === 0
}

/** The ways that did not end as they should behind walls. */
function otherwise({ ways }: Around): readonly string[] {
  return ways.flatMap(({ way, walled }) => (walled === ENDS[way].walled ? [] : [way]))
}

/** A protection, as it stands in the bundles, and the same without it. */
interface Change {
  readonly files: RegExp
  readonly swaps: readonly (readonly [from: RegExp, to: string])[]
}

/** The check that binds what a request touches to the environment of the lease. */
const ENVIRONMENT_CHECK: Change = {
  files: /^chunks\//,
  swaps: [[/(function checkEnvironments\([\s\S]*?)others\.length > 0/, '$1others.length < 0']],
}

/** Which walls a level means. */
const CHOICE_OF_WALLS: Change = {
  files: /^exec(?:-rare)?\.cjs$/,
  swaps: [[/\.isolation==="scrub"(?=\)return)/, '.isolation!=="auto"']],
}

/** What of the home is shown behind walls, and what never. */
const HOME_WALL: Change = {
  files: /^exec-isolated\.cjs$/,
  swaps: [
    [/(toolChains:\[)/, '$1".railway",'],
    [/(credentialFolders:\[.*?)"\.railway",/, '$1'],
  ],
}

/** What makes `.env` read as empty. */
const MASKS: Change = {
  files: /^exec-isolated\.cjs$/,
  swaps: [[/"\.env","\.env\.\*","\*\.env",/, '']],
}

/** All that the highest level has beyond the one before it. */
const NETWORK_WALL: Change = {
  files: /^exec-isolated\.cjs$/,
  swaps: [[/\.level==="confine"/g, '.level==="none"']],
}

/** A copy of the package without one protection. Returns its bin/run.js. */
function changedPackage(name: string, { files, swaps }: Change): string {
  const root = join(machine.folder, name)
  cpSync(PACKAGE, root, { recursive: true })
  const dist = join(root, 'dist')
  const names = readdirSync(dist, { recursive: true, encoding: 'utf8' })
  const changed = names
    .filter((each) => files.test(each))
    .filter((each) => {
      const text = readFileSync(join(dist, each), 'utf8')
      const without = swaps.reduce((each, [from, to]) => each.replace(from, to), text)
      if (without !== text) writeFileSync(join(dist, each), without)
      return without !== text
    })
  expect(changed).not.toEqual([])
  return join(root, 'bin', 'run.js')
}

/** Where a process stands; inside walls as well. */
function folderOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
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
