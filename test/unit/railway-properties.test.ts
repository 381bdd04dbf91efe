import fc from 'fast-check'
import { parse, print } from 'graphql'
import { describe, expect, it } from 'vitest'
import type { Verdict } from '../../src/core/guard.ts'
import { classifyMessage } from '../../src/providers/railway/guard/channel.ts'
import { classify } from '../../src/providers/railway/guard/classify.ts'
import { withStagedPatch } from '../../src/providers/railway/guard/staged.ts'
import { DANGEROUS } from '../fixtures/railway/dangerous.ts'
import { Dealer, grow, plainly, somehow, type Written } from '../fixtures/railway/grammar.ts'
import { allowed, forwarded, request, send } from '../fixtures/railway/request.ts'

const numbers = fc.array(fc.nat({ max: 9999 }), { minLength: 1, maxLength: 60 })
const tree = numbers.map((each) => grow(new Dealer(each)))
const judge = (written: Written): Verdict => send(written)

/** Everything but the message: which mistake is found first depends on what stands first. */
function decision(verdict: Verdict): unknown {
  return verdict.outcome === 'refused'
    ? 'refused'
    : { operations: verdict.operations, needs: verdict.needs }
}

/** The refusal that stands for an error nobody foresaw. */
function isForeseen(verdict: Verdict): boolean {
  return verdict.outcome === 'classified' || verdict.message !== 'the request cannot be judged'
}

describe('whatever comes', () => {
  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) =>
        isForeseen(classify(request(bytes))),
      ),
      { numRuns: 3000 },
    )
  })

  it('never throws, whatever the JSON', () => {
    const parameter = fc.constantFrom('query', 'variables', 'operationName', 'extensions', 'id')
    const body = fc.dictionary(parameter, fc.jsonValue())
    fc.assert(
      fc.property(body, (value) => isForeseen(classify(request(JSON.stringify(value))))),
      { numRuns: 3000 },
    )
  })

  it('never throws, whatever is done to a document', () => {
    const documents = DANGEROUS.map(({ query }) => query)
    const bits = fc.constantFrom(
      '{',
      '}',
      '...',
      '@',
      '$',
      '"',
      '(',
      ')',
      ':',
      '__proto__',
      '\\u',
      '!',
    )
    const cut = fc.record({ at: fc.nat({ max: 200 }), remove: fc.nat({ max: 8 }), add: bits })
    fc.assert(
      fc.property(fc.constantFrom(...documents), fc.array(cut, { maxLength: 4 }), (text, cuts) => {
        const query = cuts.reduce(
          (each, { at, remove, add }) => each.slice(0, at) + add + each.slice(at + remove),
          text,
        )
        return isForeseen(send({ query })) && isForeseen(withStagedPatchOf(query))
      }),
      { numRuns: 5000 },
    )
  })

  it('never throws, whatever a message says', () => {
    const message = fc.dictionary(fc.constantFrom('id', 'type', 'payload'), fc.jsonValue())
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          message.map((each) => JSON.stringify(each)),
        ),
        (text) => isForeseen(classifyMessage(text)),
      ),
      { numRuns: 2000 },
    )
  })

  it('never throws, whatever path and query an upload has', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.option(fc.string()), (one, two, query) =>
        isForeseen(classify(request('', { path: `/project/${one}/environment/${two}/up`, query }))),
      ),
    )
  })
})

function withStagedPatchOf(query: string): Verdict {
  const verdict = send({ query })
  return verdict.outcome === 'classified' ? withStagedPatch(verdict, {}) : verdict
}

describe('documents out of the catalogue', () => {
  it('are judged alike however they are written', () => {
    fc.assert(
      fc.property(tree, numbers, (grown, style) => {
        const written = somehow(grown, new Dealer(style))
        expect(decision(judge(written))).toEqual(decision(judge(plainly(grown))))
      }),
      { numRuns: 4000 },
    )
  })

  it('are judged and written alike when they come back', () => {
    fc.assert(
      fc.property(tree, numbers, (grown, style) => {
        const first = judge(somehow(grown, new Dealer(style)))
        if (first.outcome === 'refused') return
        const again = allowed(send(forwarded(first) as Written))
        expect(again).toEqual(first)
      }),
      { numRuns: 4000 },
    )
  })

  it('are forwarded as the tree that was judged', () => {
    fc.assert(
      fc.property(tree, numbers, (grown, style) => {
        const written = somehow(grown, new Dealer(style))
        const verdict = judge(written)
        if (verdict.outcome === 'refused') return
        // Fragments may stand in another order; everything else has to be where it was.
        const definitions = (query: string) =>
          parse(query)
            .definitions.map((each) => print(each))
            .sort()
        expect(definitions(forwarded(verdict).query)).toEqual(definitions(written.query))
      }),
      { numRuns: 1500 },
    )
  })

  it('are neither all refused nor all passed: the properties above are about something', () => {
    const outcomes = fc.sample(tree, { numRuns: 600, seed: 7 }).map((each) => judge(plainly(each)))
    const passed = outcomes.filter(({ outcome }) => outcome === 'classified').length
    expect(passed).toBeGreaterThan(150)
    expect(passed).toBeLessThan(590)
  })
})
