import type { LeaseView, ProxyView } from '../api/types.ts'
import { LeaseSession } from '../client/lease-session.ts'
import { LocalEnd } from '../client/local-end.ts'
import type { Issued, SessionPlace, TaskEnd } from '../client/session-terms.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import { type Child, exitStatus, loadSpawn } from '../launch/child.ts'
import { toolVariables } from '../launch/recipe/tool-places.ts'
import { scrubEnvironment } from '../launch/scrub.ts'
import { faultPoint } from '../lib/fault.ts'
import { Secret } from '../lib/secret.ts'
import { type NotRun, pathOf, refused, spawnFailure } from './failure.ts'
import { launchOf } from './known-program.ts'
import type { Fitted, Launch, WholeChild, WholeEnd } from './launch.ts'
import { LeaseWait } from './lease-wait.ts'
import { endedEarlyLine, foreignKeyLines, leaseLine, outcomeLine, staysLine } from './lines.ts'
import type { ExecOptions } from './parse.ts'
import type { OpenRelay, Remote } from './remote-terms.ts'
import { leaseRequest } from './request.ts'
import { say, sayError } from './say.ts'
import { shortfallLines, withShortfall } from './shortfall.ts'
import { Signals } from './signals.ts'
import { type ToolFolder, toolFolder } from './tool-folder.ts'
import { whileWaiting } from './waiting.ts'
import { type Walls, wallsFor } from './walls.ts'

/** From SIGTERM to SIGKILL, for a child whose broker is gone. */
const LAST_WORDS_MS = 2000

export interface TaskPlace extends SessionPlace {
  readonly cwd: string
  /** For a lease of a server elsewhere. */
  readonly remote?: Remote
}

/**
 * The whole of `broker exec`: find the command, get a lease, run the command with it, end the lease.
 * Returns the exit status; throws NotRun if the command did not run.
 */
export async function runTask(
  given: ExecOptions,
  command: string,
  place: TaskPlace,
): Promise<number> {
  const path = pathOf(command, place.env, place.cwd)
  const launch = await launchOf(given, place, path)
  const options = launch ? { ...given, pass: [...given.pass, ...launch.pass] } : given
  const walls = await wallsFor(options, place, path, launch)
  launch?.admit(walls.level)
  const task = new Task(options, place, walls, launch)
  const env = await task.begin()
  faultPoint('C8')
  const { path: program = path, args = options.args } = task.how
  // Only a bound lease has a child: were we killed before, nobody would end what it holds.
  task.starting()
  const child = await walls
    .start({ path: program, name: command, args, env }, (lost) => task.maskLost(lost))
    .catch((error: unknown) => task.abandon(spawnFailure(command, error, walls.level !== 'scrub')))
  faultPoint('C9')
  return task.accompany(child)
}

class Task {
  readonly #options: ExecOptions
  readonly #place: TaskPlace
  readonly #walls: Walls
  #session: LeaseSession
  readonly #signals = new Signals()
  #kept: Readonly<Record<string, string>> | undefined
  #child: Child | undefined
  #lease: LeaseView | undefined
  #wait: LeaseWait | undefined
  #proxied = false
  #relay: OpenRelay | undefined
  #remarks: readonly string[] = []
  #tools: ToolFolder | undefined
  /** The command may not go on: nothing would end its access in time, or it has lost its proxy. */
  #orphaned = false
  #gone: BrokerError | undefined
  readonly #launch: Launch | undefined
  /** How an agent or an editor is to be started; known with the lease. */
  how: Partial<Pick<Fitted, 'path' | 'args' | 'remarks'>> = {}

  constructor(options: ExecOptions, place: TaskPlace, walls: Walls, launch: Launch | undefined) {
    this.#launch = launch
    this.#options = options
    this.#place = place
    this.#walls = walls
    this.#session = this.#newSession()
  }

  #newSession(): LeaseSession {
    return new LeaseSession(this.#place.remote?.end ?? new LocalEnd(this.#place), {
      asked: () => {
        // Not before: so the daemon is at work while we begin the walls, which may go up without its answer.
        this.#walls.begin()
        this.#walls.look(this.#prepare())
      },
      pending: (approval) => this.#wait?.pending(approval),
      endedEarly: (lease) => this.#endedEarly(lease),
      gone: (error) => this.#daemonGone(error),
    })
  }

  /** The environment for the child, once the lease is bound to us. */
  async begin(): Promise<Readonly<Record<string, string>>> {
    this.#signals.listen()
    const environment = await this.#bind().catch(async (error: unknown) => {
      const { remote } = this.#place
      if (remote) throw refused(remote.told(error))
      if (!isBrokerError(error) || error.code !== 'vault_locked') {
        throw refused(withShortfall(error, this.#walls.shortfall))
      }
      const { unlock } = await import('./rare.ts')
      await unlock(this.#place, error)
      this.#session = this.#newSession()
      return this.#bind()
    })
    if (!this.#options.quiet) {
      this.#remarks.forEach(say)
      say(leaseLine(this.#held()))
    }
    return environment.reveal()
  }

  async #bind(): Promise<Secret<Readonly<Record<string, string>>>> {
    const session = this.#session
    const wait = new LeaseWait(this.#options.quiet, this.#at())
    this.#wait = wait
    try {
      const issued = await session.ask(leaseRequest(this.#options, this.#walls.level, process.pid))
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
  async #environment(issued: Issued): Promise<Secret<Readonly<Record<string, string>>>> {
    const { place } = issued
    const tools = toolFolder(place, this.#place)
    this.#tools = tools
    const variables = this.#variables(issued)
    const proxy = issued.proxy ?? (await this.#openRelay(issued))
    const plain = {
      ...this.#prepare(),
      ...toolVariables(tools.path, this.#options.pass),
      ...variables,
    }
    const lease = { level: this.#walls.level, environment: plain, granted: Object.keys(variables) }
    const { environment = plain, overlays, ...how } = this.#launch?.fit(lease) ?? {}
    this.how = how // without what goes to the child and is not kept
    const folders = [{ path: tools.path, writable: true }]
    const held = { place, folders, environment, overlays }
    if (proxy === null) {
      this.#note(this.#walls.raise({ ...held, proxy, trust: undefined }))
      return new Secret(environment)
    }
    this.#proxied = true
    const { openProxied, proxiedEnvironment } = await import('./proxied.ts')
    const { trust, folder, remarks } = openProxied(proxy, environment, this.#place.cwd)
    // The walls go up while the rest is being written.
    folders.push({ path: folder, writable: false })
    const raised = this.#walls.raise({ ...held, proxy, trust })
    this.#note([...remarks, ...raised])
    const java = this.#walls.level === 'confine'
    const options = { java, trust, folder }
    const proxied = proxiedEnvironment(proxy, environment, this.#place.cwd, options)
    return new Secret(this.#relay?.direct(proxied) ?? proxied)
  }

  /** What the grants bring. A server's task finds the broker there, and no socket. */
  #variables({ variables }: Issued): Readonly<Record<string, string>> {
    const { remote } = this.#place
    const granted = variables.reveal()
    if (remote === undefined) return granted
    const { BROKER_SOCKET: _, ...others } = granted
    return { ...others, ...remote.variables }
  }

  /** The lease's proxy is at the server: the way to it begins at a port of ours. */
  async #openRelay({ relay, lease, variables }: Issued): Promise<ProxyView | null> {
    const { remote } = this.#place
    if (remote === undefined || relay === null) return null
    if (this.#options.untilTtl) throw notWithoutUs()
    const handle = new Secret(variables.reveal()['BROKER_HANDLE'] ?? '')
    this.#relay = await remote.openRelay(relay, lease, handle)
    return this.#relay.proxy
  }

  /** Behind a command that a person is told to use. */
  #at(): string {
    return this.#place.remote?.flag ?? ''
  }

  #note(remarks: readonly string[]): void {
    this.#remarks = [...shortfallLines(this.#walls), ...(this.how.remarks ?? []), ...remarks]
  }

  #held(): LeaseView {
    if (this.#lease === undefined) throw new TypeError('there is no lease yet')
    return this.#lease
  }

  /** What can be done while the daemon is at work. */
  #prepare(): Readonly<Record<string, string>> {
    this.#kept ??= this.#scrub()
    loadSpawn()
    return this.#kept
  }

  #scrub(): Readonly<Record<string, string>> {
    const { env, remote } = this.#place
    const { kept } = scrubEnvironment(env, this.#options)
    if (remote === undefined) return kept
    const entries = Object.entries(kept).filter(([name]) => !remote.withheld.includes(name))
    return Object.fromEntries(entries)
  }

  starting(): void {
    this.#signals.childStarting()
  }

  async abandon(why: NotRun): Promise<never> {
    // A Ctrl-C that reaches the walls as they go up is not their failure.
    const signal = this.#signals.endedStarting ?? null
    const end = { exitCode: signal === null ? why.status : null, signal }
    if (signal === null) sayError(why.error)
    await this.#end(end)
    process.exit(exitStatus(end))
  }

  /** A secret file stands in the task bare: the walls have ended the command, at once and whole. */
  maskLost(path: string): void {
    say(`"${path}" was replaced and could be read from inside: the command is ended`)
  }

  async accompany(started: Child): Promise<number> {
    const { level } = this.#walls
    const child: WholeChild = this.#launch?.whole?.(started, level, this.#held().id) ?? started
    this.#child = child
    this.#signals.childStarted(child)
    this.#session.started(child.pid)
    if (this.#orphaned) this.#endChild(child)
    const { untilTtl } = this.#options
    const { unused, ...end }: WholeEnd = await ((!untilTtl && child.over) || child.ended)
    const gone = child.ended.then(() => {
      this.#signals.childEnded()
      this.#child = undefined
    })
    if (untilTtl && !unused) await this.#detach(gone)
    else await this.#end(end, gone)
    return exitStatus(end)
  }

  /** Its access ends while the last of the task `goes`, which may still write what the walls tell of. */
  async #end(how: TaskEnd, goes?: Promise<void>): Promise<void> {
    if (this.#gone) {
      await goes
      this.#walls.end().forEach(say)
      const late = await this.#session.lastTry()
      if (late) say(`lease ${late.id} is revoked`)
      return
    }
    const ended = this.#session.end(how, this.#signals.cut)
    ended.catch(() => {}) // heard below, after the walls
    if (goes !== undefined) this.#walls.over()
    await goes
    this.#walls.end().forEach(say) // while the daemon revokes
    const outcome = await whileWaiting('revoking', !this.#options.quiet, ended)
    // Also with --quiet: somebody tried a key that nobody gave to this task.
    foreignKeyLines(outcome.lease, this.#at()).forEach(say)
    this.#relay?.close()
    // What may stay live is said with --quiet too, where nobody else knows of it.
    const unheard = !outcome.confirmed && outcome.away && this.#place.remote !== undefined
    if (unheard || !this.#options.quiet) say(outcomeLine(outcome, new Date(), this.#at()))
  }

  async #detach(goes: Promise<void>): Promise<void> {
    await goes
    this.#walls.end().forEach(say)
    try {
      const lease = await this.#session.detach()
      this.#tools?.leaveUntil(new Date(lease.expiresAt))
      if (this.#proxied) await this.#sayForeignKeys()
      if (!this.#options.quiet) say(staysLine(lease, new Date()))
    } catch (error) {
      sayError(refused(error).error)
      this.#session.close()
    }
  }

  async #sayForeignKeys(): Promise<void> {
    const lease = await this.#session.leaseNow()
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

/** Its proxy is reached by way of this process. */
function notWithoutUs(): BrokerError {
  return new BrokerError(
    'unsupported',
    '--until-ttl does not go with a proxied lease of a server',
    {
      hint: 'leave --until-ttl away; or take a template without proxied grants and without an egress list',
    },
  )
}
