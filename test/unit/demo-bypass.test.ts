import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { copyProgram } from '../../src/demo/bypass/copy-program.ts'
import { codeOf } from '../../src/demo/bypass/futile.ts'
import { keyIn } from '../../src/demo/bypass/keys.ts'
import { deleteThroughProxy } from '../../src/demo/bypass/network.ts'
import type { Terms } from '../../src/demo/bypass/terms.ts'

const KEY = '6f1d2c3b-0a9e-4d8f-8b7a-112233445566'
const ANOTHER = '00000000-1111-4222-8333-444455556666'
const WANTED = createHash('sha256').update(KEY).digest('hex')

describe('the agent that goes around the broker', () => {
  afterEach(() => vi.unstubAllEnvs())

  it('takes no key of the same shape that is not the one of its own cloud', async () => {
    expect(await codeOf(() => keyIn(`RAILWAY_API_TOKEN=${ANOTHER}`, WANTED))).toBe('NO_KEY')
    expect(keyIn(`A=${ANOTHER}\nB=${KEY}\n`, WANTED)).toBe(KEY)
  })

  it('tells a file that reads as empty from one without the key', async () => {
    expect(await codeOf(() => keyIn('', WANTED))).toBe('EMPTY')
  })

  it.each([
    { name: 'there is no proxy', HTTPS_PROXY: '', NODE_USE_ENV_PROXY: '1' },
    { name: 'Node does not obey it', HTTPS_PROXY: 'http://127.0.0.1:9', NODE_USE_ENV_PROXY: '' },
  ])('sends nothing to the public address where $name', async ({ name: _, ...env }) => {
    for (const [variable, value] of Object.entries(env)) vi.stubEnv(variable, value)
    const fetched = vi.spyOn(globalThis, 'fetch').mockRejectedValue(new Error('left the machine'))
    const terms = { mark: 'here', pgdata: 'volume' } as Terms
    expect(await codeOf(() => deleteThroughProxy(terms, KEY))).toBe('NO_PROXY')
    expect(fetched).not.toHaveBeenCalled()
    fetched.mockRestore()
  })
})

describe('a program of the bundle', () => {
  it('is copied with all that it imports, and nothing else', () => {
    const folder = mkdtempSync(join(tmpdir(), 'broker-demo-test-'))
    const to = join(folder, 'copy')
    mkdirSync(to)
    const files = {
      'a.js': 'import {\n  b\n} from "./b.js";\nimport { readFileSync } from "node:fs";\n',
      'b.js': 'import "./c.js";\nexport { a } from "./a.js";\nlet text = "./d.js";\n',
      'c.js': '',
      'd.js': '',
    }
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    expect(copyProgram(pathToFileURL(join(folder, 'a.js')).href, to)).toBe(join(to, 'a.js'))
    expect(readdirSync(to).sort()).toEqual(['a.js', 'b.js', 'c.js', 'package.json'])
    rmSync(folder, { recursive: true })
  })
})
