import type { JsonObject } from '../../lib/json.ts'
import { Secret } from '../../lib/secret.ts'
import { objectAt, textAt } from './api/answer.ts'
import type { Api, Asking } from './api/api.ts'
import { type Ask, type Cell, type Found, field, paged, readCells } from './api/cells.ts'
import { failure, reasonOf } from './api/failure.ts'
import { type Caller, withProjectToken } from './connection.ts'
import type { Recipe } from './recipe.ts'

/** A project token as the API lists it; never the secret. */
export interface TokenRow {
  readonly id: string
  readonly name: string
  readonly environment: string | null
}

/** Everything the API does with project tokens, for one caller. Throws as `Api.ask` does. */
export class ProjectTokens {
  readonly #api: Api
  readonly #caller: Caller
  readonly #asking: Asking

  constructor(api: Api, caller: Caller, { signal, now }: Asking) {
    this.#api = api
    this.#caller = caller
    this.#asking = { signal, now }
  }

  /** Makes one. The answer is the secret alone; its id has to be asked for. */
  async create({ project, environment, name }: Omit<Recipe, 'mints'>): Promise<Secret> {
    const input = [
      `projectId:${JSON.stringify(project)}`,
      `environmentId:${JSON.stringify(environment)}`,
      `name:${JSON.stringify(name)}`,
    ]
    const data = await this.ask(`mutation{projectTokenCreate(input:{${input.join(',')}})}`)
    const token = textAt(data, 'projectTokenCreate')
    if (token === null || !/^[\x21-\x7e]{16,500}$/.test(token)) {
      throw failure('unreadable', this.#caller.connection)
    }
    return new Secret(token)
  }

  /** What a token says of itself. */
  async own(token: Secret): Promise<TokenRow & { readonly project: string | null }> {
    const data = await this.as(token)('query{projectToken{id name projectId environmentId}}')
    const row = objectAt(data, 'projectToken')
    const id = textAt(row, 'id')
    if (id === null) throw failure('unreadable', this.#caller.connection)
    return {
      id,
      name: textAt(row, 'name') ?? '',
      project: textAt(row, 'projectId'),
      environment: textAt(row, 'environmentId'),
    }
  }

  /** All of a project; none where the project is gone. */
  async list(project: string): Promise<readonly TokenRow[]> {
    const [found] = await this.listAll([project])
    if (found?.missing === 'refused') throw failure('refused', this.#caller.connection)
    return found?.rows ?? []
  }

  /** Of several projects; those that do not show theirs have none here. */
  async listAll(projects: readonly string[]): Promise<readonly Listing[]> {
    const found = await readCells(this.ask, projects.map(tokensOf))
    return found.map(({ of, nodes, missing }) => ({
      project: of,
      rows: nodes.flatMap(rowOf),
      missing,
    }))
  }

  /** True: it was there, and is not any more. False: there was none. */
  async delete(id: string): Promise<boolean> {
    try {
      const data = await this.ask(`mutation{${field('projectTokenDelete', { id })}}`)
      if (data['projectTokenDelete'] === true) return true
      throw failure('unreadable', this.#caller.connection)
    } catch (error) {
      if (reasonOf(error) === 'absent') return false
      throw error
    }
  }

  /** Asks with the connection's own token, also where its limit was used up a moment ago. */
  readonly ask: Ask = (query) =>
    this.#api.ask(this.#caller, query, { ...this.#asking, urgent: true })

  /** Asks with a project token instead. */
  as(token: Secret): Ask {
    const caller = withProjectToken(this.#caller, token)
    return (query) => this.#api.ask(caller, query, this.#asking)
  }
}

interface Listing extends Pick<Found, 'missing'> {
  readonly project: string
  readonly rows: readonly TokenRow[]
}

function tokensOf(project: string): Cell {
  return {
    of: project,
    path: [],
    field: (after) =>
      `${field('projectTokens', { projectId: project, after })}${paged('id name environmentId')}`,
  }
}

function rowOf(node: JsonObject): readonly TokenRow[] {
  const [id, name] = [textAt(node, 'id'), textAt(node, 'name')]
  if (id === null || name === null) return []
  return [{ id, name, environment: textAt(node, 'environmentId') }]
}

/** Null: this credential may not, and that is no reason to fail: the proxy judges all the same. */
export async function createToken(
  tokens: ProjectTokens,
  recipe: Omit<Recipe, 'mints'>,
): Promise<Secret | null> {
  try {
    return await tokens.create(recipe)
  } catch (error) {
    if (reasonOf(error) !== 'refused') throw error
    // A dead credential is refused everything; then there is no lease to be had.
    await tokens.ask(`query{${field('project', { id: recipe.project })}{id}}`)
    return null
  }
}
