import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TaskPlaceView } from '../api/types.ts'
import { makeToolsFolder, toolsBase } from '../launch/recipe/tools-folder.ts'
import type { TaskPlace } from './task.ts'

/** Where the tools of one task keep their settings, for `toolVariables`. */
export interface ToolFolder {
  readonly path: string
  /** For a task that goes on without us. */
  leaveUntil(at: Date): void
}

/** In the lease's own folder where it has one, which goes with it; else one that goes with us. */
export function toolFolder(held: TaskPlaceView | null, place: TaskPlace): ToolFolder {
  if (held === null) return makeToolsFolder(toolsBase(place.home, place.caller.inTask))
  const path = join(held.folder, 'tools')
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return { path, leaveUntil: () => {} }
}
