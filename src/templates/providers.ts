import type {
  Method,
  RestDefinition,
  RestEnvironment,
  RestOperation,
  RestPlace,
} from '../core/rest/definition.ts'
import { faultsOf } from '../core/rest/faults.ts'
import type { CompileContext } from './context.ts'
import type { Finding } from './finding.ts'
import type {
  OperationDocument,
  PlaceDocument,
  PlacesDocument,
  ProviderDocument,
} from './provider-schema.ts'
import { quoted } from './words.ts'

/** Without anything said of its form, a phantom is 43 characters: 258 random bits. */
const PHANTOM = { prefix: '', length: 43, charset: 'base64url' } as const

/** The compiled form, with every default filled in. What is wrong with it, `checkProviders` says. */
export function toDefinition(document: ProviderDocument): RestDefinition {
  const { credential, phantom, check } = document
  const environment = toEnvironment(document.environment, [])
  return {
    hosts: document.hosts.map((host) => host.toLowerCase()),
    credential: {
      header: (credential.header ?? 'authorization').toLowerCase(),
      scheme: credential.scheme,
      user: credential.user ?? null,
      password: credential.password ?? null,
    },
    phantom: { ...PHANTOM, ...phantom, prefix: phantom?.prefix ?? PHANTOM.prefix },
    variables: { ...document.variables },
    environment,
    operations: document.operations.map((operation) => toOperation(operation, environment)),
    check: check ? { method: check.method ?? 'GET', path: check.path } : null,
  }
}

function toOperation(document: OperationDocument, environment: RestEnvironment): RestOperation {
  const method = [document.method].flat() as Method[]
  const when = { ...document.when }
  const own =
    document.environment === undefined
      ? environment
      : toEnvironment(document.environment, environment.places)
  return {
    name: document.name,
    risk: document.risk,
    method: [...new Set(method)],
    path: document.path,
    query: document.query ?? 'any',
    body: document.body ?? (method.some(takesBody) ? 'json' : 'none'),
    when,
    environment: own,
    target: document.target ?? null,
  }
}

/** DELETE may have a body too (RFC 9110 §9.3.5): where it means something, it is said. */
function takesBody(method: Method): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH'
}

/** `usual`: the places of the provider, for those of an operation that do not repeat their names. */
function toEnvironment(document: PlacesDocument, usual: readonly RestPlace[]): RestEnvironment {
  if (!Array.isArray(document) && document.in === 'none') {
    return { places: [], reason: document.reason }
  }
  const written = [document].flat() as readonly PlaceDocument[]
  return { places: written.map((place, index) => toPlace(place, usual[index]?.name)), reason: null }
}

function toPlace(place: PlaceDocument, usual: string | undefined): RestPlace {
  const name = place.name ?? usual ?? ''
  const at = 'at' in place ? (place.at ?? null) : null
  switch (place.in) {
    case 'path':
      return { in: place.in, name, at: name }
    case 'host':
      return { in: place.in, name, at: '' }
    case 'query':
      return { in: place.in, name, at: at ?? name }
    case 'header':
      return { in: place.in, name, at: (at ?? name).toLowerCase() }
    case 'body':
      return { in: place.in, name, at: at ?? `/${name}` }
  }
}

/** Each definition in itself, and beside the others and the built-in ones. */
export function checkProviders(
  providers: Readonly<Record<string, RestDefinition>>,
  context: CompileContext,
): readonly Finding[] {
  const taken = new Map<string, string>()
  for (const [name, { guard }] of context.providers) {
    for (const host of guard?.hosts ?? []) taken.set(host, name)
  }
  return Object.entries(providers).flatMap(([name, definition]) => [
    ...checkName(name, context),
    ...faultsOf(definition).map(({ path, message }): Finding => {
      return { severity: 'error', message, path: ['providers', name, ...path], at: 'value' }
    }),
    ...checkHosts(name, definition, taken),
  ])
}

function checkName(name: string, context: CompileContext): Finding[] {
  if (!context.providers.has(name)) return []
  const message = `provider ${quoted(name)} is built in: choose another name`
  return [{ severity: 'error', message, path: ['providers', name], at: 'key' }]
}

/** A host belongs to one provider: two would judge one request by different rules. */
function checkHosts(
  name: string,
  { hosts }: RestDefinition,
  taken: Map<string, string>,
): Finding[] {
  return hosts.flatMap((host, index): Finding[] => {
    const owner = taken.get(host) ?? name
    taken.set(host, owner)
    if (owner === name) return []
    const message = `host ${quoted(host)} belongs to provider ${quoted(owner)}`
    return [{ severity: 'error', message, path: ['providers', name, 'hosts', index], at: 'value' }]
  })
}
