import type { Named, Question } from '../../guard.ts'
import type { Api } from '../api/api.ts'
import type { Ask } from '../api/cells.ts'
import { failure, networkFailure } from '../api/failure.ts'
import { type Caller, callerOf, fingerprintOf } from '../connection.ts'
import { type Target, targetFrom } from '../target.ts'
import { Lookups, type Reading } from './lookups.ts'
import { Misses } from './misses.ts'
import { type ProjectIndex, readOwnPlace, readProject } from './project-index.ts'
import { reachableProjects } from './reachable.ts'

/** The loading of one shared answer, however many documents it takes. */
const LOAD_MS = 30_000

/** One thing that was found, with the ids of where it lies. */
export interface Item {
  readonly id: string
  readonly name: string | null
  /** Null: in no single environment, or nobody says. */
  readonly environment: string | null
  readonly project: string | null
}

/** One question, with everything it may be answered from. */
export interface Look {
  readonly target: Target
  readonly caller: Caller
  /** Null in `project`: the lease's own. */
  readonly index: (project: string | null, fresh: boolean) => Promise<Reading<ProjectIndex>>
  readonly items: (
    key: string,
    load: (ask: Ask) => Promise<readonly Item[]>,
    fresh: boolean,
  ) => Promise<Reading<readonly Item[]>>
  /** Every project that the credential reaches. */
  readonly projects: () => Promise<readonly Named[]>
  readonly fresh: boolean
  /** To be called before something is read again for the sake of an id that was not there. */
  readonly miss: () => void
}

/** What was looked up lately, for all leases together. Nothing in it decides anything. */
export class Places {
  readonly #api: Api
  readonly #indexes = new Lookups<ProjectIndex>()
  readonly #items = new Lookups<readonly Item[]>()
  readonly #projects = new Lookups<readonly Named[]>()
  readonly #misses = new Misses()

  constructor(api: Api) {
    this.#api = api
  }

  look({ target: json, connection, world, fresh: asked }: Question): Look {
    const target = targetFrom(json)
    const caller = callerOf(connection)
    const { now } = world
    const by = `${connection.name} ${fingerprintOf(caller)}`
    const own = `${by} ${target.project}`
    // Shared with other questions: nobody's leaving may cut it short.
    const ask: Ask = (query) =>
      this.#api.ask(caller, query, { signal: AbortSignal.timeout(LOAD_MS), now })
    const wait = <T>(reading: Promise<T>) => unlessAborted(reading, world.signal, caller.connection)
    return {
      target,
      caller,
      fresh: asked,
      index: (project, fresh) => {
        const load = () => loadIndex(ask, caller, project ?? target.project)
        const key = `${by} ${project ?? target.project}`
        return wait(this.#indexes.read(key, load, { now, fresh }))
      },
      items: (key, load, fresh) =>
        wait(this.#items.read(`${own} ${key}`, () => load(ask), { now, fresh })),
      projects: async () => {
        const load = () => reachableProjects(ask, caller)
        return (await wait(this.#projects.read(by, load, { now, fresh: false }))).value
      },
      miss: () => this.#misses.spend(own, caller.connection, now()),
    }
  }

  clear(): void {
    this.#indexes.clear()
    this.#items.clear()
    this.#projects.clear()
  }
}

async function loadIndex(ask: Ask, caller: Caller, project: string): Promise<ProjectIndex> {
  if (caller.header === 'authorization') return readProject(ask, project)
  const index = await readOwnPlace(ask)
  if (index.project.id === project) return index
  throw failure('refused', caller.connection)
}

async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  connection: string,
): Promise<T> {
  const gone = Promise.withResolvers<never>()
  const leave = () => gone.reject(networkFailure(signal.reason, connection))
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([work, gone.promise])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
