import type { ApprovalView } from '../api/types.ts'
import { approvalRows, NO_APPROVALS } from './approval-text.ts'
import type { Watched } from './follow.ts'
import { visible } from './terminal.ts'

/** Expects them oldest first; on a terminal the newest stands on top. */
export const WATCHED_APPROVALS: Watched<ApprovalView> = {
  heading: (approvals) => `${approvals.length} waiting · broker approve ID`,
  rows: (approvals, now, look) =>
    approvals.length === 0 ? NO_APPROVALS : approvalRows(approvals.toReversed(), now, look),
  lines: ({ id, state, lease, summary }, _now, at) => [
    [at, id, state, lease, summary].map(visible).join('\t'),
  ],
  key: 'approval',
  // Told when it comes and when it goes.
  version: () => '',
}
