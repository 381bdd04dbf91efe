import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { BrokerError } from '../errors.ts'
import type { Secret } from '../lib/secret.ts'
import type { Stage } from './stage.ts'

export interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: Secret
  /** Each line of standard output, as it comes. */
  readonly onLine?: (line: string) => void
  /** The same of standard error. */
  readonly onRemark?: (line: string) => void
}

/** What a program needs to run at all; nothing else of the caller's reaches those of the demo. */
const KEPT = ['PATH', 'TMPDIR', 'LANG', 'TZ', 'SYSTEMROOT', 'TEMP', 'TMP', 'PATHEXT']

/** Long for a stop that takes milliseconds, short for a person who waits for the prompt. */
const STOP_MS = 10_000

/** The programs of the demo: Node itself, and the broker's command line as a user would start it. */
export class Processes {
  readonly #env: Readonly<Record<string, string>>
  readonly #bin: string
  readonly #signal: AbortSignal
  /** A command has run that may have started the broker. */
  #brokerRuns = false
  readonly #running = new Map<ChildProcess, Promise<unknown>>()

  /** `bin`: bin/run.js. When `signal` aborts, what runs is asked to end and `run` rejects. */
  constructor(bin: string, { folder, brokerHome }: Stage, signal: AbortSignal) {
    this.#bin = bin
    this.#signal = signal
    this.#env = {
      ...kept(process.env),
      HOME: folder,
      USERPROFILE: folder,
      BROKER_HOME: brokerHome,
      BROKER_VAULT: 'file',
    }
  }

  /** One program of Node to its end. */
  node(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    this.#signal.throwIfAborted()
    return this.#run(args, options, { signal: this.#signal })
  }

  #run(args: readonly string[], options: RunOptions, more: SpawnOptions): Promise<Ran> {
    const child = spawn(process.execPath, args, {
      ...more,
      cwd: options.cwd,
      env: { ...this.#env, ...options.env },
      stdio: 'pipe',
    })
    child.stdin.on('error', () => {}) // it may end before it reads
    child.stdin.end(options.input?.reveal() ?? '')
    const { onLine, onRemark } = options
    if (onLine) createInterface({ input: child.stdout }).on('line', onLine)
    if (onRemark) createInterface({ input: child.stderr }).on('line', onRemark)
    const over = ended(child).finally(() => this.#running.delete(child))
    this.#running.set(child, over)
    return over
  }

  broker(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    this.#brokerRuns = true
    return this.node([this.#bin, ...args], options)
  }

  /** A command that has to succeed. Its own words say why it did not. */
  async must(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    const ran = await this.broker(args, options)
    if (ran.status === 0) return ran
    const said = ran.stderr.trim().split('\n')[0] ?? ''
    throw new BrokerError('internal', `"broker ${args[0]}" of the demo failed: ${said}`, {
      hint: 'run it again with --keep and look into the folder that it leaves',
      details: { command: args.slice(0, 2).join(' '), status: ran.status },
    })
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse((await this.must([...args, '--json'])).stdout) as T
  }

  /**
   * Ends what still runs, then the demo's broker, and waits for all of it. May be repeated. Throws
   * `internal` where the broker goes on running.
   */
  async end(): Promise<void> {
    for (const child of this.#running.keys()) child.kill()
    await Promise.allSettled(this.#running.values())
    if (!this.#brokerRuns) return
    // Detached: another Ctrl-C in the terminal is for us, and not for what cleans up.
    const { status } = await this.#run(this.#stopping, {}, { detached: true })
    if (status !== 0) throw stillRuns(this.#env['BROKER_HOME'] ?? '')
    this.#brokerRuns = false
  }

  /** The same for a process that is about to exit and can wait for nothing else. */
  endNow(): void {
    // At once: a command line that has time to say goodbye would start the broker again.
    for (const child of this.#running.keys()) child.kill('SIGKILL')
    if (!this.#brokerRuns) return
    spawnSync(process.execPath, this.#stopping, {
      env: this.#env,
      stdio: 'ignore',
      timeout: STOP_MS,
    })
  }

  get #stopping(): string[] {
    return [this.#bin, 'daemon', 'stop']
  }
}

function stillRuns(home: string): BrokerError {
  return new BrokerError('internal', 'the broker of the demo did not stop', {
    hint: `stop it with: BROKER_HOME=${home} broker daemon stop`,
    details: { home },
  })
}

function ended(child: ChildProcess): Promise<Ran> {
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    let failure: Error | undefined
    child.once('error', (error) => {
      failure = error
      // Never started: nothing else will be heard of it.
      if (child.pid === undefined) reject(error)
    })
    // Only then is it gone and can its folder be removed.
    child.once('close', (status) =>
      failure ? reject(failure) : resolve({ status, stdout, stderr }),
    )
  })
}

function kept(env: NodeJS.ProcessEnv): Record<string, string> {
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && KEPT.includes(name.toUpperCase())) result[name] = value
  }
  return result
}
