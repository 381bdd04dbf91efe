import {
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
} from 'graphql'
import { describe, expect, it } from 'vitest'
import type { Verdict } from '../../src/core/guard.ts'
import type { JsonObject } from '../../src/lib/json.ts'
import { NEWER } from '../../src/providers/railway/catalogue/newer.ts'
import { fieldsOf, inputsOf } from '../../src/providers/railway/catalogue/shapes.ts'
import { classifyMessage } from '../../src/providers/railway/guard/channel.ts'
import { classify } from '../../src/providers/railway/guard/classify.ts'
import { allowed, refused, request, summary } from '../fixtures/railway/request.ts'
import { findRailwayCli, findRailwaySources } from './railway-cli.ts'
import { MUTATIONS, OF_THE_ACCOUNT, REFUSED } from './railway-expected.ts'
import { type CliDocument, documentsIn, schemaIn } from './railway-sources.ts'

const sources = findRailwaySources(findRailwayCli()?.version)
const documents = sources ? documentsIn(sources) : []
const classified = documents.filter(({ name }) => !(name in REFUSED))
const named = (kinds: readonly string[]) => classified.filter(({ kind }) => kinds.includes(kind))

/** As the CLI sends it: subscriptions over the websocket, everything else with POST. */
function judged({ name, kind, query }: CliDocument, variables: JsonObject): Verdict {
  const payload = { query, operationName: name, variables }
  return kind === 'subscription'
    ? classifyMessage(JSON.stringify({ type: 'subscribe', id: '1', payload }))
    : classify(request(JSON.stringify(payload)))
}

const ways = (document: CliDocument) => [document.full, document.sparse]

describe.skipIf(!sources)('the documents of the Railway CLI', () => {
  it('that reach beyond the environment are refused, and no other', () => {
    const found = documents.flatMap((document) => {
      const verdicts = ways(document).map((variables) => judged(document, variables))
      const one = verdicts.find((verdict) => verdict.outcome === 'refused')
      return one ? [[document.name, refused(one).message] as const] : []
    })
    expect(Object.fromEntries(found)).toEqual(REFUSED)
  })

  it.each(named(['query', 'subscription']))('$kind $name only reads', (document) => {
    for (const variables of ways(document)) {
      for (const { name, risk } of allowed(judged(document, variables)).operations) {
        // The mutation of this name builds, and a rule names only the name.
        const expected = name === 'sandboxTemplateBuild' ? ['execute'] : ['read', 'secret']
        expect(expected, name).toContain(risk)
      }
    }
  })

  it.each(named(['query', 'subscription']))('$kind $name says where it reads', (document) => {
    const { operations } = allowed(judged(document, document.full))
    const places = new Set(operations.flatMap(({ environments }) => environments.map(fromOf)))
    expect(places.has('account')).toBe(OF_THE_ACCOUNT.includes(document.name))
    expect(places).not.toContain('optional-argument-missing')
  })

  it.each(named(['mutation']))('mutation $name is seen as what it does', (document) => {
    expect(summary(allowed(judged(document, document.full)))).toEqual(MUTATIONS[document.name])
  })

  it('are all judged', () => {
    const mutations = documents.filter(({ kind }) => kind === 'mutation').map(({ name }) => name)
    const known = [...Object.keys(MUTATIONS), ...Object.keys(REFUSED)]
    expect(mutations.filter((name) => !known.includes(name))).toEqual([])
    expect(documents.length).toBeGreaterThan(140)
  })
})

const fromOf = ({ from }: { readonly from: string }) => from

describe.skipIf(!sources)('the schema that the CLI is built against', () => {
  // Names of disks in other environments that nothing can be asked about.
  const LEFT_OUT = [
    'CloudAgentCreateInput.cloudAgentCheckpointId',
    'CloudAgentCreateInput.agentBootstrapId',
  ]

  it('has no field, argument or input that the catalogue does not know', () => {
    const schema = schemaIn(sources ?? '')
    const missing = typesOf(schema).flatMap((type) => missingIn(type))
    expect(missing.sort()).toEqual(LEFT_OUT.sort())
  })

  it('has everything that is listed as newer', () => {
    const schema = schemaIn(sources ?? '')
    const invented = Object.entries({ ...NEWER.objects, ...NEWER.inputs }).flatMap(
      ([name, line]) => {
        const type = schema.getType(name)
        const known = isObjectType(type) || isInputObjectType(type) ? type.getFields() : {}
        const words = line.split(' ').map((word) => word.split(/[(:!]/)[0] ?? '')
        return words.filter((word) => !(word in known)).map((word) => `${name}.${word}`)
      },
    )
    // Stands in the CLI's telemetry and in no schema.
    expect(invented).toEqual(['CliEventTrackInput.ttyStreams'])
  })
})

function typesOf(schema: GraphQLSchema): readonly GraphQLNamedType[] {
  return Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'))
}

function missingIn(type: GraphQLNamedType): readonly string[] {
  if (isInputObjectType(type)) {
    const known = inputsOf(type.name)
    return Object.keys(type.getFields())
      .filter((name) => !known?.has(name))
      .map((name) => `${type.name}.${name}`)
  }
  if (!isObjectType(type) && !isInterfaceType(type)) return []
  return Object.values(type.getFields()).flatMap((field) => {
    const shape = fieldsOf(type.name)?.get(field.name)
    const result = getNamedType(field.type)
    const composite = isObjectType(result) || isInterfaceType(result)
    if (!shape || (composite && shape.type !== result.name)) return [`${type.name}.${field.name}`]
    return field.args
      .filter((arg) => !shape.args.has(arg.name))
      .map((arg) => `${type.name}.${field.name}(${arg.name})`)
  })
}
