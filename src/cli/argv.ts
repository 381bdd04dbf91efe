/** What stands before `--`: the rest belongs to somebody else. */
function ours(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end === -1 ? argv : argv.slice(0, end)
}

export function asksForJson(argv: readonly string[]): boolean {
  return ours(argv).includes('--json')
}

/** `help X` and `X -h` are `X --help`, the one form the framework knows. */
export function normalise(argv: readonly string[]): string[] {
  const own = ours(argv)
  const rest = argv.slice(own.length)
  if (own[0] === 'help') return [...own.slice(1), '--help', ...rest]
  return [...own.map((word) => (word === '-h' ? '--help' : word)), ...rest]
}
