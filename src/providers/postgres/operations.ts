import type { Catalogue, Risk } from '../../core/risk.ts'

/**
 * Table privileges as PostgreSQL names them ("Privileges", table 5.1). TRIGGER is `execute`: a
 * trigger runs with the rights of whoever changes the table next. REFERENCES is `admin`: a foreign
 * key decides what the table's owner may still delete.
 */
const OPERATIONS: readonly (readonly [string, Risk])[] = [
  ['SELECT', 'read'],
  ['INSERT', 'write'],
  ['UPDATE', 'write'],
  ['REFERENCES', 'admin'],
  ['TRIGGER', 'execute'],
  ['DELETE', 'destructive'],
  ['TRUNCATE', 'destructive'],
]

export const catalogue: Catalogue = { operations: new Map(OPERATIONS), open: false }

/** What the sequences behind the tables need: INSERT draws from them, SELECT looks at them. */
export function sequencePrivileges(operations: readonly string[]): readonly string[] {
  return [
    ...(operations.includes('INSERT') ? ['USAGE'] : []),
    ...(operations.includes('SELECT') ? ['SELECT'] : []),
  ]
}
