import { BrokerError } from '../errors.ts'

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * The variables as pairs. Throws `unsupported` for a name or a value that no environment can hold
 * (POSIX.1-2024 §8.1), before any of them is written anywhere.
 */
export function pairsOf(
  variables: Readonly<Record<string, string>>,
): readonly (readonly [string, string])[] {
  const pairs = Object.entries(variables)
  for (const [name, value] of pairs) {
    if (!NAME.test(name)) {
      throw new BrokerError(
        'unsupported',
        `${JSON.stringify(name)} is not the name of a variable`,
        {
          hint: 'the server is at fault: see its providers, and its version',
        },
      )
    }
    if (value.includes('\0') || !value.isWellFormed()) throw cannotHold(name, 'a variable', 'json')
  }
  return pairs
}

export function cannotHold(name: string, what: string, instead: string): BrokerError {
  return new BrokerError('unsupported', `the value of "${name}" cannot stand in ${what} as it is`, {
    hint: `use another format, such as --format ${instead}`,
  })
}
