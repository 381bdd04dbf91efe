import { writeFileSync } from 'node:fs'
import { BrokerError, isBrokerError } from '../errors.ts'
import type { Child } from '../launch/child.ts'
import { hostFiles } from '../launch/isolate/file-view.ts'
import type { InsideOrder, InsideTerms } from '../launch/isolate/inside-terms.ts'
import type { IsolationPlan } from '../launch/isolate/plan.ts'
import { prepare } from '../launch/isolate/prepare.ts'
import { type RunLaterState, runLaterChanges, runLaterState } from '../launch/isolate/run-later.ts'
import { type Begun, beginInside, type Opened } from '../launch/isolate/start.ts'
import type { Verdicts } from '../launch/isolate/verdicts.ts'
import { type MaskWatch, watchMasks } from '../launch/isolate/watch.ts'
import type { Ground } from './ground.ts'
import { changedLines } from './plan-lines.ts'

export interface StandingTerms {
  readonly ground: Ground
  readonly bubblewrap: string
  readonly verdicts: Verdicts | undefined
}

/** One set of walls, from its plan to the end of what stood in them. */
export class Standing {
  #plan: IsolationPlan
  readonly #terms: StandingTerms
  #before: RunLaterState
  readonly #watch: MaskWatch
  readonly #opened: Opened
  #child: Child | undefined
  #lostPath: string | undefined
  #onLost: (path: string) => void = () => {}

  /** Begins to build. `files` are those that the plan was made of. Throws `internal`. */
  constructor(
    plan: IsolationPlan,
    files: Ground['files'],
    terms: StandingTerms,
    begun: Begun = begin(terms, plan.relays),
  ) {
    const { ground } = terms
    this.#plan = plan
    this.#terms = terms
    prepare(plan)
    // Before anything is mounted: what is replaced in between counts as well.
    this.#watch = watchMasks(plan.masked, (path) => this.#lost(path), ground.workTree)
    this.#opened = begun.build(plan)
    this.#before = this.#runLater(files)
  }

  get plan(): IsolationPlan {
    return this.#plan
  }

  /**
   * Puts in what the plan says of texts, where it was built by no more than the plan's shape. Throws what the
   * file system throws.
   */
  settle(plan: IsolationPlan, files: Ground['files']): void {
    // Mounted already: so written, and not replaced.
    for (const [path, text] of plan.copies) if (text !== '') writeFileSync(path, text)
    this.#plan = plan
    this.#before = this.#runLater(files)
  }

  /**
   * Once. `onLost` is told at most once, with a path: the command is being killed then. `variables` in place
   * of the plan's.
   */
  async run(
    order: InsideOrder,
    onLost: (path: string) => void,
    variables = this.#plan.variables,
  ): Promise<Child> {
    this.#onLost = onLost
    if (this.#lostPath !== undefined) throw lostEarly(this.#lostPath)
    const child = await this.#opened.run(order, variables).catch((error: unknown) => {
      // A probe has shown that it works, maybe long ago: the next start asks the machine again.
      if (isBrokerError(error)) this.#terms.verdicts?.forget()
      throw error
    })
    this.#child = child
    if (this.#lostPath !== undefined) this.#lost(this.#lostPath)
    return child
  }

  /** Takes it down, if nothing was run in it, and resolves when it is gone. May be repeated. */
  async close(): Promise<void> {
    this.#watch.close()
    if (this.#child === undefined) await this.#opened.close()
  }

  /** What the person should know of it, in lines. */
  changes(): readonly string[] {
    const changed = runLaterChanges(this.#before, this.#runLater(hostFiles))
    return changedLines(changed, this.#terms.ground.workTree)
  }

  /** May come before there is a command, which then ends as soon as it is there. */
  #lost(path: string): void {
    this.#lostPath = path
    if (this.#child === undefined) return
    this.#child.kill('SIGKILL')
    this.#onLost(path)
  }

  #runLater(files: Ground['files']): RunLaterState {
    return runLaterState(files, [...this.#plan.runLater, ...this.#terms.ground.letIn.runsLater])
  }
}

/** May come ahead of the plan. */
export function begin({ bubblewrap, ground }: StandingTerms, relays: InsideTerms['relays']): Begun {
  const { waits } = ground.letIn
  return beginInside(bubblewrap, process.arch, { relays, ...(waits && { waits }) })
}

function lostEarly(path: string): BrokerError {
  return new BrokerError('isolation_unavailable', `"${path}" was replaced while the task began`, {
    hint: 'start it again',
    details: { path },
  })
}
