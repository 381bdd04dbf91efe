import { Agent, request } from 'undici'
import type { Cloud } from '../../src/demo/cloud/cloud.ts'
import type { Json } from '../../src/lib/json.ts'

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** As the caller knows it to be: the tests read into it by name. */
  readonly data: Readonly<Record<string, Json>> | null
  /** The messages of what went wrong. */
  readonly errors: readonly string[]
}

export type Credential = Readonly<Record<string, string>>

export const account = (token: string): Credential => ({ authorization: `Bearer ${token}` })
export const project = (token: string): Credential => ({ 'project-access-token': token })

/** Speaks to a cloud over TLS, trusting its authority alone. */
export class CloudClient {
  readonly #cloud: Cloud
  readonly #agent: Agent

  constructor(cloud: Cloud) {
    this.#cloud = cloud
    this.#agent = new Agent({ connect: { ca: cloud.ca } })
  }

  async ask(
    credential: Credential,
    query: string,
    variables: Readonly<Record<string, Json>> = {},
  ): Promise<Answered> {
    const body = JSON.stringify({ query, variables })
    const { status, headers, text } = await this.post(credential, '/graphql/v2', body)
    const parsed = JSON.parse(text)
    const errors = (parsed.errors ?? []).map(({ message }: { message: string }) => message)
    return { status, headers, data: parsed.data ?? null, errors }
  }

  async post(credential: Credential, path: string, body: string | Buffer) {
    const response = await request(`${this.#cloud.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...credential },
      body,
      dispatcher: this.#agent,
    })
    const { statusCode: status, headers } = response
    return { status, headers, text: await response.body.text() }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}
