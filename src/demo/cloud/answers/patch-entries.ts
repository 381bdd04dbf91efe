import { isObject, type Json, type JsonObject } from '../../../lib/json.ts'

export type Entry = readonly [id: string, value: JsonObject | null]

/** Both ways in which a patch says that something goes. */
export const isGone = (value: JsonObject | null) => value === null || value['isDeleted'] === true

export function entriesOf(group: Json | undefined): readonly Entry[] {
  return Object.entries(objectOf(group)).map(([id, value]) => [
    id,
    value === null ? null : objectOf(value),
  ])
}

export function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {}
}
