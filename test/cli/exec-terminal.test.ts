import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { BIN, statusOf, TestBroker, until } from '../fixtures/broker.ts'

let broker: TestBroker
let terminal: Terminal | undefined
beforeAll(async () => {
  broker = new TestBroker()
  await broker.exec(['true'])
})
afterEach(() => terminal?.close())
afterAll(() => broker.dispose())

/** A real terminal around a command: `script` (util-linux) makes one and passes our keys on. */
class Terminal {
  shown = ''
  readonly #script: ChildProcess
  readonly status: Promise<number>

  constructor(command: string, place: TestBroker = broker) {
    this.#script = spawn('script', ['-qec', `exec ${command}`, '/dev/null'], {
      env: place.env({ TERM: 'xterm', PS1: 'prompt> ', SHELL: '/bin/sh' }),
      stdio: 'pipe',
    })
    this.#script.stdout?.on('data', (chunk) => {
      this.shown += chunk
    })
    this.status = statusOf(this.#script)
  }

  type(keys: string): void {
    this.#script.stdin?.write(keys)
  }

  async shows(text: string | RegExp): Promise<void> {
    try {
      await until(`the terminal shows ${text}`, () =>
        typeof text === 'string' ? this.shown.includes(text) : text.test(this.shown),
      )
    } catch (error) {
      throw new Error(`it shows: ${JSON.stringify(this.shown)}`, { cause: error })
    }
  }

  close(): void {
    this.#script.kill('SIGKILL')
  }
}

const EXEC = `"${process.execPath}" "${BIN}" exec --isolation scrub --env staging --`
const available = existsSync('/usr/bin/script')
if (!available) console.warn('SKIPPED: terminal tests need `script` of util-linux')
if (!available && process.env['CI']) throw new Error('terminal tests need `script`')

describe.skipIf(!available)('in a terminal', () => {
  it('Ctrl-C reaches the child once, not twice', async () => {
    const counter = `
      let n = 0
      process.on('SIGINT', () => console.log('INT ' + ++n))
      process.stdin.on('data', () => { console.log('total ' + n); process.exit(7) })
      console.log('ready')`
    terminal = new Terminal(`${EXEC} "${process.execPath}" -e "${counter.replaceAll('"', '\\"')}"`)
    await terminal.shows('ready')
    terminal.type('\x03')
    await terminal.shows('INT 1')
    terminal.type('\n')
    await terminal.shows('total 1')
    expect(await terminal.status).toBe(7)
    await terminal.shows(/broker: revoked in \d+ ms/)
  })

  it('Ctrl-C on a child that does not catch it ends it with 130, and the lease', async () => {
    terminal = new Terminal(`${EXEC} sh -c 'echo ready; exec sleep 60'`)
    await terminal.shows('ready')
    terminal.type('\x03')
    expect(await terminal.status).toBe(130)
    expect(terminal.shown).toMatch(/broker: revoked in \d+ ms/)
  })

  it('Ctrl-Z stops the job, fg resumes it, and the child goes on reading', async () => {
    terminal = new Terminal('bash --norc -i')
    await terminal.shows('prompt> ')
    terminal.type(`${EXEC} sh -c 'echo ready; read line; echo "got $line"'; echo "status $?"\n`)
    await terminal.shows(/\nready/)
    terminal.type('\x1a')
    await terminal.shows(/Stopped/)
    terminal.type('fg\n')
    await terminal.shows(/fg\r?\n[^\n]*exec/)
    terminal.type('hello\n')
    await terminal.shows('got hello')
    await terminal.shows(/broker: revoked in \d+ ms/)
    terminal.type('exit\n')
  })

  it('the child sees the terminal, and a change of its size', async () => {
    const script = 'trap "stty size" WINCH; tty; echo ready; while :; do sleep 0.1; done'
    terminal = new Terminal(`${EXEC} sh -c '${script}'`)
    await terminal.shows('ready')
    const tty = /\/dev\/\S+/.exec(terminal.shown)?.[0] ?? ''
    execFileSync('stty', ['-F', tty, 'rows', '33', 'cols', '99'])
    await terminal.shows('33 99')
    terminal.type('\x03')
    expect(await terminal.status).toBe(130)
  })

  it('a wait for the lease shows on the terminal and leaves nothing behind', async () => {
    const pid = broker.daemonPid()
    if (pid === undefined) throw new Error('there is no daemon')
    process.kill(pid, 'SIGSTOP')
    try {
      terminal = new Terminal(`${EXEC} echo RAN`)
      await terminal.shows(/waiting for the lease · \d\.\d s/)
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await terminal.shows('RAN')
    expect(terminal.shown).toContain('\r\u001b[Kbroker: lease lse_')
    expect(await terminal.status).toBe(0)
  })

  it('asks for the passphrase of a sealed vault, and shows nothing of it', async () => {
    const env = { BROKER_VAULT_PASSPHRASE: 'correct horse' }
    const sealed = new TestBroker()
    try {
      expect((await sealed.exec(['true'], [], { env })).status).toBe(0)
      expect((await sealed.run(['daemon', 'stop'])).status).toBe(0)
      terminal = new Terminal(`${EXEC} echo RAN`, sealed)
      await terminal.shows('passphrase of the vault: ')
      terminal.type('correct horsy\x7fe\n')
      await terminal.shows('RAN')
      expect(await terminal.status).toBe(0)
      expect(terminal.shown).not.toContain('horse')
    } finally {
      await sealed.dispose()
    }
  })
})
