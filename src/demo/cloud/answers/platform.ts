import type { RootAnswers } from './answer.ts'

const NAMES = [
  ['us-west2', 'US West', 'US', 'California'],
  ['europe-west4-drams3a', 'EU West', 'NL', 'Amsterdam'],
] as const

/** What is the same for everybody. */
export const platform: RootAnswers = {
  regions: () =>
    NAMES.map(([id, name, country, location]) => ({ id, region: id, name, country, location })),
  // Nobody else shares anything with this account.
  externalWorkspaces: () => [],
  // Everything is done before its mutation answers.
  workflowStatus: () => ({ status: 'Complete' }),
  // Telemetry of the command line: taken and forgotten.
  cliEventTrack: () => true,
}
