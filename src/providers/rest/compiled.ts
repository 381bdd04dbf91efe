import {
  pointerSteps,
  type RestDefinition,
  type RestOperation,
  type RestPlace,
} from '../../core/rest/definition.ts'
import { faultsOf } from '../../core/rest/faults.ts'
import { type PathTemplate, parsePath } from '../../core/rest/path-template.ts'
import { BrokerError } from '../../errors.ts'
import type { Condition } from './conditions.ts'

export interface CompiledOperation extends RestOperation {
  readonly template: PathTemplate
  readonly conditions: readonly Condition[]
}

/** A definition made ready once: nothing of it is parsed again for a request. */
export interface CompiledRest {
  readonly hosts: readonly string[]
  readonly operations: readonly CompiledOperation[]
  /** Every place where some operation looks for the environment. */
  readonly places: readonly RestPlace[]
}

/** Throws `config_invalid` for a definition with faults: `template apply` refuses them before. */
export function compileRest(name: string, definition: RestDefinition): CompiledRest {
  const [fault] = faultsOf(definition)
  if (fault) throw unusable(name, fault.path.join('.'), fault.message)
  const operations = definition.operations.map((operation) => {
    const template = parsePath(operation.path)
    if (typeof template === 'string') throw unusable(name, 'operations', template)
    const conditions = Object.entries(operation.when).map(([pointer, value]) => {
      return { steps: pointerSteps(pointer) ?? [], value }
    })
    return { ...operation, template, conditions }
  })
  const places = [definition, ...operations].flatMap(({ environment }) => environment.places)
  const byKey = new Map(places.map((place) => [`${place.in} ${place.at} ${place.name}`, place]))
  return { hosts: definition.hosts, operations, places: [...byKey.values()] }
}

function unusable(name: string, where: string, message: string): BrokerError {
  return new BrokerError('config_invalid', `provider "${name}" cannot be used: ${message}`, {
    hint: `correct ${where} under providers in broker.yaml, and apply it again`,
    details: { provider: name, path: where },
  })
}
