// Holds every import in src/ against the table below (docs/decisions/0001-shape.md): values only
// point down, types may look one level up, and no two files import each other's values in a circle.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'

const SRC = join(import.meta.dirname, '..', 'src')

// Folder → folders whose values it may import. `errors` and `lib` are open to all.
const VALUES = {
  errors: [],
  lib: [],
  core: [],
  api: [],
  audit: [],
  providers: ['core'],
  proxy: [],
  store: ['core', 'audit'],
  vault: [],
  identity: ['core'],
  templates: ['core'],
  broker: ['core', 'audit', 'store'],
  daemon: [
    'api',
    'core',
    'audit',
    'providers',
    'store',
    'vault',
    'identity',
    'templates',
    'broker',
    'proxy',
  ],
  demo: [],
  client: ['api'],
  ci: ['api', 'client'],
  launch: [],
  exec: ['api', 'client', 'ci', 'launch', 'cli'],
  cli: ['api', 'core', 'client', 'ci'],
  commands: ['api', 'core', 'client', 'ci', 'cli', 'launch', 'demo'],
}

// What may be imported as a type only, beyond the values.
const TYPES = {
  api: ['core'],
  audit: ['core'],
  providers: ['vault'],
  proxy: ['core'],
  store: ['core'],
  vault: ['core'],
  identity: ['providers', 'vault'],
  templates: ['api'],
  broker: ['api', 'providers', 'proxy', 'vault'],
  cli: ['core'],
  client: ['core'],
  commands: ['core'],
  launch: ['api'],
  exec: ['core'],
}

// Values that cross on purpose, file to file.
const EXCEPTIONS = new Map([
  // Pure functions over a stored shape; the ports themselves stay types.
  ['broker', new Set(['store/store.ts'])],
  ['providers', new Set()],
])

// Adapters never see each other: jwt not postgres, sqlite not its neighbours' drivers.
const SEPARATE = ['providers']

const folderOf = (file) => {
  const parts = relative(SRC, file).split(sep)
  return parts.length === 1 ? parts[0].replace(/\.ts$/, '') : parts[0]
}

const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => join(entry.parentPath, entry.name))

const IMPORT =
  /(?:^|\n)\s*(import|export)\s+(type\s+)?([^'"]*?)\s*from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g
const problems = []
const graph = new Map()

for (const file of files) {
  const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
  const values = new Set()
  for (const [, , typeKeyword, names, from, dynamic] of text.matchAll(IMPORT)) {
    const target = from ?? dynamic
    if (!target?.startsWith('.')) continue
    const resolved = resolve(dirname(file), target)
    if (!existsSync(resolved)) problems.push(`${show(file)}: "${target}" does not exist`)
    const onlyTypes = Boolean(typeKeyword) || isAllTypes(names)
    check(file, resolved, onlyTypes)
    if (!onlyTypes && !dynamic && resolved.endsWith('.ts')) values.add(resolved)
  }
  graph.set(file, values)
}

function isAllTypes(names) {
  const inner = names?.match(/^\{([\s\S]*)\}$/)?.[1]
  if (inner === undefined) return false
  const parts = inner
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
  return parts.length > 0 && parts.every((part) => part.startsWith('type '))
}

function check(file, target, onlyTypes) {
  const from = folderOf(file)
  const to = folderOf(target)
  if (!(from in VALUES)) problems.push(`${show(file)}: the folder "${from}" is not in the table`)
  if (from === to) {
    if (SEPARATE.includes(from)) checkSeparate(file, target)
    return
  }
  if (to === 'lib' || to === 'errors') return
  if (VALUES[from]?.includes(to) && passes(from, to, target)) return
  if (onlyTypes && (TYPES[from]?.includes(to) || VALUES[from]?.includes(to))) return
  problems.push(
    `${show(file)}: may not import ${onlyTypes ? 'types' : 'values'} of ${show(target)}`,
  )
}

/** Of the store, use cases may take only what its port itself defines. */
function passes(from, to, target) {
  if (from !== 'broker' || to !== 'store') return true
  return EXCEPTIONS.get(from)?.has(relative(SRC, target).split(sep).join('/')) ?? false
}

function checkSeparate(file, target) {
  const inner = (path) => relative(SRC, path).split(sep)
  const [, a, ...restA] = inner(file)
  const [, b, ...restB] = inner(target)
  if (restA.length > 0 && restB.length > 0 && a !== b) {
    problems.push(`${show(file)}: one adapter may not see another (${show(target)})`)
  }
}

function show(file) {
  return relative(join(SRC, '..'), file)
}

const done = new Set()
function findCycle(file, path) {
  if (done.has(file)) return
  const at = path.indexOf(file)
  if (at >= 0) {
    problems.push(`a circle: ${[...path.slice(at), file].map(show).join(' → ')}`)
    return
  }
  for (const next of graph.get(file) ?? []) findCycle(next, [...path, file])
  done.add(file)
}
for (const file of files) findCycle(file, [])

if (problems.length > 0) {
  for (const problem of new Set(problems)) console.error(problem)
  process.exit(1)
}
console.log(`layers: ${files.length} files, no import against the flow`)
