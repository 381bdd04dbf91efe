// Writes schema/broker.schema.json from the schema that reads broker.yaml; `--check` fails if it is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { documentSchema } from '../src/templates/schema.ts'

const file = join(import.meta.dirname, '..', 'schema', 'broker.schema.json')
const { $schema, ...schema } = z.toJSONSchema(documentSchema, { io: 'input' })
const text = `${JSON.stringify({ $schema, title: 'broker.yaml', ...schema }, null, 2)}\n`

if (!process.argv.includes('--check')) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
} else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
  console.error('schema/broker.schema.json is stale: run npx node scripts/json-schema.mjs')
  process.exitCode = 1
}
