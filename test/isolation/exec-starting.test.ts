import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { BIN, collect, until } from '../fixtures/broker.ts'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { EXEC, Machine, withBubblewrap } from './machine.ts'

let machine: Machine
/** With a bubblewrap that waits as long as `hold` is there, and fails where `fail` is. */
let env: NodeJS.ProcessEnv
const running: ChildProcess[] = []
const at = (name: string) => join(machine.folder, name)

const CONFINED = ['--isolation', 'confine']
/** Replaces the shell, which would wait for it before it heard of a signal. */
const CODE = 'touch ran; exec sleep 60'
const ran = () => existsSync(join(machine.project, 'ran'))

const OTHER =
  'process.on("SIGINT", () => { console.log("heard"); process.exit() }); console.log("listening"); setInterval(() => {}, 1000)'

/** Asleep, and no signal is on its way to it: what was has been seen to (proc_pid_status(5)). */
function isAtRest(pid: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return /^State:\tS/m.test(status) && /^SigPnd:\t0+\nShdPnd:\t0+$/m.test(status)
}

/** Resolves when the lease is there and the walls are waited for. */
async function begin() {
  machine.put('hold', '')
  const child = machine.broker([...EXEC, ...CONFINED, '--', 'sh', '-c', CODE], { env })
  running.push(child)
  const ended = collect(child)
  let told = ''
  child.stderr?.on('data', (part) => {
    told += part
  })
  await until('the lease is there', () => told.includes('lease lse_'))
  return { child, ended }
}

const release = () => rmSync(at('hold'))

describe.runIf(hasBubblewrap()).each(PERSONS)(
  'a signal while the walls of a task go up, as %s',
  (person: Person) => {
    beforeAll(async () => {
      machine = new Machine(person)
      const wait = `while [ -e ${at('hold')} ]; do sleep 0.02; done`
      env = withBubblewrap(
        machine,
        `${wait}; [ -e ${at('fail')} ] && exit 1; exec /usr/bin/bwrap "$@"`,
      )
      // Makes the broker's folders.
      await machine.sh('true', [], { env })
    })
    beforeEach(async () => {
      for (const name of ['hold', 'fail', 'home/project/ran']) rmSync(at(name), { force: true })
      // So that it is known that walls work here: who does not know finds out first, and would wait there.
      expect((await machine.sh('true', CONFINED, { env })).status).toBe(0)
    })
    afterEach(() => {
      rmSync(at('hold'), { force: true })
      for (const child of running.splice(0)) child.kill('SIGKILL')
    })
    afterAll(() => machine.remove())

    it("is the command's, which ends by it, and the lease is seen to its end", async () => {
      const { child, ended } = await begin()
      child.kill('SIGTERM')
      release()
      const { status, err } = await ended
      expect(status).toBe(143)
      expect(err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
    })

    it('ends exec if it is the second: what does not start is not waited for', async () => {
      const { child, ended } = await begin()
      child.kill('SIGINT')
      child.kill('SIGTERM')
      expect([130, 143]).toContain((await ended).status)
      release()
      await until('the lease is over', () => machine.isSettled())
      expect(ran()).toBe(false)
    })

    it('is why nothing ran, where the walls do not come to stand after it', async () => {
      const { child, ended } = await begin()
      child.kill('SIGINT')
      machine.put('fail', '')
      release()
      const { status, err } = await ended
      expect(status).toBe(130)
      expect(err).not.toContain('could not be started')
      expect(await machine.isSettled()).toBe(true)
      expect(ran()).toBe(false)
    })

    it('is not made up: walls that do not come to stand by themselves are told of', async () => {
      const { ended } = await begin()
      machine.put('fail', '')
      release()
      const { status, err } = await ended
      expect(status).toBe(125)
      expect(err).toContain('broker: the isolated task could not be started\n')
      expect(await machine.isSettled()).toBe(true)
    })

    it('typed at a terminal reaches the command, which was not there to hear it', async () => {
      machine.put('hold', '')
      const words = [process.execPath, BIN, ...EXEC, ...CONFINED, '--', 'sh', '-c', CODE]
      const quoted = (all: readonly string[]) => all.map((word) => `'${word}'`).join(' ')
      // Of the same group: when one has heard of it, it was sent to all.
      const other = quoted([process.execPath, '-e', OTHER])
      const job = machine.put('job', `echo pid=$$\n${other} &\nexec ${quoted(words)}\n`)
      const line = `bash --norc -ic 'sh ${job}; echo end=$?'`
      const terminal = machine.spawn('/usr/bin/script', ['-qec', line, '/dev/null'], {
        env: { ...env, TERM: 'xterm' },
      })
      running.push(terminal)
      let shown = ''
      terminal.stdout?.on('data', (part) => {
        shown += part
      })
      await until('both are there', () => /lease lse_/.test(shown) && /listening/.test(shown))
      terminal.stdin?.write('\x03')
      await until('it was typed', () => shown.includes('heard'))
      const pid = Number(/pid=(\d+)/.exec(shown)?.[1])
      await until('exec has taken it', () => isAtRest(pid))
      release()
      await until('it ends', () => shown.includes('end='))
      expect(shown).toContain('end=130')
      expect(await machine.isSettled()).toBe(true)
    })
  },
)
