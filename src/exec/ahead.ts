import { join } from 'node:path'
import { BrokerError } from '../errors.ts'
import { placesIn, taskVariables } from '../launch/isolate/environment.ts'
import type { FileView } from '../launch/isolate/file-view.ts'
import { type IsolationFacts, type IsolationPlan, planIsolation } from '../launch/isolate/plan.ts'
import type { WaysOut } from '../launch/isolate/ways-out.ts'
import { makeToolsFolder } from '../launch/recipe/tools-folder.ts'
import { AheadFolder } from './ahead-folder.ts'
import type { factsOn } from './ground.ts'
import { type PlanShape, RememberedShape } from './remembered-shape.ts'
import { begin, Standing, type StandingTerms } from './standing.ts'
import type { Held } from './walls.ts'

/** Walls of a task whose lease is not there yet. Nothing of the task runs in them before it is. */
export interface Ahead {
  readonly standing: Standing
  /**
   * Makes the plan, if they were built by that of the last task, and sees whether they are what it says. False:
   * they may not be used. Throws what keeps any walls from standing. May be repeated.
   */
  holds(): boolean
  /** False for a lease that they were not made for: it needs others. */
  suits(held: Held, ways: WaysOut): boolean
  /**
   * Puts the lease in, which suits. Returns the ways out that are not open yet, and the plan's variables for its
   * environment. Throws `internal`.
   */
  fill(held: Held, ways: WaysOut): Pick<IsolationPlan, 'relays' | 'variables'>
  /** Removes the folder of walls that stand: all that they show of it is mounted. May be repeated. Never throws. */
  remove(): void
  /** Takes down what was not used, and removes the folder when it is down. Never rejects. */
  close(): Promise<void>
}

/**
 * Begins to build them, and returns at once: by the plan of the last task at this place (`remembered` is
 * its file), or where there is none, by its own. `known.environment` is `placesIn` of the task's. Throws
 * what keeps them from standing.
 */
export function openAhead(
  known: ReturnType<typeof factsOn> & { readonly cacheFolder: string },
  remembered: string,
  files: FileView,
  terms: StandingTerms,
): Ahead {
  const { run } = terms.ground.place.home
  const made = makeToolsFolder(join(run, 'walls'))
  const folder = new AheadFolder(made.path, join(run, 'tasks'), known.inside)
  const facts = { ...known, ...folder.facts(), relays: [], names: [] }
  const shape = new RememberedShape(remembered, made.path)
  const recalled = shape.recall(files, terms.ground.workTree)
  const { standing, plan } = stand(facts, files, terms, folder.relays, recalled)
  const settled = once(() => {
    const made = plan ?? planIsolation(facts, files)
    const same = shape.isOf(made)
    if (same && plan === undefined) standing.settle(made, files)
    return same || plan !== undefined
  })
  return {
    standing,
    holds: settled,
    suits: (held, ways) =>
      folder.suits(held, ways) &&
      JSON.stringify(placesIn(held.environment)) === JSON.stringify(facts.environment),
    fill: (held, ways) => ({
      relays: filled(folder, held, ways),
      variables: taskVariables({ ...facts, environment: held.environment }),
    }),
    remove: made.remove,
    close: async () => {
      // Not before: bubblewrap would complain of what it does not find any more, on the person's terminal.
      await standing.close()
      made.remove()
    },
  }
}

function filled(folder: AheadFolder, held: Held, ways: WaysOut): IsolationPlan['relays'] {
  try {
    return folder.fill(held, ways)
  } catch (cause) {
    throw new BrokerError('internal', 'the lease cannot be put into the isolated task', {
      hint: "see that there is room and that the broker's folders are yours; then start the task again",
      cause,
    })
  }
}

/** bubblewrap starts while the plan is made, or recalled. */
function stand(
  facts: IsolationFacts,
  files: FileView,
  terms: StandingTerms,
  relays: AheadFolder['relays'],
  recalled: PlanShape | undefined,
): { readonly standing: Standing; readonly plan: IsolationPlan | undefined } {
  const begun = begin(terms, relays)
  try {
    if (recalled)
      return { standing: new Standing(bare(recalled), files, terms, begun), plan: undefined }
    const plan = planIsolation(facts, files)
    return { standing: new Standing(plan, files, terms, begun), plan }
  } catch (error) {
    begun.close()
    throw error
  }
}

/** Enough to build by. Its texts, and what is told of it, come with the plan. */
function bare(shape: PlanShape): IsolationPlan {
  const copies = new Map(shape.copies.map((path) => [path, '']))
  const none = { held: [], runLater: [], remarks: [], variables: {}, filter: undefined }
  return { ...shape, ...none, copies }
}

function once<T>(work: () => T): () => T {
  let done: { readonly value: T } | undefined
  return () => {
    done ??= { value: work() }
    return done.value
  }
}
