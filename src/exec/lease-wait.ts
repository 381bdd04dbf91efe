import type { ApprovalView } from '../api/types.ts'
import { spin } from './waiting.ts'

/** What the person sees while the lease is not there yet: that we wait, or for whose decision. */
export class LeaseWait {
  readonly #quiet: boolean
  #clear: () => void
  #shown: string | undefined
  #over = false

  constructor(quiet: boolean) {
    this.#quiet = quiet
    this.#clear = spin('waiting for the lease', !quiet)
  }

  /** May be told the same again; shows it once. */
  async pending(approval: ApprovalView): Promise<void> {
    if (this.#shown === approval.id) return
    this.#shown = approval.id
    const { showPending } = await import('./rare.ts')
    if (this.#over) return
    this.#clear()
    this.#clear = showPending(approval, this.#quiet)
  }

  stop(): void {
    this.#over = true
    this.#clear()
  }
}
