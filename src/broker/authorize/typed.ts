import type { PlacedOperation } from './places.ts'

/** Too wide to say what is meant; the name of a variable is the task's own word. */
const NEVER: ReadonlySet<string> = new Set([
  'project',
  'environment',
  'workspace',
  'template',
  'variable',
])

/**
 * What a person types to approve: the name of the narrowest thing that is touched, one that is
 * destroyed before any other. Undefined where nothing has a name but what contains everything.
 */
export function toBeTyped(placed: readonly PlacedOperation[]): string | undefined {
  const destroys = ({ operation }: PlacedOperation) => operation.risk === 'destructive'
  return [...placed.filter(destroys), ...placed.filter((one) => !destroys(one))]
    .flatMap(({ targets }) => targets)
    .filter(({ resource }) => !NEVER.has(resource.kind))
    .flatMap(({ location }) => location?.name || [])
    .at(0)
}
