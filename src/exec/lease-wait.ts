import type { ApprovalView } from '../api/types.ts'
import { spin } from './waiting.ts'

/** What the person sees while the lease is not there yet: that we wait, or for whose decision. */
export class LeaseWait {
  readonly #quiet: boolean
  readonly #flag: string
  #clear: () => void
  #shown: string | undefined
  #over = false

  /** `flag`: behind the command that a person is told to use. */
  constructor(quiet: boolean, flag: string) {
    this.#quiet = quiet
    this.#flag = flag
    this.#clear = spin('waiting for the lease', !quiet)
  }

  /** May be told the same again; shows it once. */
  async pending(approval: ApprovalView): Promise<void> {
    if (this.#shown === approval.id) return
    this.#shown = approval.id
    const { showPending } = await import('./rare.ts')
    if (this.#over) return
    this.#clear()
    this.#clear = showPending(approval, this.#quiet, this.#flag)
  }

  stop(): void {
    this.#over = true
    this.#clear()
  }
}
