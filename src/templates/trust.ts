import type { Template } from '../core/template.ts'
import { checkTrust } from '../core/trust/check.ts'
import { issuerKind } from '../core/trust/issuer.ts'
import { presetCalled } from '../core/trust/presets.ts'
import type { Finding, Path } from './finding.ts'
import type { WhoDocument } from './schema.ts'
import { quoted } from './words.ts'

/** The `oidc` rules of a template: whether each is narrow enough for what its issuer signs. */
export function checkWho(template: Template, written: readonly WhoDocument[]): readonly Finding[] {
  return template.who.flatMap((rule, index): Finding[] => {
    const document = written[index]
    if (rule.kind !== 'oidc' || document === undefined || document === 'local') return []
    const path = ['templates', template.name, 'who', index, 'oidc']
    const preset = document.oidc.preset ? presetCalled(document.oidc.preset) : null
    return [
      ...checkTrust(rule, preset).map((problem): Finding => {
        const at = problem.path.length === 1 ? 'key' : 'value'
        return { ...problem, path: [...path, ...problem.path], at }
      }),
      ...checkPlain(rule.issuer, path),
    ]
  })
}

function checkPlain(issuer: string, path: Path): Finding[] {
  if (issuerKind(issuer) !== 'loopback') return []
  const message = `issuer ${quoted(issuer)} is not reached over https: only a server that was told to accept this will`
  return [{ severity: 'warning', message, path: [...path, 'issuer'], at: 'value' }]
}
