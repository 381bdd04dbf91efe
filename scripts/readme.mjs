// Writes the command table of README.md, between its two markers, from oclif.manifest.json.
// `--check` writes nothing and fails when the table is stale.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const BEGIN = '<!-- commands -->'
const END = '<!-- commandsstop -->'

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

function usage({ id, usage, args, flags }) {
  if (usage) return [usage].flat()[0]
  const words = Object.values(args).map(({ name, required, multiple }) => {
    const shown = name.toUpperCase() + (multiple ? '...' : '')
    return required ? shown : `[${shown}]`
  })
  const last = (flag) => (flag.name === 'json' ? 1 : 0)
  const ordered = Object.values(flags).sort((a, b) => last(a) - last(b))
  const options = ordered.map((flag) => {
    const value = flag.type === 'option' ? ` ${flag.helpValue ?? flag.name.toUpperCase()}` : ''
    const shown = `--${flag.name}${value}`
    return flag.required ? shown : `[${shown}]${flag.multiple ? '...' : ''}`
  })
  return [id.replaceAll(':', ' '), ...words, ...options].join(' ')
}

export function withTable(readme, manifest) {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin === -1 || end < begin) throw new Error(`README.md needs the lines ${BEGIN} and ${END}`)
  const rows = Object.values(manifest.commands)
    .filter(({ hidden }) => !hidden)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((command) => `| \`broker ${cell(usage(command))}\` | ${cell(command.summary)} |`)
  const table = ['| command | what it does |', '|---|---|', ...rows].join('\n')
  return `${readme.slice(0, begin)}${BEGIN}\n${table}\n${readme.slice(end)}`
}

if (import.meta.filename === process.argv[1]) {
  const root = join(import.meta.dirname, '..')
  const file = join(root, 'README.md')
  const manifest = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8'))
  const old = existsSync(file) ? readFileSync(file, 'utf8') : `${BEGIN}\n${END}\n`
  const text = withTable(old, manifest)
  if (!process.argv.includes('--check')) {
    writeFileSync(file, text)
  } else if (!existsSync(file) || old !== text) {
    console.error('readme: the command table is stale: run node scripts/readme.mjs')
    process.exit(1)
  }
}
