// Writes oclif.manifest.json from dist/commands with the framework's own loader, so that at run
// time one file tells it every command and only the wanted one is loaded. `--check` writes nothing
// and fails when the file is stale. Needs a build: node scripts/build.mjs
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Plugin, settings } from '@oclif/core'

const root = join(import.meta.dirname, '..')
const target = join(root, 'oclif.manifest.json')

export async function manifestText(packageRoot) {
  settings.tsnodeEnabled = false
  const plugin = new Plugin({
    root: packageRoot,
    isRoot: true,
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
  })
  await plugin.load()
  // The commands come in the order of the disk. Within one the order is the author's: arguments
  // have one that matters.
  const { commands, version } = plugin.manifest
  const sorted = Object.entries(commands).sort(([a], [b]) => (a < b ? -1 : 1))
  return `${JSON.stringify({ commands: Object.fromEntries(sorted), version }, null, 2)}\n`
}

if (import.meta.filename === process.argv[1]) {
  if (!existsSync(join(root, 'dist/commands'))) {
    console.error('manifest: dist/commands is missing: run node scripts/build.mjs first')
    process.exit(1)
  }
  const text = await manifestText(root)
  if (!process.argv.includes('--check')) {
    writeFileSync(target, text)
  } else if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
    console.error('manifest: oclif.manifest.json is stale: run npm run manifest')
    process.exit(1)
  }
}
