#!/usr/bin/env node
// Starts the broker. This file must parse on any Node that reads ES modules, so that an old one
// gets the sentence below and not a stack trace; nothing here may be imported statically.
const wanted = 24
if (Number(process.versions.node.split('.')[0]) < wanted) {
  process.stderr.write(
    `broker: needs Node.js ${wanted} or newer, this is ${process.versions.node} (${process.execPath})\n` +
      `hint: install Node.js ${wanted} (the current LTS) and put it first in PATH\n`,
  )
  process.exit(process.argv[2] === 'exec' ? 125 : 1)
}

const { createRequire, enableCompileCache } = process.getBuiltinModule('node:module')
const hot = createRequire(import.meta.url)('../dist/exec.cjs')

if (process.argv[2] === 'exec') {
  hot.main(process.argv.slice(3))
} else {
  // `broker tokens | head -1`: a reader that has seen enough is not an error.
  process.stdout.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  const cache = hot.compileCacheFolder(process.env)
  if (cache) enableCompileCache(cache)
  import('../dist/cli/main.js').then((cli) => cli.main(import.meta.url))
}
