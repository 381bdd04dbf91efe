import { ROUTES, type RouteName } from '../api/routes.ts'

export interface RequestOptions {
  /** For `:id` in the route's path. */
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  readonly timeoutMs?: number
}

export const TIMEOUT_MS = 120_000
/** POSTs that make something: a key lets the daemon see that it was asked twice. */
const CREATING: ReadonlySet<RouteName> = new Set(['issueLease', 'connect'])

/** Method, path and body of a request, whichever way it goes. */
export function callOf(route: RouteName, details: RequestOptions) {
  return {
    method: ROUTES[route].method,
    path: pathOf(route, details),
    timeoutMs: details.timeoutMs ?? TIMEOUT_MS,
    ...(details.body !== undefined && { body: details.body }),
    ...(CREATING.has(route) && { headers: { 'idempotency-key': newKey() } }),
  }
}

function pathOf(route: RouteName, { params = {}, query = {} }: RequestOptions): string {
  const path = ROUTES[route].path.replace(/:(\w+)/g, (_, name: string) => {
    const value = params[name]
    if (value === undefined) throw new TypeError(`route "${route}" needs the parameter "${name}"`)
    return encodeURIComponent(value)
  })
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, value)
  }
  return search.size === 0 ? path : `${path}?${search}`
}

function newKey(): string {
  return process.getBuiltinModule('node:crypto').randomUUID()
}
