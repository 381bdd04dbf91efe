import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const LICENCE = /^(licen[cs]e|copying|notice)(\.|-|$)/i

/**
 * The licences of everything that was bundled, from what the bundler says it took. Throws for a
 * package without a licence file and without a licence field: such code is not ours to ship.
 */
export function noticesFor(root, metafiles) {
  const folders = new Set()
  for (const { inputs } of metafiles) {
    for (const path of Object.keys(inputs)) {
      const at = path.lastIndexOf('node_modules/')
      if (at < 0) continue
      const [first, second] = path.slice(at + 'node_modules/'.length).split('/')
      const name = first.startsWith('@') ? `${first}/${second}` : first
      folders.add(join(path.slice(0, at), 'node_modules', name))
    }
  }
  const parts = [...folders].map((folder) => notice(join(root, folder))).sort()
  return [...new Set(parts)].join(`\n${'-'.repeat(78)}\n\n`)
}

function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => LICENCE.test(file)) : []
  if (files.length === 0 && !license) throw new Error(`${name} names no licence`)
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').trim())
  return `${name} ${version} (${license ?? 'see below'})\n\n${texts.join('\n\n')}\n`
}
