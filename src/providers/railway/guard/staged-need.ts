import type { Need, Operation } from '../../../core/guard.ts'
import { quote, Refused } from '../../../core/refused.ts'
import type { ChosenDocument } from './document.ts'
import type { KnownField } from './selections.ts'

export const COMMIT_STAGED = 'environmentPatchCommitStaged'

/**
 * A commit of what was staged earlier can only be judged once that has been read. It has to be alone:
 * a sibling could stage something else after the reading, and a directive would be lost when the
 * request is replaced by the commit of what was read.
 */
export function stagedNeed(
  field: KnownField,
  operation: Operation | undefined,
  { operation: { selectionSet } }: ChosenDocument,
): readonly Need[] {
  if (field.node.name.value !== COMMIT_STAGED) return []
  const [only, ...others] = selectionSet.selections
  const environment = operation?.environments.find((source) => source.from === 'argument')
  const plain = (field.node.directives ?? []).length === 0
  if (others.length > 0 || only !== field.node || !plain || !environment) {
    throw new Refused(
      'operation_denied',
      `${quote(COMMIT_STAGED)} has to stand alone in a request, without fragments and directives`,
      COMMIT_STAGED,
      operation?.risk,
    )
  }
  return [{ kind: 'staged-patch', environment: environment.id }]
}
