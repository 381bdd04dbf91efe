import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { KEYS } from '../../src/templates/schema.ts'

const root = join(import.meta.dirname, '../..')

describe('the published JSON Schema', () => {
  it('is the one that the code would write now', () => {
    const script = join(root, 'scripts/json-schema.mjs')
    expect(() =>
      execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' }),
    ).not.toThrow()
  })

  it('refuses unknown keys as the code does', () => {
    const schema = JSON.parse(readFileSync(join(root, 'schema/broker.schema.json'), 'utf8'))
    expect(schema.additionalProperties).toBe(false)
    expect(Object.keys(schema.properties)).toEqual([...KEYS.document])
    const template = schema.properties.templates.additionalProperties
    expect(template.additionalProperties).toBe(false)
    expect(Object.keys(template.properties)).toEqual([...KEYS.template])
    expect(template.required).toEqual(['environments', 'grants'])
    expect(template.properties.grants.additionalProperties.additionalProperties).toBe(false)
  })

  it('says of every key under providers what it is for', () => {
    const schema = JSON.parse(readFileSync(join(root, 'schema/broker.schema.json'), 'utf8'))
    const provider = schema.properties.providers.additionalProperties
    expect(provider.additionalProperties).toBe(false)
    const silent = undescribed(provider, 'provider')
    expect(silent).toEqual([])
  })
})

interface Shape {
  readonly description?: string
  readonly const?: unknown
  readonly properties?: Readonly<Record<string, Shape>>
  readonly anyOf?: readonly Shape[]
  readonly oneOf?: readonly Shape[]
  readonly items?: Shape
}

/** Paths of properties without a description; a constant is described by the object it chooses. */
function undescribed(shape: Shape, path: string): readonly string[] {
  const own = Object.entries(shape.properties ?? {}).flatMap(([key, value]) => [
    ...(value.description || value.const !== undefined ? [] : [`${path}.${key}`]),
    ...undescribed(value, `${path}.${key}`),
  ])
  const inner = [
    ...(shape.anyOf ?? []),
    ...(shape.oneOf ?? []),
    ...(shape.items ? [shape.items] : []),
  ]
  return [...own, ...inner.flatMap((one) => undescribed(one, path))]
}
