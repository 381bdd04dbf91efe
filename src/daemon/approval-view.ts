import type { ApprovalQuestion } from '../api/types.ts'
import type { Approval } from '../core/approval.ts'
import { approvalView } from './views.ts'

/** What the person who decides is shown: also what has to be typed. */
export function questionView(approval: Approval, waiting: boolean): ApprovalQuestion {
  const typed = approval.confirm === 'typed' ? approval.typed : null
  return { ...approvalView(approval), typed, waiting }
}
