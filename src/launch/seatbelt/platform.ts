import type { Level } from '../isolate/level.ts'

export interface Highest {
  readonly level: Level
  /** A sentence for the person: why it is no more. */
  readonly remark: string | undefined
}

/** The strongest level that there is on a system at all; whether it works on this machine, a probe tells. */
export function highestOn(platform: NodeJS.Platform): Highest {
  switch (platform) {
    case 'linux':
      return { level: 'confine', remark: undefined }
    case 'darwin':
      return {
        level: 'scrub',
        remark: 'the walls for macOS were never verified on a Mac, so they are not used',
      }
    case 'win32':
      return { level: 'scrub', remark: 'on Windows scrub is the most there is, and no boundary' }
    default:
      return {
        level: 'scrub',
        remark: `on ${platform} scrub is the most there is, and no boundary`,
      }
  }
}
