import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson, type Json } from '../../src/lib/json.ts'
import { readStrictJson } from '../../src/lib/strict-json.ts'

const LIMITS = { bytes: 1000, depth: 8 }
const read = (text: string | Uint8Array) => readStrictJson(Buffer.from(text), LIMITS)

const REFUSED: readonly (readonly [name: string, text: string | Uint8Array, message: string])[] = [
  ['nothing', '', 'the request body is not valid JSON'],
  ['half an object', '{"a":1', 'the request body is not valid JSON'],
  ['a comment', '{"a":1}//', 'the request body is not valid JSON'],
  ['a byte order mark', '\ufeff{}', 'the request body is not valid JSON'],
  [
    'bytes that are not UTF-8',
    Uint8Array.of(0x22, 0xc0, 0xaf, 0x22),
    'the request body is not valid UTF-8',
  ],
  ['a key twice', '{"a":1,"a":2}', 'a key stands twice in one JSON object'],
  ['a key twice, once escaped', '{"a":1,"\\u0061":2}', 'a key stands twice in one JSON object'],
  [
    'a key twice deep inside',
    '[{"x":{"a":1,"b":[],"a":2}}]',
    'a key stands twice in one JSON object',
  ],
  ['the prototype twice', '{"__proto__":1,"__proto__":2}', 'a key stands twice in one JSON object'],
  ['nine levels', '[[[[[[[[[]]]]]]]]]', 'the request body is nested too deeply'],
  ['too many bytes', `"${'a'.repeat(1000)}"`, 'the request body is too large'],
  ['a number beyond all bounds', '1e400', 'a number is too large'],
  ['an id of 64 bits', '[9007199254740993]', 'a number has more digits than can be kept'],
  [
    'an id of 64 bits with an exponent',
    '9007199254740993e0',
    'a number has more digits than can be kept',
  ],
  [
    'a fraction that would be cut',
    '0.1234567890123456789',
    'a number has more digits than can be kept',
  ],
  ['a number that would become zero', '1e-400', 'a number has more digits than can be kept'],
]

const ACCEPTED: readonly (readonly [text: string, again: string])[] = [
  ['{"a":{"b":1},"c":{"b":2}}', '{"a":{"b":1},"c":{"b":2}}'],
  ['{"a":"\\"a\\":1","b":"{"}', '{"a":"\\"a\\":1","b":"{"}'],
  ['[1.0, 1e2, -0, 0.10, 100e-2, 1E+2]', '[1,100,0,0.1,1,100]'],
  [
    '[9007199254740991, 0.30000000000000004, 1e300, 5e-324]',
    '[9007199254740991,0.30000000000000004,1e+300,5e-324]',
  ],
  ['[[[[[[[[]]]]]]]]', '[[[[[[[[]]]]]]]]'],
  ['{"__proto__":{"a":1}}', '{"__proto__":{"a":1}}'],
]

describe('JSON that is judged here and run elsewhere', () => {
  it.each(REFUSED)('is refused with %s', (_name, text, message) => {
    expect(() => read(text)).toThrowError(message)
  })

  it.each(ACCEPTED)('is written again as the same value: %s', (text, again) => {
    expect(canonicalJson(read(text))).toBe(again)
  })

  it('is accepted whatever it holds, in the form any client writes', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        const value = JSON.parse(text) as Json
        fc.pre(Buffer.byteLength(text) <= LIMITS.bytes)
        expect(read(text)).toEqual(value)
      }),
      { numRuns: 2000 },
    )
  })
})
