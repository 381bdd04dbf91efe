// Reads a profile as Seatbelt is known to: an s-expression reader, and of the rules that fit the last one.
type Expression = string | { readonly text: string } | readonly Expression[]

export interface Subject {
  readonly path?: string
  readonly name?: string
  readonly socket?: string
  readonly ip?: string
  readonly target?: string
}

export function judge(profile: string, operation: string, subject: Subject): string {
  let answer = 'unknown'
  for (const expression of read(profile)) {
    if (!Array.isArray(expression)) throw new Error('something stands beside the rules')
    const [effect, ...rest] = expression as Expression[]
    if (effect === 'version') continue
    if (effect !== 'allow' && effect !== 'deny') throw new Error(`no rule: ${String(effect)}`)
    const operations = rest.filter((part) => typeof part === 'string')
    const filters = rest.filter((part) => Array.isArray(part)) as Expression[][]
    if (!operations.some((pattern) => covers(pattern, operation))) continue
    if (filters.length === 0 || filters.some((filter) => fits(filter, subject))) answer = effect
  }
  return answer
}

function covers(pattern: string, operation: string): boolean {
  if (pattern === 'default') return true
  if (!pattern.endsWith('*')) return pattern === operation
  const stem = pattern.slice(0, -1)
  return operation === stem || operation.startsWith(`${stem}-`)
}

function fits([kind, first, second]: readonly Expression[], subject: Subject): boolean {
  const text = textOf(first)
  const place = subject.path ?? subject.socket
  switch (kind) {
    case 'literal':
      return place === text
    case 'subpath':
      return place === text || (place?.startsWith(`${text}/`) ?? false)
    case 'regex':
      return place !== undefined && new RegExp(text).test(place)
    case 'global-name':
      return subject.name === text
    case 'sysctl-name-regex':
      return subject.name !== undefined && new RegExp(text).test(subject.name)
    case 'target':
      return subject.target === first
    case 'remote':
    case 'local':
      if (first === 'unix-socket') return subject.socket !== undefined
      return fitsAddress(textOf(second), subject.ip)
    default:
      throw new Error(`no filter: ${String(kind)}`)
  }
}

function fitsAddress(pattern: string, address: string | undefined): boolean {
  const [host, port] = pattern.split(':')
  const [toHost, toPort] = (address ?? '').split(':')
  return host === toHost && (port === '*' || port === toPort)
}

function textOf(expression: Expression | undefined): string {
  if (typeof expression === 'object' && 'text' in expression) return expression.text
  return ''
}

function read(source: string): Expression[] {
  const stack: Expression[][] = [[]]
  for (let at = 0; at < source.length; ) {
    const rest = source.slice(at)
    const [string] = /^#?"(?:\\[\s\S]|[^\\"])*"/.exec(rest) ?? []
    const [skipped] = /^(?:\s+|;[^\n]*)/.exec(rest) ?? []
    const [word] = /^[^\s()";]+/.exec(rest) ?? []
    const top = stack.at(-1)
    if (top === undefined) throw new Error('a parenthesis too many')
    if (string !== undefined) {
      const raw = string.startsWith('#')
      const inner = string.slice(raw ? 2 : 1, -1)
      top.push({ text: raw ? inner : inner.replaceAll(/\\([\s\S])/g, '$1') })
    } else if (rest.startsWith('(')) stack.push([])
    else if (rest.startsWith(')')) {
      stack.pop()
      stack.at(-1)?.push(top)
    } else if (word !== undefined) top.push(word)
    at += (string ?? skipped ?? (/^[()]/.test(rest) ? '(' : word))?.length ?? Number.NaN
  }
  if (stack.length !== 1) throw new Error('a parenthesis is open')
  return stack[0] ?? []
}
