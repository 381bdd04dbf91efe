type Variables = Readonly<Record<string, string | undefined>>

/** Providers of models, as agents that know several of them call them; each with its variables and its host. */
const PROVIDERS: Readonly<Record<string, { readonly keys: readonly string[]; host: string }>> = {
  anthropic: { keys: ['ANTHROPIC_API_KEY'], host: 'api.anthropic.com' },
  openai: { keys: ['OPENAI_API_KEY'], host: 'api.openai.com' },
  gemini: {
    keys: ['GEMINI_API_KEY', 'GOOGLE_GENERATIVE_AI_API_KEY'],
    host: 'generativelanguage.googleapis.com',
  },
  openrouter: { keys: ['OPENROUTER_API_KEY'], host: 'openrouter.ai' },
  deepseek: { keys: ['DEEPSEEK_API_KEY'], host: 'api.deepseek.com' },
  mistral: { keys: ['MISTRAL_API_KEY'], host: 'api.mistral.ai' },
  groq: { keys: ['GROQ_API_KEY'], host: 'api.groq.com' },
  xai: { keys: ['XAI_API_KEY'], host: 'api.x.ai' },
}

/** Other words for the same, and beginnings of models' names. */
const CALLED: readonly (readonly [RegExp, string])[] = [
  [/^(?:claude|sonnet|opus|haiku)/, 'anthropic'],
  [/^(?:gpt|o[1-9]|chatgpt)/, 'openai'],
  [/^(?:google|flash)/, 'gemini'],
  [/^grok/, 'xai'],
]

export interface ModelKey {
  readonly names: readonly string[]
  readonly hosts: readonly string[]
  /** Keys that are there and not known to be the one in use. */
  readonly undecided: readonly string[]
}

/**
 * Which of the models' keys a task of such an agent is given: that of the provider named with its model, or
 * the only one there is. Of several, and no word which, none: one login is what an agent needs. Pure.
 */
export function modelKey(args: readonly string[], environment: Variables): ModelKey {
  const there = (keys: readonly string[]) => keys.filter((key) => environment[key] !== undefined)
  const chosen = providerOf(modelIn(args) ?? environment['AIDER_MODEL'])
  const present = Object.entries(PROVIDERS).filter(([, { keys }]) => there(keys).length > 0)
  const only = present.length === 1 ? present[0]?.[0] : undefined
  const provider = PROVIDERS[chosen ?? only ?? '']
  if (provider === undefined) {
    return { names: [], hosts: [], undecided: present.flatMap(([, { keys }]) => there(keys)) }
  }
  return { names: there(provider.keys), hosts: [provider.host], undecided: [] }
}

/** `--model NAME`, `--model=NAME`, `-m NAME`: the last one counts. */
function modelIn(args: readonly string[]): string | undefined {
  const values = args.map((argument, index) => {
    if (argument === '--model' || argument === '-m') return args[index + 1]
    return /^--model=(.+)$/s.exec(argument)?.[1]
  })
  return values.findLast((value) => value !== undefined)
}

function providerOf(model: string | undefined): string | undefined {
  if (model === undefined) return undefined
  const first = model.toLowerCase().split('/')[0] ?? ''
  if (Object.hasOwn(PROVIDERS, first)) return first
  return CALLED.find(([pattern]) => pattern.test(first))?.[1] ?? 'unknown'
}
