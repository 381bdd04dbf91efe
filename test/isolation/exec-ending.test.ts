import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { BIN, collect, until } from '../fixtures/broker.ts'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { EXEC, Machine } from './machine.ts'
import { childrenOf } from './processes.ts'

let machine: Machine
const running: ChildProcess[] = []

function begin(code: string, flags: readonly string[] = []) {
  const child = machine.broker([...EXEC, ...flags, '--', 'sh', '-c', code])
  running.push(child)
  let shown = ''
  child.stdout?.on('data', (part) => {
    shown += part
  })
  return { child, ended: collect(child), shown: () => shown }
}

const isBubblewrap = (pid: number) => readFileSync(`/proc/${pid}/comm`, 'latin1') === 'bwrap\n'

describe.runIf(hasBubblewrap()).each(PERSONS)(
  'the end of an isolated task, as %s',
  (person: Person) => {
    beforeAll(() => {
      machine = new Machine(person)
    })
    afterEach(() => {
      for (const child of running.splice(0)) child.kill('SIGKILL')
    })
    afterAll(() => machine.remove())

    it('comes at once when a secret file stands bare, and says why', async () => {
      const { ended, shown } = begin('echo ready; sleep 60; echo LIVED')
      await until('it runs', () => shown().includes('ready'))
      writeFileSync(join(machine.project, 'new.example'), 'KEY=another\n')
      renameSync(join(machine.project, 'new.example'), join(machine.project, '.env'))
      const { status, out, err } = await ended
      expect({ status, out }).toEqual({ status: 137, out: 'ready\n' })
      expect(err).toContain(
        `broker: "${machine.project}/.env" was replaced and could be read from inside: the command is ended\n`,
      )
      expect(err).toMatch(/\nbroker: revoked in \d+ ms\n$/)
    })

    it('takes every descendant along', async () => {
      const beat = join(machine.project, 'beat')
      const loop = 'while :; do date +%N > beat; sleep 0.02; done'
      const { ended } = begin(`setsid sh -c '${loop}' & while ! [ -s beat ]; do :; done`)
      expect((await ended).status).toBe(0)
      const last = readFileSync(beat, 'utf8')
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(readFileSync(beat, 'utf8')).toBe(last)
    })

    it('comes with the end of exec, however that ended', async () => {
      const beat = join(machine.project, 'beat-2')
      const loop = 'while :; do date +%N > beat-2; sleep 0.02; done'
      const { child, ended } = begin(`setsid sh -c '${loop}' & sleep 60`)
      await until('it beats', () => existsSync(beat) && readFileSync(beat, 'utf8') !== '')
      child.kill('SIGKILL')
      // setpriv becomes the command, so this is exec itself.
      expect((await ended).status).toBe(137)
      await until('the lease is over', () => machine.isSettled())
      const last = readFileSync(beat, 'utf8')
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(readFileSync(beat, 'utf8')).toBe(last)
    })

    it.each([
      ['its own', 'exit 42', 42],
      ['128 and the number of a signal', 'kill -TERM $$', 143],
      ['that of a signal nobody catches', 'kill -KILL $$', 137],
    ])('has the status of the command: %s', async (_, code, status) => {
      expect((await machine.sh(code)).status).toBe(status)
    })

    it('is 126 and 127 for a command that cannot be started inside, and the lease is over', async () => {
      const gone = machine.put('home/scripts/deploy', '#!/home/nobody-has-this/sh\n', 0o755)
      const missing = await machine.run([...EXEC, '--', gone])
      expect(missing.status).toBe(127)
      expect(missing.err).toContain(`broker: command "${gone}" was not found inside\n`)
      expect(missing.err).toMatch(/hint: .*hidden/)
      const text = machine.put('home/project/in-a-folder', '#!/etc\n', 0o755)
      const refused = await machine.run([...EXEC, '--', text])
      expect(refused.status).toBe(126)
      expect((await machine.run([...EXEC, '--', 'no-such-tool'])).status).toBe(127)
      expect(await machine.isSettled()).toBe(true)
    })

    it('is asked for by a signal once, and the command may clean up', async () => {
      const { child, ended, shown } = begin(
        "trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.05; done",
      )
      await until('it is ready', () => shown().includes('ready'))
      child.kill('SIGTERM')
      const { status, out } = await ended
      expect({ status, out }).toEqual({ status: 9, out: 'ready\nasked\n' })
    })

    it('ends its access before the last of it is down, and waits for that with the status', async () => {
      const code = 'echo ready; while ! [ -e go ]; do sleep 0.02; done; exit 7'
      const { child, ended, shown } = begin(code)
      await until('it runs', () => shown().includes('ready'))
      // The other one may be the daemon, which the first task starts.
      const outer = childrenOf(child.pid ?? 0).find(isBubblewrap)
      if (outer === undefined) throw new Error('no bubblewrap below exec')
      process.kill(outer, 'SIGSTOP')
      machine.put('home/project/go', '')
      await until('the lease is over', () => machine.isSettled())
      expect(child.exitCode).toBeNull()
      process.kill(outer, 'SIGCONT')
      expect((await ended).status).toBe(7)
    })

    it('tells what has changed and runs later, and could only if it was allowed', async () => {
      const write = 'echo x >.vscode/tasks.json'
      const more = `${write}; mkdir .cursor; echo y >.cursor/mcp.json`
      const held = await machine.sh(more, ['--quiet'])
      expect(held.err).toMatch(/cannot create .vscode.tasks.json: Read-only file system/)
      expect(held.err).toContain(
        'broker: changed, and runs later with your rights: .cursor, .cursor/mcp.json\n',
      )
      const allowed = await machine.sh(write, ['--quiet', '--allow-write', '.vscode'])
      expect(allowed.err).toBe(
        'broker: changed, and runs later with your rights: .vscode/tasks.json\n',
      )
      expect((await machine.sh('true', ['--quiet'])).err).toBe('')
    })

    it('leaves nothing of it behind', async () => {
      await machine.sh('true')
      const tasks = join(machine.state, 'run/tasks')
      await until(
        'the folders are gone',
        () => !existsSync(tasks) || readdirSync(tasks).length === 0,
      )
    })

    it('in a terminal: Ctrl-C once, Ctrl-Z and back', async () => {
      const words = [process.execPath, BIN, ...EXEC, '--', 'sh', '-c']
      const code =
        'trap "echo INT" INT; echo ready; until read x && [ "$x" = word ]; do :; done; echo "got $x"; exit 3'
      const command = [...words, code].map((word) => `'${word}'`).join(' ')
      const line = `bash --norc -ic '${command.replaceAll("'", "'\\''")}; echo stopped=$?; fg; echo end=$?'`
      const terminal = machine.spawn('/usr/bin/script', ['-qec', line, '/dev/null'], {
        env: { TERM: 'xterm' },
      })
      running.push(terminal)
      let shown = ''
      terminal.stdout?.on('data', (part) => {
        shown += part
      })
      const shows = (text: string) => until(`it shows ${text}`, () => shown.includes(text))
      await shows('ready')
      terminal.stdin?.write('\x03')
      await shows('INT')
      terminal.stdin?.write('\x1a')
      await shows('stopped=148')
      terminal.stdin?.write('word\n')
      await shows('got word')
      await shows('end=3')
      expect(shown.match(/INT\r$/gm)).toHaveLength(1)
    })
  },
)
