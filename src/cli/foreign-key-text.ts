import type { LeaseView } from '../api/types.ts'

type ForeignCredential = LeaseView['foreignCredentials'][number]

/** Enough to tell two keys apart; the audit log has the whole. */
const SHOWN = 8

/** One key that is not the lease's own, in words. It says nothing of the key itself. */
export function foreignKeyText({ host, fingerprint, times }: ForeignCredential): string {
  const mark = fingerprint.length > SHOWN ? `${fingerprint.slice(0, SHOWN)}…` : fingerprint
  const often = times === 1 ? 'once' : `${times} times`
  return `a key that is not this lease's was tried at ${host} (fingerprint ${mark}, ${often}, refused)`
}
