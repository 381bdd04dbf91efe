import { createHash } from 'node:crypto'
import { isLeaseId, type LeaseId, type Random } from '../../lib/ids.ts'

/** What every role of this installation begins with. */
export function rolePrefix(installId: string): string {
  return `broker_${installId}_`
}

/** The role that inherits what leases leave behind. It can do nothing and nobody can log in as it. */
export function keeperName(installId: string): string {
  return `brokerkeep_${installId}`
}

/**
 * `broker_<install>_<lease>_<digest of the grant's name>`: 51 characters, below the limit of 63
 * bytes (PostgreSQL, "Identifiers and Key Words"); longer names would be cut without an error.
 */
export function roleName(installId: string, lease: LeaseId, grant: string): string {
  const suffix = createHash('sha256').update(grant).digest('hex').slice(0, 8)
  return `${rolePrefix(installId)}${lease.slice('lse_'.length)}_${suffix}`
}

/** A role made to be tried out. Of no lease, so that one left behind is nobody's and is removed. */
export function probeName(installId: string, random: Random): string {
  return `${rolePrefix(installId)}probe_${Buffer.from(random(8)).toString('hex')}`
}

/** The lease that a role was made for, or null when its name does not tell. */
export function leaseOf(installId: string, role: string): LeaseId | null {
  const prefix = rolePrefix(installId)
  if (!role.startsWith(prefix)) return null
  const lease = `lse_${role.slice(prefix.length).replace(/_[0-9a-f]{8}$/, '')}`
  return isLeaseId(lease) ? lease : null
}

/** The installation that a role of ours belongs to. */
export function installOf(role: string): string {
  return role.split('_')[1] ?? ''
}
