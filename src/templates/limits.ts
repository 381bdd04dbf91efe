import { ttlCap } from '../core/decide.ts'
import type { Environment, Template } from '../core/template.ts'
import { formatDuration } from '../lib/duration.ts'
import type { Finding } from './finding.ts'
import { quoted } from './words.ts'

/** Shorter than this no credential reaches the one who asked. */
const MIN_TTL_MS = 1000

/** The rules about a template as a whole (design §6 and its table of holes). */
export function checkLimits(
  template: Template,
  environments: readonly Environment[],
): readonly Finding[] {
  const guarded = environments.find((environment) => environment.protected)
  return [
    ...checkTtl(template, guarded),
    ...checkEgress(template, guarded),
    ...checkIsolation(template, guarded),
  ]
}

function checkTtl(template: Template, guarded: Environment | undefined): Finding[] {
  const cap = ttlCap(guarded !== undefined)
  const longest = guarded
    ? `${formatDuration(cap)}, because ${quoted(guarded.name)} is protected`
    : formatDuration(cap)
  const findings: Finding[] = []
  const error = (key: string, message: string) =>
    findings.push({
      severity: 'error',
      message,
      path: ['templates', template.name, key],
      at: 'value',
    })
  const { ttlMs, maxTtlMs, approvalWaitMs } = template
  if (maxTtlMs > cap)
    error('maxTtl', `maxTtl ${formatDuration(maxTtlMs)} is longer than ${longest}`)
  if (ttlMs > cap) error('ttl', `ttl ${formatDuration(ttlMs)} is longer than ${longest}`)
  else if (ttlMs > maxTtlMs) {
    error('ttl', `ttl ${formatDuration(ttlMs)} is longer than maxTtl ${formatDuration(maxTtlMs)}`)
  }
  if (ttlMs < MIN_TTL_MS) error('ttl', `ttl ${formatDuration(ttlMs)} is shorter than 1s`)
  if (approvalWaitMs > ttlCap(false)) {
    error('approvalWait', `approvalWait ${formatDuration(approvalWaitMs)} is longer than any lease`)
  }
  return findings
}

function checkEgress(template: Template, guarded: Environment | undefined): Finding[] {
  if (!guarded || template.egress !== 'open') return []
  const message = `environment ${quoted(guarded.name)} is protected: template ${quoted(template.name)} needs a list of hosts as egress`
  return [{ severity: 'error', message, path: ['templates', template.name, 'egress'], at: 'key' }]
}

/** At scrub an agent can act as the person who approves: an approval there is no barrier. */
function checkIsolation(template: Template, guarded: Environment | undefined): Finding[] {
  if (template.isolation !== 'scrub' || template.unconfined) return []
  const approves =
    template.approval === 'required' ||
    Object.values(template.grants).some((rule) => rule.approve.length > 0)
  if (!approves && !guarded) return []
  const why = guarded ? `environment ${quoted(guarded.name)} is protected` : 'it has approve rules'
  const message = `template ${quoted(template.name)} needs isolation mask or more, because ${why}: at scrub the agent can act as the approver (unconfined: true accepts that)`
  const path = ['templates', template.name, 'isolation']
  return [{ severity: 'error', message, path, at: 'value' }]
}
