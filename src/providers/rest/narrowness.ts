import { parametersOf, type RestDefinition } from '../../core/rest/definition.ts'
import type { Narrowness } from '../guard.ts'
import type { NarrownessRequest } from '../provider.ts'

/** Known without trying: the credential is as wide as it was made, and the proxy holds the rest. */
export function narrowness(
  name: string,
  definition: RestDefinition,
  { operations }: NarrownessRequest,
): readonly Narrowness[] {
  const parameters = parametersOf(definition)
  const count = operations.length
  const declared = new Set(definition.operations.map((operation) => operation.name)).size
  const where =
    parameters.length > 0
      ? `only where ${parameters.join(' and ')} is the lease's own`
      : `in the whole account: ${definition.environment.reason ?? 'it has no environments'}`
  return [
    {
      by: 'proxy',
      message: `${count} of the ${declared} operations declared for ${name} pass, ${where}`,
      probed: false,
    },
    {
      by: 'nobody',
      message: `${name} does not narrow the stored credential, and what an answer contains is not looked at`,
      probed: false,
    },
  ]
}
