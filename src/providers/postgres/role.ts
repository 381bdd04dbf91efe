import type { Session } from './session.ts'

/** A role that a lease was given. The id names its sessions even when the role is gone. */
export interface Role {
  readonly oid: number
  readonly name: string
}

export async function findRole(session: Session, name: string): Promise<Role | null> {
  const [role] = await session.rows<Role>(
    'SELECT oid, rolname::text AS name FROM pg_roles WHERE rolname = $1',
    [name],
  )
  return role ?? null
}
