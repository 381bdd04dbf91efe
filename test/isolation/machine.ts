// A person's machine around the built product: a home with keys in the usual places, a project, and the
// broker in its usual folders. Real processes, real walls.
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { BIN, collect, isAlive, type Result, until } from '../fixtures/broker.ts'
import type { Person } from './available.ts'

const NODE = process.execPath
const NOBODY = 65534
/** With the folder of our Node: what is in PATH is there inside. */
export const USUAL = `/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:${dirname(NODE)}`

export const CANARY = 'CANARY-of-the-person'

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
}

export class Machine {
  readonly folder: string
  readonly home: string
  readonly project: string
  readonly state: string
  readonly person: Person

  constructor(person: Person) {
    this.person = person
    // Not in the temp folder if that can be helped: a task has its own, and too much would be hidden by that alone.
    this.folder = mkdtempSync(join(process.getuid?.() === 0 ? '/srv' : tmpdir(), 'exec-'))
    chmodSync(this.folder, 0o755)
    this.home = join(this.folder, 'home')
    this.project = join(this.home, 'project')
    this.state = join(this.home, '.local/state/broker')
    this.put('home/.aws/credentials', `aws_secret_access_key = ${CANARY}\n`)
    this.put('home/.railway/config.json', `{"token":"${CANARY}"}`)
    this.put('home/notes.txt', `remember ${CANARY}\n`)
    this.put('home/project/.env', `KEY=${CANARY}\n`)
    this.put('home/project/.vscode/tasks.json', '{}\n')
    this.put('home/project/main.js', 'console.log("hello")\n')
    execFileSync('git', ['init', '-q', this.project], {
      env: { PATH: USUAL, HOME: '/nonexistent' },
    })
    this.#own()
  }

  /** Paths below the folder. */
  put(path: string, text: string, mode = 0o600): string {
    const whole = join(this.folder, path)
    mkdirSync(dirname(whole), { recursive: true })
    writeFileSync(whole, text, { mode })
    this.#own(whole)
    return whole
  }

  #own(path = this.folder): void {
    if (this.person === 'nobody') execFileSync('chown', ['-hR', `${NOBODY}:${NOBODY}`, path])
  }

  env(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return { PATH: USUAL, HOME: this.home, LANG: 'C.UTF-8', BROKER_VAULT: 'file', ...more }
  }

  /** A program of the person's, with the product's own Node. */
  spawn(program: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const as = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups']
    const [first, before] =
      this.person === 'nobody' ? ['/usr/bin/setpriv', [...as, program]] : [program, []]
    return spawn(first, [...before, ...args], {
      cwd: this.project,
      stdio: 'pipe',
      ...options,
      env: this.env(options.env),
    })
  }

  broker(args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return this.spawn(NODE, [BIN, ...args], options)
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<Result> {
    return collect(this.broker(args, options))
  }

  /** `broker exec --env staging FLAGS -- sh -c CODE`. */
  sh(code: string, flags: readonly string[] = [], options: RunOptions = {}): Promise<Result> {
    return this.run([...EXEC, ...flags, '--', 'sh', '-c', code], options)
  }

  async apply(yaml: string): Promise<void> {
    const file = this.put('broker.yaml', yaml, 0o644)
    const { status, err } = await this.run(['template', 'apply', file, '--yes'])
    if (status !== 0) throw new Error(err)
  }

  async leases(): Promise<readonly { readonly state: string; readonly isolation: string }[]> {
    const { out } = await this.run(['tokens', '--all', '--json'])
    return JSON.parse(out).leases
  }

  /** Every lease there was is over. */
  async isSettled(): Promise<boolean> {
    return (await this.leases()).every(({ state }) => state === 'revoked')
  }

  daemon(): number | undefined {
    try {
      const pid = Number(readFileSync(join(this.state, 'run/daemon.pid'), 'utf8'))
      return isAlive(pid) ? pid : undefined
    } catch {
      return undefined
    }
  }

  async remove(): Promise<void> {
    const pid = this.daemon()
    if (pid !== undefined) {
      process.kill(pid, 'SIGKILL')
      await until('the daemon is gone', () => !isAlive(pid))
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export const EXEC = ['exec', '--env', 'staging']

/** A bwrap of the test's own, first in PATH; the real one under its usual name behind it. */
export function withBubblewrap(machine: Machine, script: string): NodeJS.ProcessEnv {
  const path = machine.put('tools/bwrap', `#!/bin/sh\n${script}\n`, 0o755)
  return { PATH: `${dirname(path)}:${USUAL}` }
}

/** A PATH with what tests run, and without bubblewrap. */
export function withoutBubblewrap(machine: Machine): { readonly PATH: string } {
  const folder = join(machine.folder, 'few')
  for (const name of ['sh', 'cat', 'echo', 'true', 'touch']) {
    machine.put(`few/${name}`, `#!/bin/sh\nexec /bin/${name} "$@"\n`, 0o755)
  }
  return { PATH: folder }
}
