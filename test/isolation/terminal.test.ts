import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasBubblewrap, PERSONS, type Person } from './available.ts'
import { commandFor, environmentOf, NODE, type Run } from './run.ts'
import { until } from './until.ts'
import { makeWorld, type World } from './world.ts'

let world: World
let terminal: Terminal | undefined

/** A real terminal around a task: `script` (util-linux) makes one and passes our keys on. */
class Terminal {
  shown = ''
  readonly #script: ChildProcess
  #status: number | null | undefined

  constructor(run: Run, wrap = (command: string) => `exec ${command}`) {
    const command = commandFor(world, run).map((word) => `'${word.replaceAll("'", "'\\''")}'`)
    this.#script = spawn('script', ['-qec', wrap(command.join(' ')), '/dev/null'], {
      cwd: world.project,
      env: { ...environmentOf(world), PS1: 'prompt> ' },
      stdio: 'pipe',
    })
    this.#script.stdout?.on('data', (part) => {
      this.shown += part
    })
    this.#script.once('exit', (status) => {
      this.#status = status
    })
  }

  type(keys: string): void {
    this.#script.stdin?.write(keys)
  }

  async shows(text: string, times = 1): Promise<void> {
    const seen = () => this.shown.split(text).length > times
    await until(`the terminal shows ${text}: ${this.shown}`, seen).catch(() => {
      throw new Error(`not ${text}, but: ${JSON.stringify(this.shown)}`)
    })
  }

  async ends(): Promise<number | null | undefined> {
    await until('the terminal ends', () => this.#status !== undefined).catch(() => {
      throw new Error(`not ended, but: ${JSON.stringify(this.shown)}`)
    })
    return this.#status
  }

  close(): void {
    this.#script.kill('SIGKILL')
  }
}

const TYPES_INTO_ITS_TERMINAL = `
import fcntl
for c in b'echo TYPED\\n':
    fcntl.ioctl(0, 0x5412, bytes([c]))
print('done')
`

describe.runIf(hasBubblewrap()).each(PERSONS)('in a terminal, as %s', (person: Person) => {
  const run = (path: string, ...args: string[]): Run => ({ level: 'confine', person, path, args })
  beforeAll(() => {
    world = makeWorld(person)
  })
  afterEach(() => terminal?.close())
  afterAll(() => world.remove())

  it('a task cannot type into it', async () => {
    // Only where the kernel lets programs do that at all is there something to see.
    const able = readFileSync('/proc/sys/dev/tty/legacy_tiocsti', 'latin1').trim() === '1'
    const type = { ...run('/usr/bin/python3', '-c', TYPES_INTO_ITS_TERMINAL) }
    terminal = new Terminal({ ...type, level: 'scrub' })
    if (able) await terminal.shows('done')
    terminal.close()
    terminal = new Terminal(type)
    await terminal.shows('Operation not permitted')
    expect(await terminal.ends()).toBe(1)
  })

  it('Ctrl-C reaches the command once, and what it makes of it is its own', async () => {
    const counter = `
      let n = 0
      process.on('SIGINT', () => { console.log('INT ' + ++n); if (n === 2) process.exit(7) })
      console.log('ready'); setInterval(() => {}, 1000)`
    terminal = new Terminal(run(NODE, '-e', counter))
    await terminal.shows('ready')
    terminal.type('\x03')
    await terminal.shows('INT 1')
    terminal.type('\x03')
    await terminal.shows('INT 2')
    expect(await terminal.ends()).toBe(7)
    expect(terminal.shown).not.toContain('INT 3')
  })

  it('Ctrl-C ends a command that does nothing about it, with 130', async () => {
    terminal = new Terminal(run('/bin/sh', '-c', 'echo ready; exec sleep 100'))
    await terminal.shows('ready')
    terminal.type('\x03')
    expect(await terminal.ends()).toBe(130)
  })

  it('a shell inside has job control', async () => {
    terminal = new Terminal({ ...run('/bin/bash', '--norc', '-i'), env: { PS1: 'prompt> ' } })
    await terminal.shows('prompt> ')
    terminal.type('sh -c "echo $((40+2)); exec sleep 100"\n')
    await terminal.shows('42')
    terminal.type('\x1a')
    await terminal.shows('Stopped')
    terminal.type('jobs; kill %1; echo status=$?\n')
    await terminal.shows('status=0')
    // Where bash has not heard of the job's end yet it says that jobs are stopped, and goes the second time.
    terminal.type('exit 5\nexit 5\n')
    expect(await terminal.ends()).toBe(5)
    expect(terminal.shown).not.toContain('no job control')
  })

  it('Ctrl-Z stops the whole task, and fg brings it back', async () => {
    const line = (command: string) =>
      `bash --norc -ic '${command.replaceAll("'", "'\\''")}; echo stopped=$?; fg; echo end=$?'`
    terminal = new Terminal(run('/bin/sh', '-c', 'echo ready; read x; echo "got $x"; exit 3'), line)
    await terminal.shows('ready')
    terminal.type('\x1a')
    await terminal.shows('stopped=148')
    terminal.type('word\n')
    await terminal.shows('got word')
    await terminal.shows('end=3')
  })

  it("the size of the window is the command's", async () => {
    terminal = new Terminal(run('/bin/sh', '-c', 'stty rows 33 cols 77; stty size'))
    await terminal.shows('33 77')
    expect(await terminal.ends()).toBe(0)
  })
})
