import standing from './standing-credentials.json' with { type: 'json' }

let compiled: ((text: string) => string | undefined) | undefined

/** What kind of credential a text looks like or holds. Linear in the length of the text. */
export function valueShape(text: string): string | undefined {
  compiled ??= compile()
  return compiled(text)
}

/**
 * Every pattern is bounded on purpose: none repeats without a limit before something it must find,
 * so a value made to be slow costs a constant factor, not a square.
 */
function compile(): (text: string) => string | undefined {
  const shapes = Object.entries(standing.valuePatterns)
  // Every pattern needs one of these. Mostly there is none, and the big one is never compiled.
  const hint = new RegExp(standing.valueHint)
  let any: RegExp | undefined
  return (text) => {
    if (!hint.test(text)) return undefined
    any ??= new RegExp(shapes.map(([, pattern]) => pattern).join('|'))
    if (!any.test(text)) return undefined
    return shapes.find(([, pattern]) => new RegExp(pattern).test(text))?.[0]
  }
}
