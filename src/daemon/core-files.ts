import { writeFileSync } from 'node:fs'

/**
 * A core file would hold every secret that ever passed through this process. Node cannot forbid
 * one, but Linux lets a process say what of its memory goes into it (core(5), "Controlling which
 * mappings are written"): nothing does. Other systems have no such switch. May be repeated.
 */
export function keepMemoryOutOfCoreFiles(): void {
  if (process.platform !== 'linux') return
  try {
    writeFileSync('/proc/self/coredump_filter', '0')
  } catch {
    // a kernel without it, or a sandbox: whoever runs us decides with the limit on core files
  }
}
