import { pointerSteps, type RestPlace } from './definition.ts'

/** What keeps a definition from being used, and where in it that stands. */
export interface Fault {
  readonly path: readonly (string | number)[]
  /** Lower-case, one line. */
  readonly message: string
}

const HEADER = /^[a-z0-9!#$%&'*+.^_`|~-]{1,80}$/
/** Fields that carry something else: framing, the body's form, the way to the server. */
const TAKEN =
  /^(?:host|cookie|accept|connection|content-.*|expect|forwarded|keep-alive|origin|proxy-.*|broker-.*|range|referer|te|trailer|transfer-encoding|upgrade|user-agent|via|x-forwarded-.*)$/

/** True for a header that an API may give a meaning of its own. */
export function isFreeHeader(name: string): boolean {
  return HEADER.test(name) && !TAKEN.test(name)
}

/** What is wrong with a place in itself. */
export function placeFaults({ in: kind, at }: RestPlace, path: Fault['path']): Fault[] {
  if (kind === 'header' && !isFreeHeader(at)) {
    return [{ path, message: `header "${at}" cannot say where a request belongs` }]
  }
  if (kind === 'body' && pointerSteps(at) === null) {
    return [{ path, message: `"${at}" is not a JSON pointer to a member, like /workspace` }]
  }
  return []
}
