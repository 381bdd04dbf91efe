import type { Access } from '../access.ts'
import type { RootAnswers } from './answer.ts'

/** What is asked for nowhere else: the other subscriptions are queries of the same name. */
export const subscriptions: RootAnswers = {
  deploymentEvents: ({ id }: { id: string }, access: Access) => ({
    ...access.deployment(id),
    step: 'BUILD_IMAGE',
    payload: {},
  }),
}
