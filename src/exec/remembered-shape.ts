import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { FileView } from '../launch/isolate/file-view.ts'
import { isWithin } from '../launch/isolate/paths.ts'
import type { IsolationPlan } from '../launch/isolate/plan.ts'
import { ensurePrivateFolder } from '../lib/home.ts'

/** What bubblewrap is told by a plan, and what has to be there for it. Holds no file's text. */
export interface PlanShape
  extends Pick<IsolationPlan, 'level' | 'arguments' | 'relays' | 'folders' | 'masked'> {
  readonly copies: readonly string[]
}

/** In place of the task's own folder, which is another one each time. No path has it. */
const FOLDER = '\0'

/**
 * The shape of the last plan at the same place. To make a plan takes as long as to build by it, so the
 * last one is built by while the new one is made: what stands is used if both turn out to be the same,
 * and torn down if not. So nothing rests on what the file says.
 */
export class RememberedShape {
  readonly #file: string
  readonly #folder: string
  #known = ''

  /** `folder`: of this task. */
  constructor(file: string, folder: string) {
    this.#file = file
    this.#folder = folder
  }

  /**
   * Undefined if there is none, or none that could be built now: bubblewrap makes what is not there to mount
   * on, also in the work tree, and complains aloud of what is not there to mount.
   */
  recall(files: FileView, workTree: string): PlanShape | undefined {
    try {
      this.#known = readFileSync(this.#file, 'utf8')
      const shape: PlanShape = JSON.parse(this.#known, (_, value) =>
        typeof value === 'string' ? value.replaceAll(FOLDER, this.#folder) : value,
      )
      if (this.#stands(shape, files, workTree)) return shape
    } catch {
      // As good as none. So is one of another form that gets by: nothing stands by it then.
    }
    return undefined
  }

  /** True if what was recalled is the shape of this plan. Else this one is for the next task to recall. */
  isOf(plan: IsolationPlan): boolean {
    const text = this.#textOf(plan)
    if (text === this.#known) return true
    this.#known = text
    try {
      ensurePrivateFolder(dirname(this.#file))
      const fresh = `${this.#folder}/shape`
      writeFileSync(fresh, text, { mode: 0o600, flag: 'wx' })
      renameSync(fresh, this.#file)
    } catch {
      // The next task takes a little longer to start: no more than that.
    }
    return false
  }

  #textOf({ level, arguments: list, relays, folders, masked, copies }: IsolationPlan): string {
    const shape = { level, arguments: list, relays, folders, masked, copies: [...copies.keys()] }
    return JSON.stringify(shape, (_, value) =>
      typeof value === 'string' ? value.replaceAll(this.#folder, FOLDER) : value,
    )
  }

  #stands({ arguments: list }: PlanShape, files: FileView, workTree: string): boolean {
    return list.every((word, at) => {
      if (word !== '--ro-bind' && word !== '--bind') return true
      const [from = '', to = ''] = list.slice(at + 1, at + 3)
      const own = isWithin(from, this.#folder)
      if (!own && files.entry(from) === undefined) return false
      // Ours are files, and all that is bound in a work tree is bound to itself or to one of them.
      return !isWithin(to, workTree) || from === to || files.entry(to)?.kind === 'file'
    })
  }
}
