import type { Change } from '../api/types.ts'
import type { Binding, Environment } from '../core/template.ts'
import { canonicalJson, type Json, type JsonObject } from '../lib/json.ts'
import { type CompileContext, providerOf } from './context.ts'
import { own } from './reach.ts'
import { printable } from './words.ts'

/** Where things are: another place behind the same name is something that was not possible. */
export function diffEnvironment(
  name: string,
  before: Environment | undefined,
  after: Environment | undefined,
  context: CompileContext,
): readonly Change[] {
  const subject = `environment ${name}`
  if (!after) return before ? [{ effect: 'narrows', message: `${subject}: is gone` }] : []
  const places = (environment: Environment | undefined) => Object.keys(environment?.bindings ?? {})
  const grants = new Set([...places(before), ...places(after)])
  return [
    ...diffProtection(subject, before, after),
    ...[...grants].flatMap((grant) => {
      const was = before && own(before.bindings, grant)
      return diffBinding(`${subject}: ${grant}`, was, own(after.bindings, grant), context)
    }),
  ]
}

function diffProtection(subject: string, before: Environment | undefined, after: Environment) {
  const changes: Change[] = []
  if (!before) {
    const kind = after.protected ? ', protected' : ''
    changes.push({ effect: 'widens', message: `${subject}: is new${kind}` })
  } else if (before.protected && !after.protected) {
    const message = `${subject}: is no longer protected: write and beyond need no approval, leases may last 8h`
    changes.push({ effect: 'widens', message })
  } else if (!before.protected && after.protected) {
    const message = `${subject}: is now protected: everything beyond read needs approval, leases last at most 1h`
    changes.push({ effect: 'narrows', message })
  }
  return changes
}

function diffBinding(
  subject: string,
  before: Binding | undefined,
  after: Binding | undefined,
  context: CompileContext,
): readonly Change[] {
  if (!after) return before ? [{ effect: 'narrows', message: `${subject} is gone` }] : []
  if (!before) return [{ effect: 'widens', message: `${subject} is new: ${described(after)}` }]
  return [
    ...diffConnection(subject, before, after),
    ...diffProvider(subject, before, after, context),
    ...diffTarget(subject, before.target, after.target),
  ]
}

function described({ connection, provider, target }: Binding): string {
  const place = Object.keys(target).length > 0 ? ` ${shown(target)}` : ''
  const through = connection === null ? '' : `connection ${connection}`
  const kind = provider === null ? '' : `provider ${provider}`
  return `${[through, kind].filter((part) => part !== '').join(', ')}${place}`
}

function diffConnection(subject: string, before: Binding, after: Binding): readonly Change[] {
  if (before.connection === after.connection) return []
  const message = `${subject} now uses ${after.connection ?? 'no connection'}, was ${before.connection ?? 'no connection'}`
  return [{ effect: 'widens', message }]
}

/** Saying openly what the connection said already, or leaving it to the connection, opens nothing. */
function diffProvider(
  subject: string,
  before: Binding,
  after: Binding,
  context: CompileContext,
): readonly Change[] {
  if (before.provider === after.provider) return []
  const is = providerOf(after, context)
  const same = is !== null && is === providerOf(before, context)
  const said = (provider: string | null) => provider ?? 'left to the connection'
  const message = `${subject}: provider is now ${said(after.provider)}, was ${said(before.provider)}`
  return [{ effect: same ? 'neutral' : 'widens', message }]
}

/** Only the provider knows which value is wider: each change counts as one that widens. */
function diffTarget(subject: string, before: JsonObject, after: JsonObject): readonly Change[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keys].sort().flatMap((key): Change[] => {
    const was = own(before, key)
    const is = own(after, key)
    if (was !== undefined && is !== undefined && canonicalJson(was) === canonicalJson(is)) return []
    const message = `${subject}: ${printable(key)} is now ${shown(is)}, was ${shown(was)}`
    return [{ effect: 'widens', message }]
  })
}

function shown(value: Json | undefined): string {
  return value === undefined ? 'not set' : canonicalJson(value)
}
