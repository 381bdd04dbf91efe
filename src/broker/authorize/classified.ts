import type { Classified, Verdict } from '../../core/guard.ts'
import { Denied } from './denial.ts'

/** Throws `Denied` for what the guard refused by itself. */
export function classifiedOf(verdict: Verdict): Classified {
  if (verdict.outcome === 'classified') return verdict
  const { code, message, operation, risk } = verdict
  const next = 'send one plain request that the provider documents, with allowed operations only'
  throw new Denied({ code, detail: message, next, operation, risk })
}

/** Where parts of a thing lie can change. To which project it belongs cannot: no turn for that. */
export function dependsOnLookups({ operations }: Classified): boolean {
  return operations.some(
    ({ risk, environments }) =>
      risk !== 'read' &&
      environments.some((source) => source.from === 'lookup' && source.match === 'environment'),
  )
}

export function unreadable(): Denied {
  return new Denied({
    code: 'operation_denied',
    detail: 'what the request would carry out cannot be read beforehand',
    next: 'send the change itself instead of a reference to one made earlier',
  })
}
