import type { CloudWorld } from './cloud/world.ts'

/** Keeps what the cloud holds; what comes back puts it back, in place. */
export function keepsakeOf(world: CloudWorld): () => void {
  const kept: Readonly<Record<string, unknown>> = structuredClone({ ...world })
  return () => {
    for (const [name, rows] of Object.entries(world)) {
      const before = kept[name]
      if (Array.isArray(rows) && Array.isArray(before)) rows.splice(0, rows.length, ...before)
    }
  }
}
