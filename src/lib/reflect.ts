// The X.509 library registers its algorithms through decorators and asks for three functions that
// the language does not have (yet). Imported before it; does nothing where they already exist.
type Key = string | symbol

const stored = new WeakMap<object, Map<Key, unknown>>()
const own = (key: Key, target: object) => stored.get(target)?.get(key)

function inherited(key: Key, target: object): unknown {
  for (let at: object | null = target; at; at = Object.getPrototypeOf(at)) {
    const value = own(key, at)
    if (value !== undefined) return value
  }
  return undefined
}

function define(key: Key, value: unknown, target: object): void {
  const entries = stored.get(target) ?? new Map<Key, unknown>()
  stored.set(target, entries.set(key, value))
}

if (!('getMetadata' in Reflect)) {
  Object.assign(Reflect, { getMetadata: inherited, getOwnMetadata: own, defineMetadata: define })
}
