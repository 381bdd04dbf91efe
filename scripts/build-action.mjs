// Bundles the GitHub Action into action/dist, which is committed: GitHub runs what stands in the
// repository. `--check` writes nothing and fails when a file there is not what the sources make.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const out = join(root, 'action/dist')

export async function bundleAction() {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: { main: 'action/src/main.ts', post: 'action/src/post.ts' },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // Read by those who review what runs in their jobs.
    minify: false,
    banner: { js: '// Made from action/src and src/ci by scripts/build-action.mjs.' },
    write: false,
    metafile: true,
    logLevel: 'warning',
  })
  const foreign = Object.keys(metafile.inputs).filter((path) => path.includes('node_modules/'))
  if (foreign.length > 0) throw new Error(`the action would hold code of others: ${foreign[0]}`)
  return outputFiles.map(({ path, text }) => ({ path, text }))
}

const files = await bundleAction()
if (process.argv.includes('--check')) {
  const stale = files.filter(
    ({ path, text }) => !existsSync(path) || readFileSync(path, 'utf8') !== text,
  )
  if (stale.length > 0) {
    console.error('action: action/dist is stale: run node scripts/build-action.mjs')
    process.exit(1)
  }
} else {
  mkdirSync(out, { recursive: true })
  for (const { path, text } of files) writeFileSync(path, text)
}
