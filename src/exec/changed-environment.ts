type Variables = Readonly<Record<string, string>>

/** `undefined` takes a name out. Pure. */
export function changedEnvironment(
  environment: Variables,
  changes: Readonly<Record<string, string | undefined>>,
): Variables {
  const all = Object.entries({ ...environment, ...changes })
  return Object.fromEntries(
    all.filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}
