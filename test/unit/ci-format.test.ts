import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Format, formatCredentials } from '../../src/ci/format.ts'
import { maskLines, secretValues } from '../../src/ci/masks.ts'
import { Secret } from '../../src/lib/secret.ts'
import { leaseView } from '../fixtures/ci-broker.ts'

type TextFormat = Exclude<Format, 'github'>

const text = (format: TextFormat, variables: Record<string, string>) =>
  formatCredentials(format, { lease: leaseView(), variables: new Secret(variables) }).reveal()

const refusal = (format: TextFormat, variables: Record<string, string>) => {
  try {
    return text(format, variables)
  } catch (error) {
    return error
  }
}

/** What somebody might find in a password. */
const HOSTILE: Readonly<Record<string, string>> = {
  quote: "it's",
  quotes: `'"\`"'`,
  dollar: `$HOME \${HOME} $(id) $$`,
  backtick: '`id`',
  percent: '100%0A%25',
  backslash: 'a\\b\\',
  backslashes: 'a\\\\b',
  hash: '# not a comment',
  equals: '=a=b=',
  spaces: '  both ends  ',
  lines: 'one\ntwo\n\nfour\n',
  return: 'one\r\ntwo\r',
  exclamation: '!!',
  semicolon: '; rm -rf /',
  command: '::set-env name=X::y',
  heredoc: 'EOF\nX=1\nEOF',
  unicode: 'žluťoučký 🐎 \u2028',
  tilde: '~root',
  glob: '* [a] ?',
  empty: '',
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ci-format-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('what no environment can hold', () => {
  const formats = ['env', 'shell', 'json', 'dotenv', 'gitlab'] as const
  it.each(formats)('is refused in %s, without a word of it', (format) => {
    for (const value of ['canary\0', 'canary\ud800']) {
      expect(refusal(format, { FINE: 'x', DEPLOY_KEY: value })).toMatchObject({
        code: 'unsupported',
        message: 'the value of "DEPLOY_KEY" cannot stand in a variable as it is',
      })
    }
    for (const name of ['A B', 'A=B', '', '1A', 'A;id', 'A\nB', '$(id)']) {
      expect(refusal(format, { [name]: 'canary' })).toMatchObject({
        code: 'unsupported',
        message: `${JSON.stringify(name)} is not the name of a variable`,
      })
    }
  })
})

describe('env', () => {
  it.each(['lines', 'return'])('refuses a value of several lines (%s)', (name) => {
    expect(refusal('env', { KEY: HOSTILE[name] ?? '' })).toMatchObject({
      code: 'unsupported',
      message: 'the value of "KEY" cannot stand in one line as it is',
      hint: 'use another format, such as --format shell',
    })
  })

  it('is the name and the value, to the end of the line', () => {
    expect(text('env', { A: `it's "$HOME" #`, B: '' })).toBe(`A=it's "$HOME" #\nB=\n`)
  })
})

describe.skipIf(process.platform === 'win32')('shell', () => {
  const shells = ['sh', 'bash', 'dash'].filter((shell) => {
    try {
      execFileSync(shell, ['-c', ':'])
      return true
    } catch {
      return false
    }
  })
  const read = (shell: string, script: string) => {
    const file = join(folder, 'script')
    writeFileSync(file, script)
    const print = `. '${file}'; exec '${process.execPath}' -e 'process.stdout.write(JSON.stringify(process.env))'`
    return JSON.parse(execFileSync(shell, ['-c', print], { encoding: 'utf8' }))
  }

  it.each(shells)('gives %s every value as it is, and runs none', (shell) => {
    expect(read(shell, text('shell', { ...HOSTILE }))).toMatchObject(HOSTILE)
  })

  it('survives eval as well', () => {
    const script = text('shell', { ...HOSTILE })
    const eval_ = `eval "$SCRIPT"; exec '${process.execPath}' -e 'process.stdout.write(JSON.stringify(process.env))'`
    const out = execFileSync('sh', ['-c', eval_], { encoding: 'utf8', env: { SCRIPT: script } })
    expect(JSON.parse(out)).toMatchObject(HOSTILE)
  })
})

describe('json', () => {
  it('holds the lease and the variables', () => {
    const read = JSON.parse(text('json', { ...HOSTILE }))
    expect(read).toEqual({ lease: leaseView(), variables: HOSTILE })
  })
})

describe('dotenv', () => {
  /** Taken, and read back as it is, or refused by name. */
  const holds = (value: string, read: (file: string) => string | undefined) => {
    const written = refusal('dotenv', { VALUE: value })
    if (typeof written !== 'string') return 'refused'
    expect(read(`FIRST=1\n${written}LAST='x'\n`)).toBe(value)
    return 'taken'
  }
  const node = (file: string) => {
    const { FIRST, LAST, VALUE } = parseEnv(file)
    expect([FIRST, LAST]).toEqual(['1', 'x'])
    return VALUE
  }

  it('refuses what its readers read differently', () => {
    for (const value of ['a\r\nb', `'"`, 'a\\\\b', 'end\\', `\${HOME}`, `it's $5`, `it's\n`]) {
      expect(refusal('dotenv', { KEY: value })).toMatchObject({
        code: 'unsupported',
        message: 'the value of "KEY" cannot stand in a .env file as it is',
        hint: 'use another format, such as --format shell',
      })
    }
  })

  it('reads back as it is', () => {
    const taken = Object.keys(HOSTILE).filter(
      (name) => holds(HOSTILE[name] ?? '', node) === 'taken',
    )
    expect(taken).toEqual([
      'quote',
      'backtick',
      'percent',
      'hash',
      'equals',
      'spaces',
      'lines',
      'exclamation',
      'semicolon',
      'command',
      'heredoc',
      'unicode',
      'tilde',
      'glob',
      'empty',
    ])
  })

  it('reads back as it is whatever the value', () => {
    const characters = fc.constantFrom(...`ab1 '"\\$\`\n#=%{}!~;\t`.split(''))
    const value = fc.oneof(fc.string({ unit: characters }), fc.string({ unit: 'grapheme' }))
    fc.assert(
      fc.property(value, (one) => void holds(one, node)),
      { numRuns: 2000 },
    )
  })

  it.skipIf(process.platform === 'win32')('reads back as it is in a shell', () => {
    for (const value of Object.values(HOSTILE)) {
      holds(value, (file) => {
        const path = join(folder, 'dotenv')
        writeFileSync(path, file)
        return execFileSync('sh', ['-c', `. '${path}'; printf %s "$VALUE"`], { encoding: 'utf8' })
      })
    }
  })
})

describe('gitlab', () => {
  it.each([['lines'], ['return'], ['dollar'], ['spaces']])(
    'refuses what GitLab would change (%s)',
    (name) => {
      expect(refusal('gitlab', { KEY: HOSTILE[name] ?? '' })).toMatchObject({
        code: 'unsupported',
        message: 'the value of "KEY" cannot stand in a dotenv report of GitLab as it is',
      })
    },
  )

  it('refuses more than GitLab takes', () => {
    const many = Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`A${at}`, 'x']))
    expect(refusal('gitlab', many)).toMatchObject({
      code: 'unsupported',
      message:
        'GitLab does not take this lease as a dotenv report: 21 variables, and 20 are allowed',
    })
    expect(refusal('gitlab', { A: 'ž'.repeat(2600) })).toMatchObject({
      message: 'GitLab does not take this lease as a dotenv report: more than 5120 bytes',
    })
  })

  it('has no quotes, no comments and no empty lines', () => {
    expect(text('gitlab', { A: `it's "x" # \\`, B: '' })).toBe(`A=it's "x" # \\\nB=\n`)
  })
})

describe('masks', () => {
  it('stand for each secret and each of its lines, escaped for the runner', () => {
    expect(maskLines(['100%\nsecond\r\n}\n\nx'])).toBe(
      '::add-mask::100%25%0Asecond%0D%0A}%0A%0Ax\n::add-mask::100%25\n::add-mask::second\n',
    )
  })

  it('leave no line that the runner would take for something else', () => {
    const hostile = ['\n::stop-commands::x', '::add-mask::y', 'a\r::error::z']
    for (const line of maskLines(hostile).trimEnd().split('\n')) {
      expect(line.startsWith('::add-mask::')).toBe(true)
      expect(line).not.toContain('\r')
    }
  })

  it('cover every value but those that say where', () => {
    const variables = {
      BROKER_LEASE: 'lse_x',
      PGHOST: 'db.example',
      PGPASSWORD: 'p/w',
      DATABASE_URL: 'postgres://u:p%2Fw@db.example/x',
      UNKNOWN: 'short',
      EMPTY: '',
    }
    expect(secretValues(new Secret(variables)).reveal()).toEqual([
      'p/w',
      'postgres://u:p%2Fw@db.example/x',
      'p%2Fw',
      'short',
    ])
  })
})
