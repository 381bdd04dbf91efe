import { describe, expect, it } from 'vitest'
import { readDetails } from '../../src/core/details.ts'
import { isBrokerError } from '../../src/errors.ts'

const ACTIONS = '"actions" of "api" is a list of operations, with at most 50 globs among them'
const OK = { type: 'broker_grant', identifier: 'api', actions: ['read'] }

function whyNot(text: string): string {
  try {
    readDetails(text)
  } catch (error) {
    if (isBrokerError(error) && error.code === 'details_refused') return error.message
    throw error
  }
  throw new Error('it was accepted')
}

describe('authorization_details', () => {
  const bad: readonly (readonly [text: unknown, why: string])[] = [
    ['', 'they are not JSON'],
    ['[', 'they are not JSON'],
    [
      '[{"type":"broker_grant","identifier":"a","identifier":"b","actions":["x"]}]',
      'they are not JSON',
    ],
    [OK, 'they are a list of one to 64 objects'],
    [[], 'they are a list of one to 64 objects'],
    [
      Array.from({ length: 65 }, (_, n) => ({ ...OK, identifier: `g${n}` })),
      'they are a list of one to 64 objects',
    ],
    [['x'], 'each of them is an object'],
    [[null], 'each of them is an object'],
    [[[OK]], 'each of them is an object'],
    [[{ ...OK, locations: [] }], 'member "locations" is not known'],
    [[{ ...OK, 'a\u001b[31m"b': 1 }], 'member "a?[31m?b" is not known'],
    [[{ ...OK, type: 'payment' }], 'the only type is "broker_grant"'],
    [[{ identifier: 'api', actions: ['read'] }], 'the only type is "broker_grant"'],
    [[{ ...OK, identifier: '' }], '"identifier" is the name of a grant'],
    [[{ ...OK, identifier: 7 }], '"identifier" is the name of a grant'],
    [[{ ...OK, actions: 'read' }], ACTIONS],
    [[{ ...OK, actions: [] }], ACTIONS],
    [[{ ...OK, actions: [7] }], ACTIONS],
    [[{ ...OK, actions: [''] }], ACTIONS],
    [[{ ...OK, actions: Array.from({ length: 51 }, (_, n) => `a${n}*`) }], ACTIONS],
    [[{ type: 'broker_grant', identifier: 'api' }], ACTIONS],
    [[OK, OK], 'grant "api" stands there twice'],
    [`[${' '.repeat(70_000)}]`, 'they are too long'],
  ]
  it.each(bad)('refuses %j', (written, why) => {
    const text = typeof written === 'string' ? written : JSON.stringify(written)
    expect(whyNot(text)).toBe(`the authorization_details are not accepted: ${why}`)
  })

  it('reads a list of grants', () => {
    const other = { ...OK, identifier: 'db', actions: ['read', 'table*'] }
    expect(readDetails(JSON.stringify([OK, other]))).toEqual([OK, other])
  })
})
