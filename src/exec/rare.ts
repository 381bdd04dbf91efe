/**
 * What nearly no run of `exec` needs: loaded when it does, so that all others do not pay for it.
 * Nothing here may be imported by value from the hot path.
 */
export { dryRun } from './dry-run.ts'
export { showPending } from './pending.ts'
export { unlock } from './unlock.ts'
