import type { Change } from '../api/types.ts'
import type { Configuration, Template } from '../core/template.ts'
import { formatDuration } from '../lib/duration.ts'
import { type CompileContext, withOwn } from './context.ts'
import { diffEnvironment } from './diff-environment.ts'
import { diffProvider } from './diff-provider.ts'
import { diffReach } from './diff-reach.ts'
import { caller, diffFields, equal } from './diff-template.ts'
import { own, reachOf } from './reach.ts'
import { printable } from './words.ts'

const ORDER: readonly Change['effect'][] = ['widens', 'narrows', 'neutral']

/**
 * What changes in meaning between two configurations, widening first. Whatever differs gives at least
 * one change, and whatever is newly allowed is one that widens; in doubt it widens. Both sides are
 * judged by the catalogues and connections of today, and each by its own `providers:`.
 */
export function changes(
  before: Configuration,
  after: Configuration,
  context: CompileContext,
): readonly Change[] {
  const worlds = { was: withOwn(context, before), is: withOwn(context, after) }
  const found = [
    ...union(before.providers, after.providers).flatMap((name) =>
      diffProvider(name, own(before.providers, name), own(after.providers, name)),
    ),
    ...union(before.environments, after.environments).flatMap((name) =>
      diffEnvironment(
        name,
        own(before.environments, name),
        own(after.environments, name),
        worlds.is,
      ),
    ),
    ...union(before.templates, after.templates).flatMap((name) =>
      diffTemplate(name, before, after, worlds),
    ),
  ]
  return ORDER.flatMap((effect) => found.filter((change) => change.effect === effect))
}

function diffTemplate(
  name: string,
  before: Configuration,
  after: Configuration,
  worlds: Worlds,
): readonly Change[] {
  const was = own(before.templates, name)
  const is = own(after.templates, name)
  if (!is) return was ? [{ effect: 'narrows', message: `template ${name}: is gone` }] : []
  const grants = union(was?.grants ?? {}, is.grants)
  return [
    ...(was ? diffFields(was, is) : [{ effect: 'widens' as const, message: introduced(is) }]),
    ...grants.flatMap((grant) => diffGrant(grant, is, { before, was, after, worlds })),
  ]
}

/** The two sides' own providers, each with the same built-in ones and connections. */
interface Worlds {
  readonly was: CompileContext
  readonly is: CompileContext
}

interface Sides {
  readonly before: Configuration
  readonly was: Template | undefined
  readonly after: Configuration
  readonly worlds: Worlds
}

function diffGrant(grant: string, is: Template, sides: Sides): readonly Change[] {
  const { before, was, after, worlds } = sides
  const found = is.environments.flatMap((environment) =>
    diffReach(
      { template: is.name, environment, grant },
      was && reachOf(before, was, environment, grant, worlds.was),
      reachOf(after, is, environment, grant, worlds.is),
    ),
  )
  const ruleBefore = was && own(was.grants, grant)
  const ruleAfter = own(is.grants, grant)
  if (found.length > 0 || !was || equal(ruleBefore ?? null, ruleAfter ?? null)) return found
  const message = `template ${is.name}: ${grant} is written differently, and gives the same today`
  return [{ effect: 'neutral', message }]
}

/** A new template says at once what could otherwise only be seen in its fields. */
function introduced(template: Template): string {
  const { name, environments, maxTtlMs, isolation, egress, who, approval, unconfined } = template
  const parts = [
    `for ${environments.join(', ')}`,
    `up to ${formatDuration(maxTtlMs)}`,
    `isolation ${isolation}${unconfined ? ', unconfined' : ''}`,
    egress === 'open'
      ? 'egress open'
      : `egress to ${egress.map(printable).join(', ') || 'no host'}`,
    ...(who.some(({ kind }) => kind !== 'local')
      ? [`asked for by ${who.map(caller).join(', ')}`]
      : []),
    ...(approval === 'required' ? ['each lease needs approval'] : []),
  ]
  return `template ${name}: is new: ${parts.join(', ')}`
}

function union(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
): readonly string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
}
