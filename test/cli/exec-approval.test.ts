import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BIN, collect, statusOf, until } from '../fixtures/broker.ts'
import { APPROVAL_ID, approval, FakeDaemon } from '../unit/client-fake-daemon.ts'

const { version } = JSON.parse(readFileSync(join(BIN, '..', '..', 'package.json'), 'utf8'))
let fake: FakeDaemon
let decide: () => void
let running: ChildProcess | undefined

beforeEach(async () => {
  fake = new FakeDaemon(version)
  await fake.listen()
  fake.answer = (frame, send) => {
    if (frame.type !== 'request') return fake.usual(frame, send)
    decide = () => send(fake.grant())
    send({ type: 'pending', approval: approval() })
  }
})
afterEach(() => {
  running?.kill('SIGKILL')
  fake.close()
})

const ARGS = ['exec', '--isolation', 'scrub', '--env', 'staging']
const env = () => ({ PATH: process.env['PATH'], HOME: fake.folder, BROKER_HOME: fake.folder })

function exec(...flags: string[]) {
  running = spawn(process.execPath, [BIN, ...ARGS, ...flags, '--', 'echo', 'RAN'], { env: env() })
  return collect(running)
}

const LINE = new RegExp(
  String.raw`broker: waiting for approval ${APPROVAL_ID} \((10m 0s|9m \d+s) left\): broker approve ${APPROVAL_ID}\n`,
)
const asked = () => until('it asked', () => fake.types().includes('request'))

describe('exec with a lease that waits for approval', () => {
  const refusals = [
    { code: 'approval_denied', message: `approval "${APPROVAL_ID}" was denied: not today` },
    { code: 'approval_lapsed', message: `approval "${APPROVAL_ID}" lapsed` },
  ]
  it.each(refusals)('runs nothing and exits with 125: $code', async ({ code, message }) => {
    fake.answer = (_frame, send, socket) => {
      send({ type: 'pending', approval: approval() })
      refuse = () => {
        send({ type: 'error', error: { code, message, hint: 'ask again', details: {} } })
        socket.end()
      }
    }
    let refuse = () => {}
    const ended = exec()
    running?.stderr?.once('data', () => refuse())
    const { status, out, err } = await ended
    expect(status).toBe(125)
    expect(out).toBe('')
    expect(err.split('\n').slice(1)).toEqual([`broker: ${message}`, 'hint: ask again', ''])
    expect(err).toMatch(LINE)
  })

  it('lets go of it when a signal ends the wait', async () => {
    const ended = exec()
    await asked()
    const letGo = new Promise<void>((resolve) => fake.open[0]?.once('end', resolve))
    running?.kill('SIGINT')
    const { status, out } = await ended
    expect(status).toBe(130)
    expect(out).toBe('')
    await letGo
    expect(fake.types()).not.toContain('ack')
  })

  it.each(['', '--quiet'])('says it once and goes on (%s)', async (flag) => {
    const ended = exec(...(flag ? [flag] : []))
    await asked()
    await until('it pinged', () => fake.types().includes('ping')) // so it waited longer than a moment
    decide()
    const { status, out, err } = await ended
    expect([status, out]).toEqual([0, 'RAN\n'])
    expect(err).toMatch(LINE)
    expect(err.match(/waiting/g)).toHaveLength(1)
  })
})

const available = existsSync('/usr/bin/script')
if (!available) console.warn('SKIPPED: terminal tests need `script` of util-linux')
if (!available && process.env['CI']) throw new Error('terminal tests need `script`')

describe.skipIf(!available)('on a terminal', () => {
  let shown = ''
  function terminal(columns: number, flags = '') {
    shown = ''
    const command = `stty cols ${columns}; exec "${process.execPath}" "${BIN}" ${ARGS.join(' ')} ${flags} -- echo RAN`
    running = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...env(), TERM: 'xterm', SHELL: '/bin/sh' },
      stdio: 'pipe',
    })
    running.stdout?.on('data', (chunk) => {
      shown += chunk
    })
    return statusOf(running)
  }
  const countdowns = () =>
    new Set(Array.from(shown.matchAll(/\((\d+m \d+s) left\)/g), ([, left]) => left))

  const widths = [
    { columns: 140, line: `broker: waiting for approval ${APPROVAL_ID} (` },
    { columns: 80, line: 'broker: waiting (' },
  ]
  it.each(widths)('the time counts down on one line of $columns columns', async (row) => {
    const status = terminal(row.columns)
    await until('it counts', () => countdowns().size >= 3)
    decide()
    expect(await status).toBe(0)
    const [waiting = '', rest = ''] = shown.split('\r\u001b[Kbroker: lease lse_')
    const drawn = waiting.split('\r').filter((part) => part.includes('left'))
    expect(drawn.length).toBeGreaterThanOrEqual(3)
    for (const part of drawn) {
      expect(part.endsWith(` left): broker approve ${APPROVAL_ID}\u001b[K`)).toBe(true)
      expect(part.startsWith(row.line)).toBe(true)
      expect(part.length).toBeLessThan(row.columns + 3)
    }
    expect(waiting).not.toContain('\n')
    expect(rest).toContain('RAN')
  })

  it('it is said once where it would not fit, and with --quiet', async () => {
    for (const [columns, flags] of [
      [60, ''],
      [140, '--quiet'],
    ] as const) {
      fake.seen.length = 0
      const status = terminal(columns, flags)
      await until('it pinged', () => fake.types().includes('ping'))
      decide()
      expect(await status).toBe(0)
      expect(shown.replaceAll('\r\n', '\n')).toMatch(LINE)
      expect(countdowns().size).toBe(1)
    }
  })

  it('Ctrl-C leaves an empty line and 130', async () => {
    const status = terminal(80)
    await until('it counts', () => countdowns().size >= 1)
    running?.stdin?.write('\x03')
    expect(await status).toBe(130)
    expect(shown.endsWith('\r\u001b[K')).toBe(true)
    expect(shown).not.toContain('RAN')
  })
})
