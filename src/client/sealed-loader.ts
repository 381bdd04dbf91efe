import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'

declare const __BROKER_TEST_BUILD__: boolean

/** Where program headers lie and how they are made: elf(5), Elf64_Ehdr and Elf64_Phdr. */
const PT_INTERP = 3
const HEAD_BYTES = 4096

/**
 * A copy of the system's program loader that may be run and not read, to start `program` with; undefined
 * where that is no use. Linux lets nobody look into a process that began with a file its user cannot
 * read: no debugger, no `/proc/PID/mem` or `environ`, no core file (ptrace(2), "Ptrace access mode
 * checking"; execve(2)). Made anew each time: it must be of the same build as the C library.
 * Root reads everything, and other systems have other rules. Never throws.
 */
export function sealedLoader(folder: string, program = process.execPath): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() === 0) return undefined
  // The tests look for secrets in the daemon's own environment, which this shuts.
  const wanted = __BROKER_TEST_BUILD__ ? process.env['BROKER_TEST_LOADER'] : 'sealed'
  if (wanted !== 'sealed') return wanted
  const path = join(folder, 'daemon-loader')
  const made = `${path}.${process.pid}`
  try {
    const loader = interpreterOf(program)
    if (loader === undefined) return undefined
    copyFileSync(loader, made, constants.COPYFILE_EXCL)
    chmodSync(made, 0o100)
    renameSync(made, path)
    accessSync(path, constants.X_OK) // a file system may forbid to run anything
    return path
  } catch {
    rmSync(made, { force: true })
    return undefined
  }
}

/** The loader that a program names (PT_INTERP); undefined for one that is not 64-bit little-endian ELF. */
function interpreterOf(program: string): string | undefined {
  const head = Buffer.alloc(HEAD_BYTES)
  const fd = openSync(program, 'r')
  try {
    readSync(fd, head, 0, HEAD_BYTES, 0)
  } finally {
    closeSync(fd)
  }
  if (head.readUInt32BE(0) !== 0x7f454c46 || head[4] !== 2 || head[5] !== 1) return undefined
  const [first, size, count] = [
    Number(head.readBigUInt64LE(32)),
    head.readUInt16LE(54),
    head.readUInt16LE(56),
  ]
  for (let at = first; at < first + size * count; at += size) {
    if (head.readUInt32LE(at) !== PT_INTERP) continue
    const from = Number(head.readBigUInt64LE(at + 8))
    const length = Number(head.readBigUInt64LE(at + 32))
    const name = head.toString('latin1', from, from + length - 1)
    return name.startsWith('/') ? name : undefined
  }
  return undefined
}
