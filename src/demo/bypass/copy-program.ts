import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** As the bundler writes them: beside the file, in double quotes. */
const BESIDE = /^(?:import|export)\b[^"]*"\.\/([^"/]+)"/gm

/**
 * Copies a bundled program, with what it imports, into a folder of its own, where it runs on its own.
 * Returns its path there.
 */
export function copyProgram(url: string, to: string): string {
  const from = fileURLToPath(url)
  const names = [basename(from)]
  // Grows while it is walked through.
  for (const name of names) {
    const path = join(dirname(from), name)
    cpSync(path, join(to, name))
    for (const [, beside = ''] of readFileSync(path, 'utf8').matchAll(BESIDE)) {
      if (!names.includes(beside)) names.push(beside)
    }
  }
  writeFileSync(join(to, 'package.json'), '{ "type": "module" }\n')
  return join(to, basename(from))
}
