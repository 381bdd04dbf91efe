import { describe, expect, test } from 'vitest'
import { table } from '../../src/cli/table.ts'
import { jsonText, type Look, lookOf, PLAIN, paint, visible } from '../../src/cli/terminal.ts'

const TERMINAL: Look = { terminal: true, colour: false, columns: 40 }

describe('text of others', () => {
  const rows = [
    { name: 'an escape sequence', text: '\u001b[2J', shown: '\\u001b[2J' },
    { name: 'an eight-bit escape', text: '\u009b2J', shown: '\\u009b2J' },
    { name: 'a bell and a backspace', text: '\u0007\b', shown: '\\u0007\\u0008' },
    {
      name: 'a line of its own',
      text: 'a\r\nbroker: revoked',
      shown: 'a\\u000d\\u000abroker: revoked',
    },
    { name: 'a tab, which divides fields', text: 'a\tb', shown: 'a\\u0009b' },
    { name: 'a change of direction', text: '\u202egnigats', shown: '\\u202egnigats' },
    { name: 'an isolate', text: '\u2066x\u2069', shown: '\\u2066x\\u2069' },
    { name: 'nothing to be seen', text: 'a\u200bb\ufeff\u00ad', shown: 'a\\u200bb\\ufeff\\u00ad' },
    { name: 'a line separator', text: '\u2028', shown: '\\u2028' },
    { name: 'a tag', text: '\u{e0041}', shown: '\\udb40\\udc41' },
    { name: 'half a character', text: '\ud800', shown: '\\ud800' },
  ]
  test.each(rows)('shows $name as what it is', ({ text, shown }) => {
    expect(visible(text)).toBe(shown)
  })

  test('leaves letters of every script, marks and emoji as they are', () => {
    const text = 'staging-dev ä ß 日本語 العربية é 🚀 \\ "quoted"'
    expect(visible(text)).toBe(text)
  })

  test('in JSON is as harmless, and the same after parsing', () => {
    const value = { name: rows.map(({ text }) => text).join('') }
    const json = jsonText(value)
    expect(visible(json.replaceAll('\n', ''))).toBe(json.replaceAll('\n', ''))
    expect(JSON.parse(json)).toEqual(value)
  })
})

describe('how a stream wants its text', () => {
  test('a pipe gets no colour and no limit, whatever the environment says', () => {
    expect(lookOf({}, { FORCE_COLOR: '1' })).toEqual(PLAIN)
  })

  test('a terminal gets colour, unless NO_COLOR is not empty or it is dumb', () => {
    const terminal = { isTTY: true, columns: 100 }
    expect(lookOf(terminal, {})).toEqual({ terminal: true, colour: true, columns: 100 })
    expect(lookOf(terminal, { NO_COLOR: '' }).colour).toBe(true)
    expect(lookOf(terminal, { NO_COLOR: '1' }).colour).toBe(false)
    expect(lookOf(terminal, { TERM: 'dumb' }).colour).toBe(false)
    expect(paint(PLAIN, 'bad', 'x')).toBe('x')
  })
})

describe('a table', () => {
  const columns = [{ title: 'ID' }, { title: 'COMMAND', least: 7 }]
  const rows = [
    [{ text: 'lse_1' }, { text: 'a\u001b[1mvery long command line that does not fit at all' }],
    [{ text: 'lse_22' }, { text: 'x', style: 'bad' as const }],
  ]

  test('for a pipe is whole, divided by tabs, without a heading', () => {
    expect(table(columns, rows, PLAIN)).toEqual([
      'lse_1\ta\\u001b[1mvery long command line that does not fit at all',
      'lse_22\tx',
    ])
  })

  test('for a terminal is aligned, and cut only where that may be', () => {
    const lines = table(columns, rows, TERMINAL)
    expect(lines).toEqual([
      'ID      COMMAND',
      'lse_1   a\\u001b[1mvery long command lin…',
      'lse_22  x',
    ])
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40)
  })

  test('never cuts what identifies a row, however narrow the terminal', () => {
    const [, first] = table(columns, rows, { ...TERMINAL, columns: 5 })
    expect(first).toContain('lse_1 ')
  })
})
