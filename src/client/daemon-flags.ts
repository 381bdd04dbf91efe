/** Versions of Node of which it was tried: an option that V8 does not know ends Node at once. */
const TRIED = [24, 25, 26]

/**
 * What Node is told when the daemon is started with it. `version`: of that Node.
 *
 * The two about memory are for a proxy that is idle most of the time (decision 0033). By itself V8 lets the
 * young objects' part grow to 128 MB, and eight seconds after the last request throws away, with the memory
 * that it returns, all code that was compiled for objects of which none is left: whoever asks next waits for
 * that code to be made again.
 */
export function daemonFlags(version: string): readonly string[] {
  const tried = TRIED.includes(Number(version.split('.')[0]))
  return [
    // Otherwise SIGUSR1 opens a debugger to every user of the machine until the daemon says no.
    '--disable-sigusr1',
    '--max-semi-space-size=16', // MiB
    ...(tried ? ['--gc-memory-reducer-start-delay-ms=300000'] : []),
  ]
}
