import type { EnvironmentSource, Resource } from '../../../core/guard.ts'
import { malformed, tooLarge } from '../../../core/refused.ts'
import type { Risk } from '../../../core/risk.ts'
import { isObject, type Json, type JsonObject } from '../../../lib/json.ts'
import { isId } from './environment.ts'
import { LIMITS } from './limits.ts'
import { variablesIn } from './variable.ts'

/** What a patch of an environment's configuration would do. */
export interface PatchFacts {
  /** Beyond `write`: `execute`, `destructive`. */
  readonly risks: ReadonlySet<Risk>
  readonly resources: readonly Resource[]
  readonly environments: readonly EnvironmentSource[]
}

const keys = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/))

// Settings that neither choose what runs nor take anything away. Every other key counts as worse.
const SERVICE = keys(
  'isCreated isDeleted name icon groupId deploy networking volumeMounts variables',
)
const DEPLOY = keys(`cronSchedule drainingSeconds healthcheckPath healthcheckTimeout
  ipv6EgressEnabled limitOverride multiRegionConfig numReplicas overlapSeconds region
  restartPolicyMaxRetries restartPolicyType sleepApplication`)
const STORE = keys('isCreated isDeleted name region sizeMB mountPath alertUsageThreshold')
const GROUPS = { services: 'service', volumes: 'volume', buckets: 'bucket' } as const

/**
 * Judges an `EnvironmentConfig`: an opaque scalar in the schema that deletes by `isDeleted` or by a
 * null entry, at any depth, without any operation that has "delete" in its name. Keys that are not
 * known count as worse than they may be.
 */
export function judgePatch(patch: Json | undefined): PatchFacts {
  // A string could be JSON to the server and a word to us; no patch could mean the staged one.
  if (!isObject(patch)) throw malformed('the patch is not an object')
  const found = collect()
  if (takesAway(patch, 0)) found.add('destructive')
  for (const [key, value] of Object.entries(patch)) judgeGroup(key, value, found)
  return found.facts
}

function judgeGroup(key: string, value: Json, found: Collected): void {
  if (key === 'sharedVariables') {
    found.add('execute')
    found.mention(variablesIn(value))
  } else if (key === 'privateNetworkDisabled') {
    if (value !== false) found.add('destructive')
  } else if (!isGroup(key)) {
    found.add('execute', 'destructive')
  } else if (value !== null) {
    if (!isObject(value)) throw malformed('a group of the patch is not an object')
    for (const [id, entry] of Object.entries(value)) judgeEntry(GROUPS[key], id, entry, found)
  }
}

function isGroup(key: string): key is keyof typeof GROUPS {
  return Object.hasOwn(GROUPS, key)
}

function judgeEntry(kind: string, id: string, entry: Json, found: Collected): void {
  if (entry !== null && !isObject(entry)) throw malformed('an entry of the patch is not an object')
  const gone = entry === null || takesAway(entry, 0)
  // What is only now created is nowhere yet; anything else has to be the lease's own already. A store
  // that goes may be the same store that other environments use.
  const created = entry?.['isCreated'] === true
  if (!created || gone) nameId({ kind, id }, gone && kind !== 'service', found)
  if (entry === null) return
  if (kind === 'service') judgeService(entry, found)
  else if (!within(entry, STORE)) found.add('destructive')
}

function nameId(resource: Resource, everywhere: boolean, found: Collected): void {
  if (!isId(resource.id)) throw malformed('a key of the patch is not an id')
  found.name(resource, everywhere)
}

function judgeService(entry: JsonObject, found: Collected): void {
  const deploy = entry['deploy'] ?? {}
  const harmless = within(entry, SERVICE) && isObject(deploy) && within(deploy, DEPLOY)
  // Variables are what the process reads when it starts, and `NODE_OPTIONS` is one of them.
  if (!harmless || Object.hasOwn(entry, 'variables')) found.add('execute')
  found.mention(variablesIn(entry['variables']))
  const mounts = entry['volumeMounts'] ?? {}
  if (!isObject(mounts)) throw malformed('the mounts of the patch are not an object')
  for (const id of Object.keys(mounts)) nameId({ kind: 'volume', id }, false, found)
  if (isObject(deploy) && stopsReplicas(deploy['numReplicas'])) found.add('destructive')
}

/** Fewer than one replica is a service that is not there. */
export function stopsReplicas(value: Json | undefined): boolean {
  return value !== undefined && !(typeof value === 'number' && value >= 1)
}

function within(entry: JsonObject, known: ReadonlySet<string>): boolean {
  return Object.keys(entry).every((key) => known.has(key))
}

/** True where anything in it is null or marked as deleted, however deep. */
function takesAway(value: Json, depth: number): boolean {
  if (depth > LIMITS.valueDepth) throw tooLarge('a patch is nested too deeply')
  if (value === null) return true
  if (Array.isArray(value)) return value.some((item) => takesAway(item, depth + 1))
  if (!isObject(value)) return false
  return Object.entries(value).some(([key, item]) =>
    key === 'isDeleted' ? item !== false : takesAway(item, depth + 1),
  )
}

interface Collected {
  readonly facts: PatchFacts
  readonly add: (...risks: readonly Risk[]) => void
  readonly name: (resource: Resource, everywhere: boolean) => void
  /** Shown, and not looked up. */
  readonly mention: (resources: readonly Resource[]) => void
}

function collect(): Collected {
  const risks = new Set<Risk>()
  const resources: Resource[] = []
  const environments: EnvironmentSource[] = []
  return {
    facts: { risks, resources, environments },
    add: (...added) => {
      for (const risk of added) risks.add(risk)
    },
    mention: (mentioned) => {
      for (const resource of mentioned) resources.push(resource)
    },
    name: (resource, everywhere) => {
      resources.push(resource)
      environments.push({
        from: 'lookup',
        resource,
        match: everywhere ? 'environment' : 'project',
      })
    },
  }
}
