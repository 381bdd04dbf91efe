import type { Json } from '../../../lib/json.ts'

/** A patch as it is shown to those who did not ask for the values of its variables. */
export function hidden(patch: Json): Json {
  if (Array.isArray(patch)) return patch.map(hidden)
  if (typeof patch !== 'object' || patch === null) return patch
  return Object.fromEntries(
    Object.entries(patch).map(([key, value]) => [
      key,
      key === 'value' && typeof value === 'string' ? '*****' : hidden(value),
    ]),
  )
}
