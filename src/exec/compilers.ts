/** Where V8 has both of its optimizing compilers: the names of what is not there it would complain of. */
const HAS_BOTH = process.arch === 'x64' || process.arch === 'arm64'

/**
 * The plan of the walls is a few milliseconds of work that is done once. By the time V8's optimizing compilers,
 * in threads of their own, have made something of it, it is over, and the processor was wanted for the walls.
 * Not sooner than it has to be: until `resumeOptimizing` Node's own modules are compiled anew where they are
 * loaded for the first time, because what is kept of them was made under other flags. Both may be repeated.
 */
export function stopOptimizing(): void {
  set('--no-opt', '--no-maglev')
}

export function resumeOptimizing(): void {
  set('--opt', '--maglev')
}

function set(...flags: readonly string[]): void {
  if (!HAS_BOTH) return
  const { setFlagsFromString } = process.getBuiltinModule('node:v8')
  for (const flag of flags) setFlagsFromString(flag)
}
