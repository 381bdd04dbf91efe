import { basename } from 'node:path'
import type { LeaseRequest } from '../api/types.ts'
import type { Level } from '../launch/isolate/level.ts'
import type { ExecOptions } from './parse.ts'

/** What we ask the daemon for. Of the command only its name goes along: arguments may hold secrets. */
export function leaseRequest(options: ExecOptions, level: Level, pid: number): LeaseRequest {
  return {
    environment: options.environment,
    // What we will reach, and so the most that a template may demand.
    isolation: level,
    ...(options.template !== undefined && { template: options.template }),
    ...(options.ttlMs !== undefined && { ttlMs: options.ttlMs }),
    ...(options.reason !== undefined && { reason: options.reason }),
    actor: {
      pid,
      ...(options.command !== undefined && { command: basename(options.command) }),
    },
  }
}
