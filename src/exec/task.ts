import type { LeaseView } from '../api/types.ts'
import { LeaseSession, type SessionPlace, type TaskEnd } from '../client/lease-session.ts'
import { type BrokerError, isBrokerError } from '../errors.ts'
import { type Child, type ChildEnd, exitStatus, loadSpawn, startChild } from '../launch/child.ts'
import { scrubEnvironment } from '../launch/scrub.ts'
import { faultPoint } from '../lib/fault.ts'
import type { Secret } from '../lib/secret.ts'
import { type NotRun, pathOf, refused, spawnFailure } from './failure.ts'
import { endedEarlyLine, leaseLine, outcomeLine, staysLine } from './lines.ts'
import type { ExecOptions } from './parse.ts'
import { leaseRequest } from './request.ts'
import { say, sayError } from './say.ts'
import { Signals } from './signals.ts'
import { unlock } from './unlock.ts'
import { whileWaiting } from './waiting.ts'

/** From SIGTERM to SIGKILL, for a child whose broker is gone. */
const LAST_WORDS_MS = 2000

export interface TaskPlace extends SessionPlace {
  readonly cwd: string
}

/**
 * The whole of `broker exec`: find the command, get a lease, run the command with it, end the lease.
 * Returns the exit status; throws NotRun if the command did not run.
 */
export async function runTask(
  options: ExecOptions,
  command: string,
  place: TaskPlace,
): Promise<number> {
  const path = pathOf(command, place.env, place.cwd)
  const task = new Task(options, place)
  const env = await task.begin()
  faultPoint('C8')
  // Only a bound lease has a child: were we killed before, nobody would end what it holds.
  const child = await startChild({ path, name: command, args: options.args, env }).catch(
    (error: unknown) => task.abandon(spawnFailure(command, error)),
  )
  faultPoint('C9')
  return task.accompany(child)
}

class Task {
  readonly #options: ExecOptions
  readonly #place: TaskPlace
  #session: LeaseSession
  readonly #signals = new Signals()
  #kept: Readonly<Record<string, string>> | undefined
  #child: Child | undefined
  #lease: LeaseView | undefined
  #gone: BrokerError | undefined

  constructor(options: ExecOptions, place: TaskPlace) {
    this.#options = options
    this.#place = place
    this.#session = this.#newSession()
  }

  #newSession(): LeaseSession {
    return new LeaseSession(this.#place, {
      asked: () => this.#prepare(),
      endedEarly: (lease) => say(endedEarlyLine(this.#lease?.id ?? '', lease)),
      gone: (error) => this.#daemonGone(error),
    })
  }

  /** The environment for the child, once the lease is bound to us. */
  async begin(): Promise<Record<string, string>> {
    this.#signals.listen()
    const variables = await this.#bind().catch(async (error: unknown) => {
      if (!isBrokerError(error) || error.code !== 'vault_locked') throw refused(error)
      await unlock(this.#place, error)
      this.#session = this.#newSession()
      return this.#bind()
    })
    if (!this.#options.quiet) say(leaseLine(this.#held()))
    return { ...this.#prepare(), ...variables.reveal() }
  }

  async #bind(): Promise<Secret<Readonly<Record<string, string>>>> {
    const session = this.#session
    const work = session.ask(leaseRequest(this.#options, process.pid)).then(async (issued) => {
      this.#lease = issued.lease
      faultPoint('C7')
      await session.bind()
      return issued.variables
    })
    try {
      return await whileWaiting('waiting for the lease', !this.#options.quiet, work)
    } catch (error) {
      session.close()
      throw error
    }
  }

  #held(): LeaseView {
    if (this.#lease === undefined) throw new TypeError('there is no lease yet')
    return this.#lease
  }

  /** What can be done while the daemon is at work. */
  #prepare(): Readonly<Record<string, string>> {
    this.#kept ??= scrubEnvironment(this.#place.env, this.#options).kept
    loadSpawn()
    return this.#kept
  }

  async abandon(why: NotRun): Promise<never> {
    sayError(why.error)
    await this.#end({ exitCode: why.status, signal: null })
    process.exit(why.status)
  }

  async accompany(child: Child): Promise<number> {
    this.#child = child
    this.#signals.childStarted(child)
    this.#session.started(child.pid)
    if (this.#gone) this.#endChild(child)
    const end: ChildEnd = await child.ended
    this.#signals.childEnded()
    this.#child = undefined
    if (this.#options.untilTtl) await this.#detach()
    else await this.#end(end)
    return exitStatus(end)
  }

  async #end(how: TaskEnd): Promise<void> {
    if (this.#gone) return
    const ended = this.#session.end(how, this.#signals.cut)
    const outcome = await whileWaiting('revoking', !this.#options.quiet, ended)
    if (!this.#options.quiet) say(outcomeLine(outcome, new Date()))
  }

  async #detach(): Promise<void> {
    try {
      const lease = await this.#session.detach()
      if (!this.#options.quiet) say(staysLine(lease, new Date()))
    } catch (error) {
      sayError(refused(error).error)
      this.#session.close()
    }
  }

  /** Without its broker nothing would end the task's access in time: so the task ends. */
  #daemonGone(error: BrokerError): void {
    this.#gone = error
    sayError(error)
    if (this.#child) this.#endChild(this.#child)
  }

  #endChild(child: Child): void {
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), LAST_WORDS_MS).unref()
  }
}
