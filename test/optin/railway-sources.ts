import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  buildClientSchema,
  type GraphQLInputType,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  Kind,
  type OperationDefinitionNode,
  parse,
  typeFromAST,
} from 'graphql'
import type { Json, JsonObject } from '../../src/lib/json.ts'

/** One operation of the CLI, as it is sent. */
export interface CliDocument {
  readonly name: string
  readonly kind: 'query' | 'mutation' | 'subscription'
  readonly query: string
  /** With every variable given. */
  readonly full: JsonObject
  /** The CLI sends null for what it was not told. */
  readonly sparse: JsonObject
}

/** The schema the CLI was built against. */
export function schemaIn(sources: string): GraphQLSchema {
  const read = JSON.parse(readFileSync(join(sources, 'src/gql/schema.json'), 'utf8'))
  // It breaks a rule about deprecation that matters to nobody here.
  return buildClientSchema(read.data ?? read, { assumeValid: true })
}

export function documentsIn(sources: string): readonly CliDocument[] {
  const schema = schemaIn(sources)
  // "signals" is another API, at another address.
  const pattern = 'src/gql/{queries,mutations,subscriptions}/**/*.graphql'
  return globSync(join(sources, pattern))
    .sort()
    .flatMap((file) => {
      const query = readFileSync(file, 'utf8')
      return parse(query)
        .definitions.filter((each) => each.kind === Kind.OPERATION_DEFINITION)
        .map((operation) => documentOf(operation, query, schema))
    })
}

function documentOf(
  operation: OperationDefinitionNode,
  query: string,
  schema: GraphQLSchema,
): CliDocument {
  const variables = (full: boolean): JsonObject =>
    Object.fromEntries(
      (operation.variableDefinitions ?? []).map(({ variable, type }) => {
        const known = typeFromAST(schema, type)
        if (!isInputType(known)) throw new Error(`$${variable.name.value} has no known type`)
        return [variable.name.value, sample(known, variable.name.value, full)]
      }),
    )
  const name = operation.name?.value ?? ''
  return {
    ...{ name, kind: operation.operation, query },
    ...{ full: variables(true), sparse: variables(false) },
  }
}

const IDS: readonly (readonly [RegExp, string])[] = [
  [/environmentId$/i, 'stg'],
  [/projectId$/i, 'prj'],
  [/serviceId$/i, 'svc'],
]
const NUMBERS = new Set(['Int', 'Float', 'BigInt'])
const OPAQUE = new Set(['JSON', 'EnvironmentConfig', 'EnvironmentVariables'])

/** Something that fits: harmless where it can be, so that the document speaks for itself. */
function sample(type: GraphQLInputType, name: string, full: boolean): Json {
  if (isNonNullType(type)) return sample(type.ofType, name, true)
  if (!full) return null
  if (isListType(type)) return [sample(type.ofType, name, full)]
  if (isEnumType(type)) return type.getValues()[0]?.name ?? null
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields())
    return Object.fromEntries(
      // Nested optional ones are left out: one of them may take the place of another.
      fields
        .filter((field) => isNonNullType(field.type) || /Id$/.test(field.name))
        .map((field) => [field.name, sample(field.type, field.name, full)]),
    )
  }
  if (NUMBERS.has(type.name)) return 1
  if (type.name === 'Boolean') return false
  if (OPAQUE.has(type.name)) return {}
  return IDS.find(([pattern]) => pattern.test(name))?.[1] ?? 'x'
}
