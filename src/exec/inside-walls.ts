import { rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { monotonic } from '../client/monotonic.ts'
import { BrokerError, isBrokerError } from '../errors.ts'
import type { Child, ChildOptions } from '../launch/child.ts'
import { type FileView, hostFiles } from '../launch/isolate/file-view.ts'
import { INSIDE } from '../launch/isolate/inside-terms.ts'
import type { IsolatedLevel } from '../launch/isolate/level.ts'
import { type IsolationFacts, type IsolationPlan, planIsolation } from '../launch/isolate/plan.ts'
import { prepare, projectFolder } from '../launch/isolate/prepare.ts'
import type { Shortfall } from '../launch/isolate/reach.ts'
import { rememberedFiles } from '../launch/isolate/remembered-files.ts'
import { type RunLaterState, runLaterChanges, runLaterState } from '../launch/isolate/run-later.ts'
import { type Opened, openInside } from '../launch/isolate/start.ts'
import type { Verdicts } from '../launch/isolate/verdicts.ts'
import { type MaskWatch, watchMasks } from '../launch/isolate/watch.ts'
import { waysOut } from '../launch/isolate/ways-out.ts'
import { factsOn, type Ground, standIn } from './ground.ts'
import { changedLines, describePlan } from './plan-lines.ts'
import type { Held, Walls } from './walls.ts'

export interface InsideTerms {
  readonly level: IsolatedLevel
  readonly shortfall: Shortfall | undefined
  readonly ground: Ground
  readonly bubblewrap: string
  readonly verdicts: Verdicts | undefined
}

/** What was looked at longer ago is looked at again. */
const FRESH_MS = 5000

/** `mask` and `confine` on Linux. */
export class InsideWalls implements Walls {
  readonly level: IsolatedLevel
  readonly shortfall: Shortfall | undefined
  readonly #terms: InsideTerms
  #files: FileView
  #lookedAt = monotonic()
  #plan: IsolationPlan | undefined
  #before: RunLaterState = new Map()
  #folder: string | undefined
  #socket = ''
  #watch: MaskWatch | undefined
  #opened: Opened | undefined
  #child: Child | undefined
  #lostPath: string | undefined
  #onLost: (path: string) => void = () => {}

  constructor(terms: InsideTerms) {
    this.level = terms.level
    this.shortfall = terms.shortfall
    this.#terms = terms
    this.#files = terms.ground.files
  }

  look(environment: Readonly<Record<string, string>>): void {
    try {
      const plan = planIsolation(this.#standIn(environment), this.#files)
      runLaterState(this.#files, plan.runLater)
    } catch {
      // It comes again when it matters.
    }
  }

  raise({ place, proxy, trust, folders, environment }: Held): readonly string[] {
    if (place === null) throw notHeld(this.level)
    // A person may have taken their time to approve the lease.
    if (monotonic() - this.#lookedAt > FRESH_MS) this.#files = rememberedFiles(hostFiles)
    const { ground, bubblewrap } = this.#terms
    const { relays, names } = this.level === 'confine' ? waysOut(place, proxy) : NOWHERE
    const plan = planIsolation(
      {
        ...factsOn(ground, this.level, environment),
        leaseFolder: place.folder,
        cacheFolder: projectFolder(join(ground.place.home.state, 'caches'), ground.workTree),
        // The folder, not the socket: a daemon that starts again makes that anew.
        sockets: [{ from: dirname(place.socket), path: DOOR }],
        ownFolders: folders,
        ...{ trust, relays, names },
      },
      this.#files,
    )
    this.#folder = `${place.folder}/inside`
    this.#socket = `${DOOR}/${basename(place.socket)}`
    this.#plan = plan
    prepare(plan)
    this.#before = runLaterState(this.#files, plan.runLater)
    // Before anything is mounted: what is replaced in between counts as well.
    this.#watch = watchMasks(plan.masked, (path) => this.#lost(path), ground.workTree)
    this.#opened = openInside(plan, bubblewrap)
    return plan.remarks
  }

  async start(command: ChildOptions, onLost: (path: string) => void): Promise<Child> {
    const opened = this.#opened
    if (opened === undefined) throw new TypeError('nothing is raised yet')
    this.#onLost = onLost
    if (this.#lostPath !== undefined) throw lostEarly(this.#lostPath)
    const env = { ...command.env, BROKER_SOCKET: this.#socket }
    const child = await opened.run({ ...command, env }).catch((error: unknown) => {
      // A probe has shown that it works, maybe long ago: the next start asks the machine again.
      if (isBrokerError(error)) this.#terms.verdicts?.forget()
      throw error
    })
    this.#child = child
    if (this.#lostPath !== undefined) this.#lost(this.#lostPath)
    return child
  }

  /** May come before there is a command, which then ends as soon as it is there. */
  #lost(path: string): void {
    this.#lostPath = path
    if (this.#child === undefined) return
    this.#child.kill('SIGKILL')
    this.#onLost(path)
  }

  end(): readonly string[] {
    this.#watch?.close()
    if (this.#child === undefined) this.#opened?.close()
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
    if (this.#plan === undefined) return []
    const after = runLaterState(hostFiles, this.#plan.runLater)
    const changed = runLaterChanges(this.#before, after)
    return changedLines(changed, this.#terms.ground.workTree)
  }

  describe(environment: Readonly<Record<string, string>>): readonly string[] {
    const { workTree } = this.#terms.ground
    return describePlan(planIsolation(this.#standIn(environment), this.#files), workTree)
  }

  /** As like as can be to the real one while there is no lease. */
  #standIn(environment: Readonly<Record<string, string>>): IsolationFacts {
    const folder = `${this.#terms.ground.place.home.run}/lease`
    return standIn(this.#terms.ground, this.level, environment, folder)
  }
}

/** Where the lease's own socket is inside. */
const DOOR = `${INSIDE}/own`

const NOWHERE = { relays: [], names: [] }

function lostEarly(path: string): BrokerError {
  return new BrokerError('isolation_unavailable', `"${path}" was replaced while the task began`, {
    hint: 'start it again',
    details: { path },
  })
}

function notHeld(level: IsolatedLevel): BrokerError {
  return new BrokerError('isolation_unavailable', `the daemon holds nothing ready for "${level}"`, {
    hint: 'it may be of another version: broker daemon stop, and the next command starts this one',
  })
}
