import { spawn } from 'node:child_process'
import { type RequestOptions, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { Futile } from './futile.ts'
import type { Terms } from './terms.ts'

const PUBLIC = 'https://backboard.railway.com'

/** By the cloud's name, in a process without any proxy variable. */
export async function askUnset({ unset }: Terms, key: string): Promise<void> {
  const env = Object.entries(process.env).filter(([name]) => !/proxy/i.test(name))
  const child = spawn(process.execPath, [unset], {
    env: Object.fromEntries(env),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  child.stdin.end(key)
  const code = await text(child.stdout)
  if (code !== '' || (await ended) !== 0) throw new Futile(code)
}

/** Whose key it is. */
export function askPlainly({ cloud, ca, mark }: Terms, key: string): Promise<void> {
  const byName = cloud.replace('127.0.0.1', 'localhost')
  const question = { query: `query ${mark} { me { name } }` }
  return post(byName, { ca, family: 4 }, key, question)
}

/** The variables are there, and it does not care: a connection of its own, to the very address. */
export function deleteAtAddress(terms: Terms, key: string): Promise<void> {
  // Without an agent: the shared one obeys the variables.
  return post(terms.cloud, { ca: terms.ca, agent: false }, key, deletion(terms))
}

/** The one door that is left. Never where it is not there: this address is the real cloud's. */
export async function deleteThroughProxy(terms: Terms, key: string): Promise<void> {
  const { env } = process
  if (!env['HTTPS_PROXY'] || env['NODE_USE_ENV_PROXY'] !== '1') throw new Futile('NO_PROXY')
  const response = await fetch(`${PUBLIC}/graphql/v2`, {
    method: 'POST',
    headers: headersWith(key),
    body: JSON.stringify(deletion(terms)),
  })
  judge(await response.text())
}

function deletion({ mark, pgdata }: Terms): object {
  return {
    query: `mutation ${mark}($id: String!) { volumeDelete(volumeId: $id) }`,
    variables: { id: pgdata },
  }
}

async function post(
  cloud: string,
  options: RequestOptions,
  key: string,
  body: object,
): Promise<void> {
  const answer = await new Promise<string>((resolve, reject) => {
    const headers = headersWith(key)
    const asking = request(`${cloud}/graphql/v2`, { ...options, method: 'POST', headers })
    asking.once('error', reject)
    asking.once('response', (response) => text(response).then(resolve, reject))
    asking.end(JSON.stringify(body))
  })
  judge(answer)
}

function headersWith(key: string): Record<string, string> {
  return { 'content-type': 'application/json', authorization: `Bearer ${key}` }
}

/** Throws with the broker's code, or `REFUSED` where the cloud itself said no. */
function judge(answer: string): void {
  const { data, errors, code } = JSON.parse(answer)
  if (!data || errors) throw new Futile(errors?.[0]?.extensions?.code ?? code ?? 'REFUSED')
}
