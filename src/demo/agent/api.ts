import type { Answer } from './told.ts'

/** What Railway's clients call, unless the environment names another place. */
const PUBLIC = 'https://backboard.railway.com'

export type Credential = { readonly own: string } | { readonly account: string }

export interface Document {
  readonly query: string
  readonly variables?: Readonly<Record<string, unknown>>
}

interface Problem {
  readonly message?: string
  readonly detail?: string
  readonly code?: string
}
interface Body extends Problem {
  readonly data?: Readonly<Record<string, unknown>> | null
  readonly errors?: readonly (Problem & { readonly extensions?: Problem })[]
}

export interface Result {
  readonly answer: Answer
  readonly data: Readonly<Record<string, unknown>>
}

/**
 * Sends documents as any client of Railway's API does. Fails where the environment shows no way to
 * the cloud of this demo: a stray request must not reach the real one.
 */
export class Api {
  readonly #url: string

  constructor(env: NodeJS.ProcessEnv) {
    if (!env['SHOP_API'] && !env['HTTPS_PROXY']) throw new Error('there is no way to the cloud')
    this.#url = `${env['SHOP_API'] ?? PUBLIC}/graphql/v2`
  }

  async ask(body: Document | readonly Document[], credential: Credential): Promise<Result> {
    const response = await fetch(this.#url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headersOf(credential) },
      body: JSON.stringify(body),
    })
    const said = bodyOf(await response.text())
    return {
      answer: answerOf(said, response.headers.get('broker-decision') === 'deny'),
      data: said.data ?? {},
    }
  }
}

/** Tokens of one environment and tokens of accounts travel in different headers. */
function headersOf(credential: Credential): Record<string, string> {
  if ('own' in credential) return { 'project-access-token': credential.own }
  return { authorization: `Bearer ${credential.account}` }
}

function bodyOf(text: string): Body {
  try {
    return JSON.parse(text)
  } catch {
    return { message: 'no JSON came back' }
  }
}

/** The broker's problem stands in the body itself, or in the first GraphQL error's extensions. */
function answerOf(said: Body, byBroker: boolean): Answer {
  if (said.data && !said.errors) return { done: true, byBroker, code: null, why: null }
  const [error] = said.errors ?? []
  const { code = null, detail = null } = error?.extensions ?? said
  return { done: false, byBroker, code, why: detail ?? error?.message ?? said.message ?? null }
}
