import { answering, type RootAnswers } from './answer.ts'
import { deployments } from './deployments.ts'
import { environments } from './environments.ts'
import { fields } from './fields.ts'
import { patches } from './patches.ts'
import { queries } from './queries.ts'
import { services } from './services.ts'
import { tokens } from './tokens.ts'
import { variables } from './variables.ts'
import { volumes } from './volumes.ts'

export const roots: RootAnswers = {
  ...queries,
  ...volumes,
  ...services,
  ...deployments,
  ...variables,
  ...environments,
  ...patches,
  ...tokens,
}

export const answers = answering(roots, fields)
