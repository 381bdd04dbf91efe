import type { GateAttack } from './attack.ts'
import { AUTH } from './auth.ts'
import { AUTHORITY } from './authority.ts'
import { CREDENTIALS } from './credentials.ts'
import { FRAMING } from './framing.ts'
import { GRAPHQL_FORMS } from './graphql-forms.ts'
import { GRAPHQL_PLACES } from './graphql-places.ts'
import { GRAPHQL_RULES } from './graphql-rules.ts'
import { REST } from './rest.ts'

/** Everything that has to be turned away by one answer to one request. */
export const GATE_ATTACKS: readonly GateAttack[] = [
  ...GRAPHQL_PLACES,
  ...GRAPHQL_FORMS,
  ...GRAPHQL_RULES,
  ...REST,
  ...FRAMING,
  ...AUTHORITY,
  ...AUTH,
  ...CREDENTIALS,
]
