import type { Operation } from '../../core/guard.ts'
import type { Task } from './task.ts'

/** Remembers what an allowed request may give another name: names are what a person decides by. */
export function noteRenames({ renamed }: Task, operations: readonly Operation[]): void {
  for (const { name, risk, resources } of operations) {
    if (risk === 'read' || !/rename|update|patch/i.test(name)) continue
    for (const { kind, id } of resources) renamed.add(`${kind} ${id}`)
  }
}
