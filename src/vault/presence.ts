import { lstatSync } from 'node:fs'
import { onDisk } from './failure.ts'

/**
 * Whether something lies at `path`, a dangling link included. Throws when the disk does not say:
 * taking an error for an absence would start an empty vault over a full one.
 */
export function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    throw onDisk(path, error)
  }
}
