import { describe, expect, it } from 'vitest'
import { LIMITS } from '../../src/providers/railway/guard/limits.ts'
import { allowed, refused, send } from '../fixtures/railway/request.ts'

const ID = '0b3c8f6e-2f2d-4d56-9a0e-5f8f4b1c0002'

const names = (query: string, variables = {}) =>
  allowed(send({ query, variables })).operations.map(({ name }) => name)

/**
 * A document that comes a second time is judged once below its root fields, and what was found there is used
 * from the third time on. What a variable decides must not be remembered.
 */
describe('the same document again', () => {
  it('is a secret to read when a variable asks for values this time', () => {
    const query = `query Q($id: String!, $show: Boolean) {
      environment(id: $id) { id config(decryptVariables: $show) }
    }`
    for (const show of [false, false, true, false, true]) {
      const found = names(query, { id: ID, show }).includes('Environment.config')
      expect(found).toBe(show)
    }
    expect(names(query, { id: ID })).toContain('Environment.config')
  })

  it('is a secret to read each time, when nothing in it varies', () => {
    const query = `query Q($id: String!) { environment(id: $id) { config } }`
    for (let times = 0; times < 4; times++) {
      expect(names(query, { id: ID })).toContain('Environment.config')
    }
  })

  it('is refused each time, whatever was judged before', () => {
    const query = `query Q($id: String!, $on: Boolean) { environment(id: $id) { id name @include(if: $on) } }`
    for (const on of [true, true]) expect(names(query, { id: ID, on })).toEqual(['environment'])
    for (const on of ['yes', null, 1]) {
      expect(refused(send({ query, variables: { id: ID, on } })).code).toBe('request_malformed')
    }
    expect(names(query, { id: ID, on: false })).toEqual(['environment'])
  })

  it('names the environment of this time', () => {
    const query = `query Q($id: String!) { environment(id: $id) { id name } }`
    for (const id of ['a', 'b', 'a', 'b']) {
      const [operation] = allowed(send({ query, variables: { id } })).operations
      expect(operation?.environments).toEqual([{ from: 'argument', id }])
    }
  })

  it('counts all its selections each time', () => {
    const fragment = `fragment F on Environment { ${'name '.repeat(500)} }`
    const roots = [...Array(41).keys()].map((n) => `a${n}: environment(id: $id) { ...F }`)
    const query = `query Q($id: String!) { ${roots.join(' ')} } ${fragment}`
    for (let times = 0; times < 4; times++) {
      const { code, message } = refused(send({ query, variables: { id: ID } }))
      expect([code, message]).toEqual(['request_too_large', 'the document unfolds too far'])
    }
  })

  it('is nested too deeply each time, where it is the deeper of two places of one field that is', () => {
    const nested = (times: number, inner: string) =>
      '... { '.repeat(times) + inner + ' }'.repeat(times)
    const below = nested(LIMITS.depth - 10, 'id')
    const fragment = `fragment F on Query { environment(id: $id) { ${below} } }`
    const flat = `query Q($id: String!) { ...F } ${fragment}`
    expect(names(flat, { id: ID })).toEqual(['environment'])
    const query = `query Q($id: String!) { ...F ${nested(20, '...F')} } ${fragment}`
    for (let times = 0; times < 4; times++) {
      const { code, message } = refused(send({ query, variables: { id: ID } }))
      expect([code, message]).toEqual([
        'request_too_large',
        'the GraphQL document is nested too deeply',
      ])
    }
  })
})
