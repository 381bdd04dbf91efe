import { answering, type RootAnswers } from './answer.ts'
import { deployments } from './deployments.ts'
import { domains } from './domains.ts'
import { environments } from './environments.ts'
import { fields } from './fields.ts'
import { logs } from './logs.ts'
import { patches } from './patches.ts'
import { platform } from './platform.ts'
import { queries } from './queries.ts'
import { services } from './services.ts'
import { subscriptions } from './subscriptions.ts'
import { tokens } from './tokens.ts'
import { variables } from './variables.ts'
import { volumes } from './volumes.ts'

export const roots: RootAnswers = {
  ...platform,
  ...queries,
  ...logs,
  ...volumes,
  ...services,
  ...deployments,
  ...domains,
  ...variables,
  ...environments,
  ...patches,
  ...tokens,
  ...subscriptions,
}

export const answers = answering(roots, fields)
