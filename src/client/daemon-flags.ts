/** What Node is told when the daemon is started with it: options that every Node from 24 on knows (tried: 24, 25, 26). */
export const DAEMON_FLAGS: readonly string[] = [
  // Otherwise SIGUSR1 opens a debugger to every user of the machine until the daemon says no.
  '--disable-sigusr1',
  // MiB. By itself V8 lets the part where objects begin grow to 64, twice (decision 0033).
  '--max-semi-space-size=8',
]
