import type { LeaseView, RevokeResult } from '../api/types.ts'
import { ENDED } from '../core/lease.ts'
import { troubles } from './lease-text.ts'
import { type Look, paint, visible } from './terminal.ts'

/** One line a lease: ended, or what still works and why. */
export function revokeText({ leases }: RevokeResult, look: Look, now: number): string[] {
  if (leases.length === 0) return ['nothing to revoke']
  return leases.map((lease) => line(lease, look, now))
}

function line(lease: LeaseView, look: Look, now: number): string {
  // A state this version does not know is not over.
  const over = ENDED.includes(lease.state)
  const state = paint(look, over ? 'good' : 'bad', over ? lease.state : `still ${lease.state}`)
  return [`${visible(lease.id)} ${state}`, ...troubles(lease, now).map(visible)].join(' · ')
}
