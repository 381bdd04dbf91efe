import { writeFileSync } from 'node:fs'

/**
 * Every secret passes through this process, so its memory is shown to nobody: not to a core file
 * and not to a debugger. May be repeated.
 */
export function keepMemoryToOurselves(): void {
  // Without a listener Node answers SIGUSR1 by opening its debugger on a port of 127.0.0.1, to every
  // user of the machine.
  process.on('SIGUSR1', () => {})
  keepOutOfCoreFiles()
}

/**
 * Node cannot forbid core files, but Linux lets a process say what of its memory goes into one
 * (core(5), "Controlling which mappings are written"): nothing does. Others have no such switch.
 */
function keepOutOfCoreFiles(): void {
  if (process.platform !== 'linux') return
  try {
    writeFileSync('/proc/self/coredump_filter', '0')
  } catch {
    // a kernel without it, or a sandbox: whoever runs us decides with the limit on core files
  }
}
