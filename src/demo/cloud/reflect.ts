// The X.509 library registers its algorithms through decorators and asks for three functions that
// the language does not have. Imported before it; does nothing where something else brought them.
type Entries = Map<unknown, unknown>

const stored = new WeakMap<object, Entries>()

function own(key: unknown, target: object): unknown {
  return stored.get(target)?.get(key)
}

function inherited(key: unknown, target: object): unknown {
  const found = own(key, target)
  const above: object | null = Object.getPrototypeOf(target)
  return found === undefined && above ? inherited(key, above) : found
}

function define(key: unknown, value: unknown, target: object): void {
  const entries: Entries = stored.get(target) ?? new Map()
  stored.set(target, entries.set(key, value))
}

if (!('getMetadata' in Reflect)) {
  Object.assign(Reflect, { getMetadata: inherited, getOwnMetadata: own, defineMetadata: define })
}
