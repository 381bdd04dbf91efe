import type { LeaseView } from '../api/types.ts'
import { leaseAt } from '../client/lease-at.ts'
import { LeaseSession } from '../client/lease-session.ts'
import type { Issued, SessionPlace, TaskEnd } from '../client/session-terms.ts'
import { type BrokerError, isBrokerError } from '../errors.ts'
import { type Child, type ChildEnd, exitStatus, loadSpawn, startChild } from '../launch/child.ts'
import { scrubEnvironment } from '../launch/scrub.ts'
import { faultPoint } from '../lib/fault.ts'
import { Secret } from '../lib/secret.ts'
import { type NotRun, pathOf, refused, spawnFailure } from './failure.ts'
import { LeaseWait } from './lease-wait.ts'
import { endedEarlyLine, foreignKeyLines, leaseLine, outcomeLine, staysLine } from './lines.ts'
import type { ExecOptions } from './parse.ts'
import { leaseRequest } from './request.ts'
import { say, sayError } from './say.ts'
import { Signals } from './signals.ts'
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
  #wait: LeaseWait | undefined
  #proxied = false
  /** The command may not go on: nothing would end its access in time, or it has lost its proxy. */
  #orphaned = false
  #gone: BrokerError | undefined

  constructor(options: ExecOptions, place: TaskPlace) {
    this.#options = options
    this.#place = place
    this.#session = this.#newSession()
  }

  #newSession(): LeaseSession {
    return new LeaseSession(this.#place, {
      asked: () => this.#prepare(),
      pending: (approval) => this.#wait?.pending(approval),
      endedEarly: (lease) => this.#endedEarly(lease),
      gone: (error) => this.#daemonGone(error),
    })
  }

  /** The environment for the child, once the lease is bound to us. */
  async begin(): Promise<Record<string, string>> {
    this.#signals.listen()
    const environment = await this.#bind().catch(async (error: unknown) => {
      if (!isBrokerError(error) || error.code !== 'vault_locked') throw refused(error)
      const { unlock } = await import('./rare.ts')
      await unlock(this.#place, error)
      this.#session = this.#newSession()
      return this.#bind()
    })
    if (!this.#options.quiet) say(leaseLine(this.#held()))
    return environment.reveal()
  }

  async #bind(): Promise<Secret<Record<string, string>>> {
    const session = this.#session
    const wait = new LeaseWait(this.#options.quiet)
    this.#wait = wait
    try {
      const issued = await session.ask(leaseRequest(this.#options, process.pid))
      this.#lease = issued.lease
      faultPoint('C7')
      const environment = await this.#environment(issued)
      await session.bind()
      return environment
    } catch (error) {
      session.close()
      throw error
    } finally {
      wait.stop()
    }
  }

  /** The provider's variables win over the caller's, and those of the proxy over all. */
  async #environment({ variables, proxy }: Issued): Promise<Secret<Record<string, string>>> {
    const environment = { ...this.#prepare(), ...variables.reveal() }
    if (proxy === null) return new Secret(environment)
    this.#proxied = true
    const { proxiedTask } = await import('./rare.ts')
    const task = proxiedTask(proxy, environment, this.#place.cwd)
    if (!this.#options.quiet) task.remarks.forEach(say)
    return new Secret(task.environment)
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
    if (this.#orphaned) this.#endChild(child)
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
    // Also with --quiet: somebody tried a key that nobody gave to this task.
    foreignKeyLines(outcome.lease).forEach(say)
    if (!this.#options.quiet) say(outcomeLine(outcome, new Date()))
  }

  async #detach(): Promise<void> {
    try {
      const lease = await this.#session.detach()
      if (this.#proxied) await this.#sayForeignKeys(lease.id)
      if (!this.#options.quiet) say(staysLine(lease, new Date()))
    } catch (error) {
      sayError(refused(error).error)
      this.#session.close()
    }
  }

  async #sayForeignKeys(id: string): Promise<void> {
    const lease = await leaseAt(this.#place.caller, id)
    if (lease) foreignKeyLines(lease).forEach(say)
  }

  /**
   * Credentials that are over harm nobody, and the command may go on without. A lost proxy leaves it
   * sending its requests to a port that is free for anyone to take, so it ends.
   */
  #endedEarly(lease: LeaseView | undefined): void {
    const orphaned = this.#proxied && (lease === undefined || lease.endReason === 'proxy_lost')
    say(endedEarlyLine(this.#held().id, lease, orphaned))
    if (orphaned) this.#orphan()
  }

  /** Without its broker nothing would end the task's access in time: so the task ends. */
  #daemonGone(error: BrokerError): void {
    this.#gone = error
    sayError(error)
    this.#orphan()
  }

  #orphan(): void {
    this.#orphaned = true
    if (this.#child) this.#endChild(this.#child)
  }

  #endChild(child: Child): void {
    child.kill('SIGTERM')
    setTimeout(() => child.kill('SIGKILL'), LAST_WORDS_MS).unref()
  }
}
