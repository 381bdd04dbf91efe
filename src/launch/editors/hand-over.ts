import type { ChildEnd } from '../child.ts'
import type { Editor } from './editor.ts'

/** An editor that found a window to hand over to is gone sooner than one that opened its own could be. */
const HANDED_OVER_WITHIN_MS = 3000

export interface EditorEnd {
  readonly end: ChildEnd
  /** From its start to its end, on a clock that is never set. */
  readonly ranMs: number
  /** `TaskProcesses.others()` after it has ended: processes that it left. */
  readonly others: readonly number[]
}

/**
 * The warning, if the editor gave what it was asked to open to a window that was there before, which
 * knows nothing of this lease; the lease has then nobody to use it, and is to be revoked. Pure.
 */
export function handedOver(
  { title }: Editor,
  { end, ranMs, others }: EditorEnd,
): string | undefined {
  const gone = end.exitCode === 0 && ranMs < HANDED_OVER_WITHIN_MS && others.length === 0
  if (!gone) return undefined
  return `${title} handed over to a window that was open before: that one has none of this task's credentials; close it and start again`
}
