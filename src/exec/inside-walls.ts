import { rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { monotonic } from '../client/monotonic.ts'
import { BrokerError } from '../errors.ts'
import type { Child, ChildOptions } from '../launch/child.ts'
import { placesIn } from '../launch/isolate/environment.ts'
import { type FileView, hostFiles } from '../launch/isolate/file-view.ts'
import type { InsideTerms } from '../launch/isolate/inside-terms.ts'
import type { IsolatedLevel } from '../launch/isolate/level.ts'
import { type IsolationFacts, type IsolationPlan, planIsolation } from '../launch/isolate/plan.ts'
import { projectFolder } from '../launch/isolate/prepare.ts'
import type { Shortfall } from '../launch/isolate/reach.ts'
import { rememberedFiles } from '../launch/isolate/remembered-files.ts'
import { runLaterState } from '../launch/isolate/run-later.ts'
import { type WaysOut, waysOut } from '../launch/isolate/ways-out.ts'
import { type Ahead, openAhead } from './ahead.ts'
import { DOOR } from './ahead-folder.ts'
import { resumeOptimizing, stopOptimizing } from './compilers.ts'
import { factsOn, standIn } from './ground.ts'
import { describePlan } from './plan-lines.ts'
import { Standing, type StandingTerms } from './standing.ts'
import type { Held, Walls } from './walls.ts'

export interface InsideWallsTerms extends StandingTerms {
  readonly level: IsolatedLevel
  readonly shortfall: Shortfall | undefined
  /** Whether walls may go up before the lease is there. */
  readonly ahead: boolean
}

/** What was looked at longer ago is looked at again. */
const FRESH_MS = 5000

/** `mask` and `confine` on Linux. */
export class InsideWalls implements Walls {
  readonly level: IsolatedLevel
  readonly shortfall: Shortfall | undefined
  readonly #terms: InsideWallsTerms
  #files: FileView
  #lookedAt = monotonic()
  #ahead: Ahead | undefined
  #standing: Standing | undefined
  #relays: InsideTerms['relays'] = []
  #variables: IsolationPlan['variables'] | undefined
  #clear = () => {}
  #socket = ''

  constructor(terms: InsideWallsTerms) {
    this.level = terms.level
    this.shortfall = terms.shortfall
    this.#terms = terms
    this.#files = terms.ground.files
  }

  begin(): void {
    if (this.#lookAgain()) this.#drop()
    if (!this.#terms.ahead || this.level !== 'confine' || this.#ahead !== undefined) return
    try {
      this.#goAhead()
    } catch {
      // What keeps them from standing is told when it matters.
    }
  }

  look(environment: Readonly<Record<string, string>>): void {
    stopOptimizing()
    try {
      if (this.#ahead?.holds()) return
      // Something is not as it was for the last task: once more, by the plan that was made now.
      if (this.#ahead !== undefined) {
        this.#drop()
        this.#goAhead()
        return
      }
      const { runLater } = planIsolation(this.#standIn(environment), this.#files)
      runLaterState(this.#files, [...runLater, ...this.#terms.ground.letIn.runsLater])
    } catch {
      // It comes again when it matters.
    }
  }

  raise(held: Held): readonly string[] {
    const { place, proxy } = held
    if (place === null) throw notHeld(this.level)
    this.#socket = `${DOOR}/${basename(place.socket)}`
    const ways = this.level === 'confine' ? waysOut(place, proxy) : NOWHERE
    const ahead = this.#ahead
    // A person may have taken their time to approve the lease.
    if (this.#lookAgain() || !ahead?.holds() || !ahead.suits(held, ways))
      this.#raiseNow(held, place, ways)
    else {
      const { relays, variables } = ahead.fill(held, ways)
      this.#relays = relays
      this.#variables = variables
      this.#standing = ahead.standing
    }
    return this.#standing?.plan.remarks ?? []
  }

  #goAhead(): void {
    const { ground } = this.#terms
    const places = placesIn(ground.place.env)
    const facts = { ...factsOn(ground, this.level, places), cacheFolder: this.#caches() }
    const ahead = openAhead(facts, this.#ofProject('plans'), this.#files, this.#terms)
    this.#ahead = ahead
    // While a person makes up their mind nothing has to stand there.
    setTimeout(() => {
      if (this.#standing === undefined && this.#ahead === ahead) this.#drop()
    }, FRESH_MS).unref()
  }

  #drop(): void {
    this.#ahead?.close()
    this.#ahead = undefined
  }

  #raiseNow(held: Held, place: NonNullable<Held['place']>, { relays, names }: WaysOut): void {
    this.#drop()
    const { ground } = this.#terms
    const { trust, folders, environment, overlays = new Map() } = held
    const plan = planIsolation(
      {
        ...factsOn(ground, this.level, environment),
        leaseFolder: place.folder,
        cacheFolder: this.#caches(),
        // The folder, not the socket: a daemon that starts again makes that anew.
        sockets: [{ from: dirname(place.socket), path: DOOR }, ...ground.letIn.sockets],
        ownFolders: [...folders, ...ground.letIn.folders],
        ...{ trust, relays, names, overlays },
      },
      this.#files,
    )
    this.#clear = () => rmSync(`${place.folder}/inside`, { recursive: true, force: true })
    this.#standing = new Standing(plan, this.#files, this.#terms)
  }

  async start(command: ChildOptions, onLost: (path: string) => void): Promise<Child> {
    if (this.#standing === undefined) throw new TypeError('nothing is raised yet')
    const env = { ...command.env, BROKER_SOCKET: this.#socket }
    const order = { ...command, env, relays: this.#relays }
    try {
      return await this.#standing.run(order, onLost, this.#variables)
    } finally {
      resumeOptimizing()
    }
  }

  over(): void {
    this.#ahead?.remove()
  }

  end(): readonly string[] {
    this.#standing?.close()
    this.#drop()
    this.#clear()
    return this.#standing?.changes() ?? []
  }

  describe(environment: Readonly<Record<string, string>>): readonly string[] {
    const { workTree } = this.#terms.ground
    return describePlan(planIsolation(this.#standIn(environment), this.#files), workTree)
  }

  /** True if what was looked at is too old. */
  #lookAgain(): boolean {
    if (monotonic() - this.#lookedAt <= FRESH_MS) return false
    this.#files = rememberedFiles(hostFiles)
    this.#lookedAt = monotonic()
    return true
  }

  #caches(): string {
    return this.#ofProject('caches')
  }

  /** In a folder that no task sees. */
  #ofProject(kind: 'caches' | 'plans'): string {
    const { place, workTree } = this.#terms.ground
    return projectFolder(join(place.home.state, kind), workTree)
  }

  /** As like as can be to the real one while there is no lease. */
  #standIn(environment: Readonly<Record<string, string>>): IsolationFacts {
    const folder = `${this.#terms.ground.place.home.run}/lease`
    return standIn(this.#terms.ground, this.level, environment, folder)
  }
}

const NOWHERE = { relays: [], names: [] }

function notHeld(level: IsolatedLevel): BrokerError {
  return new BrokerError('isolation_unavailable', `the daemon holds nothing ready for "${level}"`, {
    hint: 'it may be of another version: broker daemon stop, and the next command starts this one',
  })
}
