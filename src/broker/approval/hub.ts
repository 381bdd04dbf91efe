import type { Approval } from '../../core/approval.ts'

type Listener = (approval: Approval) => void

/** Carries decisions to those who wait for them in this process, so that nobody polls the database. */
export class ApprovalHub {
  readonly #waiting = new Map<string, Set<Listener>>()

  /** Somebody waits for this decision right now. */
  isAwaited(id: string): boolean {
    return this.#waiting.has(id)
  }

  /** Calls `told` with every change of this approval until the returned function is called. */
  listen(id: string, told: Listener): () => void {
    const listeners = this.#waiting.get(id) ?? new Set()
    listeners.add(told)
    this.#waiting.set(id, listeners)
    return () => {
      listeners.delete(told)
      if (listeners.size === 0 && this.#waiting.get(id) === listeners) this.#waiting.delete(id)
    }
  }

  /** Only after the transaction that changed them is durable: whoever is told acts on it. */
  tell(approvals: readonly Approval[]): void {
    for (const approval of approvals) {
      for (const told of [...(this.#waiting.get(approval.id) ?? [])]) told(approval)
    }
  }
}
