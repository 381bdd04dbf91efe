// Bundles the product. `--test` makes dist-test/, a whole package of its own whose code honours the
// crash points of src/lib/fault.ts; a release build does not contain them.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { noticesFor } from './notices.mjs'

const root = join(import.meta.dirname, '..')
const version = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version

function sources(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
}

export async function bundle({ test, outdir }) {
  rmSync(outdir, { recursive: true, force: true })
  const common = {
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    target: 'node24',
    sourcemap: false,
    legalComments: 'none',
    minifySyntax: true,
    external: ['keytar', 'pg-native'],
    define: {
      __BROKER_TEST_BUILD__: String(test),
      // No optional native modules: what the bundle needs is in the bundle.
      'process.env.WS_NO_BUFFER_UTIL': '"1"',
      'process.env.WS_NO_UTF_8_VALIDATE': '"1"',
      __BROKER_VERSION__: JSON.stringify(version),
    },
    logLevel: 'warning',
    metafile: true,
  }
  // `exec` is its own small CommonJS file: an ES module that imports node:http pays 40 ms for it. What
  // few runs need stands in a second one: even code that is not used is read, and costs.
  const APART = ['rare', 'proxied', 'agents', 'isolated', 'remote']
  const apart = {
    name: 'exec-apart',
    setup: ({ onResolve }) =>
      onResolve({ filter: new RegExp(`^\\./(?:${APART.join('|')})\\.ts$`) }, ({ path }) => ({
        path: `./exec-${path.slice(2, -3)}.cjs`,
        external: true,
      })),
  }
  // `import` of one of them would load what Node has for ES modules first.
  const cjs = {
    ...common,
    format: 'cjs',
    minify: true,
    supported: { 'dynamic-import': false },
  }
  const exec = await build({
    ...cjs,
    entryPoints: [join(root, 'src/exec/main.ts')],
    outfile: join(outdir, 'exec.cjs'),
    plugins: [apart],
  })
  const execApart = await Promise.all(
    APART.map((name) =>
      build({
        ...cjs,
        entryPoints: [join(root, `src/exec/${name}.ts`)],
        outfile: join(outdir, `exec-${name}.cjs`),
        plugins: [apart],
      }),
    ),
  )
  // What runs first inside an isolated task: alone in its file, which is all that the task gets of us.
  const inside = await build({
    ...cjs,
    entryPoints: [join(root, 'src/launch/isolate/inside.ts')],
    outfile: join(outdir, 'inside.cjs'),
  })
  const rest = await build({
    ...common,
    entryPoints: [
      join(root, 'src/cli/main.ts'),
      join(root, 'src/daemon/main.ts'),
      join(root, 'src/store/recorder-thread.ts'),
      ...sources(join(root, 'src/commands')),
    ].filter(existsSync),
    outbase: join(root, 'src'),
    outdir,
    format: 'esm',
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  })
  const notices = noticesFor(
    root,
    [exec, ...execApart, inside, rest].map(({ metafile }) => metafile),
  )
  writeFileSync(join(outdir, 'THIRD-PARTY-NOTICES.txt'), notices)
}

if (process.argv.includes('--test')) {
  // A package root of its own, so that nothing in the release code has to know of tests.
  const out = join(root, 'dist-test')
  await bundle({ test: true, outdir: join(out, 'dist') })
  mkdirSync(join(out, 'bin'), { recursive: true })
  cpSync(join(root, 'bin/run.js'), join(out, 'bin/run.js'))
  cpSync(join(root, 'oclif.manifest.json'), join(out, 'oclif.manifest.json'))
  writeFileSync(join(out, 'package.json'), readFileSync(join(root, 'package.json')))
} else {
  await bundle({ test: false, outdir: join(root, 'dist') })
}
