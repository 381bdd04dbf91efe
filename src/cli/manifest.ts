import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What errors and help need to know of a command, as oclif.manifest.json holds it. */
export interface ManifestCommand {
  readonly id: string
  readonly summary?: string
  readonly flags: Readonly<Record<string, { readonly name: string; readonly char?: string }>>
  readonly args: Readonly<Record<string, { readonly name: string; readonly required?: boolean }>>
}

export type Manifest = Readonly<Record<string, ManifestCommand>>

/** Read on error paths only. Empty when there is none: suggestions are a courtesy. */
export function readManifest(packageRoot: string): Manifest {
  try {
    const text = readFileSync(join(packageRoot, 'oclif.manifest.json'), 'utf8')
    return (JSON.parse(text) as { commands: Manifest }).commands
  } catch {
    return {}
  }
}

/** The command that `argv` names, by its longest fitting id (`template check`). */
export function commandOf(
  argv: readonly string[],
  manifest: Manifest,
): ManifestCommand | undefined {
  for (let words = Math.min(argv.length, 3); words > 0; words--) {
    const id = argv.slice(0, words).join(':')
    if (Object.hasOwn(manifest, id)) return manifest[id]
  }
  return undefined
}
