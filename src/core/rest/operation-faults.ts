import { RISKS } from '../risk.ts'
import {
  parametersOf,
  pointerSteps,
  type RestDefinition,
  type RestOperation,
} from './definition.ts'
import { overlap, type PathTemplate, parsePath } from './path-template.ts'
import { type Fault, placeFaults } from './place-faults.ts'

const NAME = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$/

interface Parsed {
  readonly operation: RestOperation
  readonly template: PathTemplate
  readonly index: number
}

/** What is wrong with the operations, each for itself and beside the others. */
export function operationFaults(definition: RestDefinition): readonly Fault[] {
  const faults: Fault[] = []
  const parsed: Parsed[] = []
  const risks = new Map<string, RestOperation['risk']>()
  for (const [index, operation] of definition.operations.entries()) {
    const path = ['operations', index]
    const template = parsePath(operation.path)
    if (typeof template === 'string') faults.push({ path: [...path, 'path'], message: template })
    else {
      parsed.push({ operation, template, index })
      faults.push(...placesFaults(definition, operation, template, path))
    }
    faults.push(...nameFaults(operation, risks, path), ...bodyFaults(operation, path))
  }
  return [...faults, ...pairFaults(parsed)]
}

function nameFaults(
  { name, risk }: RestOperation,
  risks: Map<string, RestOperation['risk']>,
  path: Fault['path'],
): Fault[] {
  if (!NAME.test(name)) {
    const message = 'an operation is called by letters, digits, dots, dashes, colons and slashes'
    return [{ path: [...path, 'name'], message }]
  }
  if (RISKS.some((word) => word === name)) {
    return [{ path: [...path, 'name'], message: `"${name}" is the name of a risk class` }]
  }
  const other = risks.get(name) ?? risk
  risks.set(name, other)
  if (other === risk) return []
  const message = `operation "${name}" has the risk ${other} above: one name has one risk`
  return [{ path: [...path, 'risk'], message }]
}

function placesFaults(
  definition: RestDefinition,
  { environment, target, body }: RestOperation,
  template: PathTemplate,
  path: Fault['path'],
): Fault[] {
  const fault = (key: string, message: string): Fault => ({ path: [...path, key], message })
  const wanted = parametersOf(definition)
  const given = environment.places.map(({ name }) => name)
  const faults: Fault[] = []
  if (given.length > 0 && [...given].sort().join() !== [...wanted].sort().join()) {
    faults.push(
      fault('environment', `the environment has the places ${wanted.join(', ') || 'none'}`),
    )
  }
  for (const place of environment.places) {
    faults.push(...placeFaults(place, [...path, 'environment']))
    if (place.in === 'path' && !template.names.includes(place.at)) {
      const message = `the path has no {${place.at}}, and "environment" does not say where else it stands`
      faults.push(fault('path', message))
    }
    if (place.in === 'body' && body !== 'json') {
      faults.push(fault('body', 'the environment stands in the body: the body has to be json'))
    }
  }
  // Both would be sent, and the server would choose.
  const stray = wanted.find(
    (name) =>
      template.names.includes(name) &&
      !environment.places.some((place) => place.in === 'path' && place.at === name),
  )
  if (stray !== undefined) {
    faults.push(
      fault('environment', `the path has {${stray}}: that is where its environment stands`),
    )
  }
  if (target !== null && !template.names.includes(target.id)) {
    faults.push(fault('target', `the path has no {${target.id}}`))
  }
  return faults
}

function bodyFaults({ method, body, when }: RestOperation, path: Fault['path']): Fault[] {
  const pointers = Object.keys(when)
  const wrong = pointers.find((pointer) => pointerSteps(pointer) === null)
  if (wrong !== undefined) {
    const message = `"${wrong}" is not a JSON pointer to a member, like /type`
    return [{ path: [...path, 'when'], message }]
  }
  if (pointers.length > 0 && body !== 'json') {
    const message = 'what depends on the body needs it as json'
    return [{ path: [...path, 'body'], message }]
  }
  if (body !== 'none' && method.every((one) => one === 'GET' || one === 'HEAD')) {
    const message = `${method.join(' and ')} has no body that could be judged`
    return [{ path: [...path, pointers.length > 0 ? 'when' : 'body'], message }]
  }
  return []
}

/**
 * Two operations that one request may be. All that match are asked for, but which of two risks a
 * request has must not depend on what a server makes of its path: only a body can tell them apart.
 */
function pairFaults(parsed: readonly Parsed[]): Fault[] {
  return parsed.flatMap((one, at) =>
    parsed.slice(0, at).flatMap((other) => pairFault(one, other) ?? []),
  )
}

function pairFault({ operation, template, index }: Parsed, other: Parsed): Fault | undefined {
  const shared = operation.method.some((one) => other.operation.method.includes(one))
  if (!shared || !overlap(template, other.template)) return undefined
  const { name } = other.operation
  if (operation.body !== other.operation.body) {
    const message = `a request may also be "${name}", whose body is ${other.operation.body}: give both the same "body"`
    return { path: ['operations', index, 'body'], message }
  }
  if (operation.risk === other.operation.risk || isConditional(operation, other.operation)) {
    return undefined
  }
  const message = `a request may also be "${name}", which is ${other.operation.risk}: narrow a placeholder ({id:number}, {id:uuid}), or tell them apart by "when"`
  return { path: ['operations', index, 'path'], message }
}

function isConditional(...operations: readonly RestOperation[]): boolean {
  return operations.some(({ when }) => Object.keys(when).length > 0)
}
