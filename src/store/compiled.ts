import type { Compilable, CompiledQuery, Kysely, QueryResult } from 'kysely'
import type { Schema } from './schema.ts'

/** Builds one statement. Always the same text: what varies comes in `values`, as parameters. */
export type Build<Values, Row> = (db: Kysely<Schema>, values: Values) => Compilable<Row>

/** What executes a compiled query: kysely itself, or an engine's own connection. */
export interface Runner {
  executeQuery<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>>
}

/** Stands for a value while the statement is built. */
class Slot {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

/**
 * The statements of the hot paths. Kysely builds and compiles each once per database, which costs
 * several times what SQLite then needs to run it; afterwards only the parameters are fresh. Keyed by
 * the function that builds it, so that function stands outside of any other.
 */
export class CompiledQueries {
  readonly #db: Kysely<Schema>
  readonly #runner: Runner
  readonly #known = new Map<unknown, CompiledQuery>()

  constructor(db: Kysely<Schema>, runner: Runner = db) {
    this.#db = db
    this.#runner = runner
  }

  run<Values extends object, Row>(
    build: Build<Values, Row>,
    values: Values,
  ): Promise<QueryResult<Row>> {
    const query = (this.#known.get(build) ?? this.#compile(build, values)) as CompiledQuery<Row>
    const parameters = query.parameters.map((one) =>
      one instanceof Slot ? values[one.name as keyof Values] : one,
    )
    return this.#runner.executeQuery({ ...query, parameters })
  }

  #compile<Values extends object, Row>(
    build: Build<Values, Row>,
    values: Values,
  ): CompiledQuery<Row> {
    const slots = Object.keys(values).map((name) => [name, new Slot(name)])
    const query = build(this.#db, Object.fromEntries(slots) as Values).compile()
    this.#known.set(build, query)
    return query
  }
}
