import type { JsonObject } from '../../lib/json.ts'
import type { Secret } from '../../lib/secret.ts'
import { targetFrom } from './target.ts'

/** What Railway's command line reads (its source, 5.43 and 5.71). */
export const VARIABLES: readonly string[] = [
  'RAILWAY_TOKEN',
  'RAILWAY_PROJECT_ID',
  'RAILWAY_ENVIRONMENT_ID',
  'RAILWAY_NO_TELEMETRY',
  'RAILWAY_NO_AUTO_UPDATE',
]

/**
 * The phantom as a project token, since the lease is for one environment, and the two ids. Without
 * telemetry, and without updates from other hosts in the middle of a task.
 */
export function clientVariables(
  json: JsonObject,
  phantom: Secret,
): Readonly<Record<string, string>> {
  const { project, environment } = targetFrom(json)
  return {
    RAILWAY_TOKEN: phantom.reveal(),
    RAILWAY_PROJECT_ID: project,
    RAILWAY_ENVIRONMENT_ID: environment,
    RAILWAY_NO_TELEMETRY: '1',
    RAILWAY_NO_AUTO_UPDATE: '1',
  }
}
