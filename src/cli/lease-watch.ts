import type { LeaseView } from '../api/types.ts'
import type { Watched } from './follow.ts'
import { leaseRows, NO_TOKENS } from './lease-text.ts'
import { PLAIN } from './terminal.ts'

export const WATCHED_LEASES: Watched<LeaseView> = {
  heading: (leases) => `${leases.length} live`,
  rows: (leases, now, look) => (leases.length === 0 ? NO_TOKENS : leaseRows(leases, now, look)),
  lines: (lease, now, at) => leaseRows([lease], now, PLAIN).map((row) => `${at}\t${row}`),
  key: 'lease',
  version: (lease) => JSON.stringify(lease),
}
