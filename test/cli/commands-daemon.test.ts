import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { identityOf } from '../../src/client/process-identity.ts'
import { BIN, environment, freshHome, runBroker } from './commands-product.ts'

// Everything here runs against the real daemon, started as a user's would be.
let home: ReturnType<typeof freshHome>
const children: ChildProcess[] = []

beforeEach(() => {
  home = freshHome()
})
afterEach(async () => {
  await Promise.all(children.splice(0).map(ended))
  await broker(['daemon', 'stop'])
  home.remove()
})

const broker = (args: readonly string[], options: Partial<Parameters<typeof runBroker>[1]> = {}) =>
  runBroker(args, { home: home.path, ...options })
const json = async (args: readonly string[]) =>
  JSON.parse((await broker([...args, '--json'])).stdout)

function start(args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: home.path,
    env: environment(home.path),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  children.push(child)
  return child
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode)
  const end = new Promise<number | null>((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  return end
}

async function until<T>(look: () => Promise<T>, fits: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look()
    if (fits(found)) return found
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('the daemon', () => {
  test('is started by a command that needs it, told of, and gone when stop returns', async () => {
    expect((await broker(['daemon', 'status'])).code).toBe(5)
    expect((await broker(['connections'])).code).toBe(0)
    const status = await json(['daemon', 'status'])
    expect(Object.keys(status)).toEqual(['running', 'pid', 'version', 'socket', 'home'])
    expect(status).toMatchObject({
      running: true,
      socket: join(home.path, 'run/broker.sock'),
      home: home.path,
    })
    expect(await json(['daemon', 'start'])).toEqual(status)
    expect(await json(['daemon', 'stop'])).toEqual({ stopped: true, pid: status.pid })
    expect(identityOf(status.pid)).toBeUndefined()
    expect((await broker(['daemon', 'status'])).code).toBe(5)
    const log = await json(['daemon', 'logs'])
    expect(log.file).toBe(join(home.path, 'state/daemon.log'))
    expect(log.lines.join('\n')).toContain('serving')
  })

  test('run stays in the foreground, refuses a second one and ends on SIGTERM', async () => {
    const first = start(['daemon', 'run'])
    const status = await until(
      () => json(['daemon', 'status']),
      ({ running }) => running,
    )
    expect(status.pid).toBe(first.pid)
    const second = await broker(['daemon', 'run'])
    expect(second.stderr).toContain(`broker: a daemon of this home runs already, pid ${first.pid}`)
    expect(second.stderr).toContain('hint: broker daemon stop')
    expect(second.code).toBe(1)
    expect(await ended(first)).toBe(0)
    expect((await broker(['daemon', 'status'])).code).toBe(5)
  })

  const outside = [
    { verb: 'run', says: 'a task cannot run a daemon' },
    { verb: 'logs', says: 'a task cannot read the log of the daemon' },
  ]
  test.each(outside)('$verb is refused inside a task', async ({ verb, says }) => {
    const { code, stderr } = await broker(['daemon', verb], { env: { BROKER_HANDLE: 'x' } })
    expect(stderr).toContain(`broker: ${says}`)
    expect(code).toBe(3)
  })

  test('that cannot start leaves doctor with something to say', async () => {
    const { code, stdout } = await broker(['doctor', '--json'], {
      env: { BROKER_VAULT: 'nonsense' },
    })
    const { sections } = JSON.parse(stdout)
    expect(sections[0].title).toBe('this machine')
    expect(sections.at(-1)).toMatchObject({ title: 'daemon', findings: [{ level: 'problem' }] })
    expect(code).toBe(1)
  })
})

test('doctor finds no problem on a fresh home and names the rung', async () => {
  const text = await broker(['doctor'])
  expect(text.stdout).toMatch(/broker exec reaches "(scrub|mask|confine)"/)
  expect(text.stdout).toContain('a process of the same user is not a boundary')
  expect(text.stdout).toContain('ok       operator key')
  expect(text.code).toBe(0)
})

describe('broker.yaml', () => {
  test('from init checks, shows its change, is refused without --yes and applies with it', async () => {
    await broker(['template', 'init'])
    const check = await broker(['template', 'check', 'broker.yaml'])
    expect(check.stdout).toMatch(/^broker\.yaml: ok, \d+ changes\n$/)
    expect(check.code).toBe(0)
    const diff = await broker(['template', 'diff', 'broker.yaml'])
    expect(diff.stdout).toMatch(/^\+ /)
    expect((await broker(['template', 'apply', 'broker.yaml'])).code).toBe(2)
    expect((await json(['template', 'list'])).configVersion).toBe(0)
    const apply = await broker(['template', 'apply', 'broker.yaml', '--yes'])
    expect(apply.stdout).toMatch(/^applied as version 1, /)
    const { templates } = await json(['template', 'list'])
    const text = await broker(['template', 'list'])
    expect(text.stdout.split('\t')[0]).toBe(templates[0].name)
    const shown = await json(['template', 'show', templates[0].name])
    expect(shown.sha256).toBe(templates[0].sha256)
    expect((await broker(['template', 'diff', 'broker.yaml'])).stdout).toBe(
      'nothing would change\n',
    )
  })

  test('with a wrong key is pointed at, and changes nothing', async () => {
    writeFileSync(join(home.path, 'bad.yaml'), 'version: 1\nenvironments: {}\ntemplatse: {}\n')
    const check = await broker(['template', 'check', 'bad.yaml'])
    expect(check.stdout).toMatch(/^bad\.yaml:3:1: error: .*\(did you mean "templates"\?\)$/m)
    expect(check.code).toBe(1)
    const apply = await broker(['template', 'apply', 'bad.yaml', '--yes', '--json'])
    expect(JSON.parse(apply.stdout).error.code).toBe('config_invalid')
    expect(JSON.parse(apply.stdout).error.details.issues).not.toEqual([])
    expect((await json(['template', 'list'])).configVersion).toBe(0)
  })
})

describe('a task', () => {
  const sleeping = [
    'exec',
    '--isolation',
    'scrub',
    '--env',
    'staging',
    '--quiet',
    '--',
    'sleep',
    '600',
  ]
  const live = () => json(['tokens'])

  test('is listed while it runs, ended by revoke, and told of afterwards', async () => {
    const task = start(sleeping)
    const { leases } = await until(live, ({ leases: found }) => found[0]?.state === 'active')
    expect(leases).toHaveLength(1)
    const [lease] = leases
    const text = await broker(['tokens'])
    expect(text.stdout.split('\t').slice(0, 3)).toEqual([lease.id, 'active', 'staging'])

    const revoked = await broker(['revoke', lease.id, '--reason', 'test'])
    expect(revoked.stdout).toBe(`${lease.id} revoked\n`)
    expect(revoked.code).toBe(0)
    expect(await live()).toEqual({ leases: [] })
    expect((await json(['tokens', '--all'])).leases[0]).toMatchObject({
      id: lease.id,
      state: 'revoked',
      endReason: 'revoked_by_operator',
    })

    const history = await json(['audit', 'show', lease.id])
    expect(history.lease.id).toBe(lease.id)
    const { entries } = await json(['audit', 'list', '--lease', lease.id, '--since', '1h'])
    expect(history.entries).toEqual(entries)
    expect((await broker(['audit', 'verify'])).code).toBe(0)
    expect((await json(['jwks'])).keys[0]).toMatchObject({ kty: 'OKP', crv: 'Ed25519' })
    await ended(task)
  })

  test('sees itself only, and is refused what is for people', async () => {
    start(sleeping)
    await until(live, ({ leases }) => leases.length === 1)
    const commands = [
      ['tokens', '--json'],
      ['connections', '--json'],
      ['revoke', '--all', '--json'],
      ['doctor', '--json'],
      ['daemon', 'stop', '--json'],
      ['template', 'list', '--json'],
    ]
    const script = commands
      .map((args) => `"${process.execPath}" "${BIN}" ${args.join(' ')}; echo "exit $?"`)
      .join('\n')
    const { stdout, stderr } = await broker([
      'exec',
      '--isolation',
      'scrub',
      '--env',
      'staging',
      '--quiet',
      '--',
      'sh',
      '-c',
      script,
    ])
    expect(stderr).toBe('')
    const [own, ...refused] = stdout.split(/exit \d+\n/).filter((part) => part !== '')
    expect(JSON.parse(own ?? '').leases).toHaveLength(1)
    expect(refused.map((part) => JSON.parse(part).error.code)).toEqual(
      commands.slice(1).map(() => 'denied'),
    )
    expect(stdout.match(/exit \d+/g)).toEqual(['exit 0', ...commands.slice(1).map(() => 'exit 3')])
    expect((await live()).leases).toHaveLength(1)
  })
})
