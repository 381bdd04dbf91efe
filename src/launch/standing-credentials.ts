import { namePatterns } from './name-patterns.ts'
import standing from './standing-credentials.json' with { type: 'json' }

/** Where a credential stands in a developer's environment, compiled from our list of names. */
export interface StandingCredentials {
  /** The provider whose credential this name holds, `undefined` if the name is not on the list. */
  readonly providerOf: (upperName: string) => string | undefined
  readonly isLoader: (upperName: string) => boolean
  /** The pattern a name looks like a credential by. */
  readonly nameShape: (upperName: string) => string | undefined
  readonly isStrict: (upperName: string) => boolean
}

let compiled: StandingCredentials | undefined

/** Compiles on first use: a command that fails before it scrubs does not pay for it. */
export function standingCredentials(): StandingCredentials {
  compiled ??= {
    providerOf: providers(),
    isLoader: namePatterns(standing.loaders),
    nameShape: nameShape(),
    isStrict: namePatterns(standing.strictNames),
  }
  return compiled
}

function providers(): (upperName: string) => string | undefined {
  // Looked for in the lists as they stand: a task has dozens of names, and the lists have hundreds.
  const lists: (readonly [string, string])[] = []
  const globs: string[] = []
  const globOwners: (readonly [string, string])[] = []
  for (const [provider, names] of Object.entries(standing.names)) {
    lists.push([` ${names.toUpperCase()} `, provider])
    if (!names.includes('*')) continue
    for (const name of names.split(' ').filter((each) => each.includes('*'))) {
      globs.push(name)
      globOwners.push([name, provider])
    }
  }
  const excepted = namePatterns(standing.neverAtAll)
  const anyGlob = namePatterns(globs)
  return (upperName) => {
    const owner = lists.find(([list]) => list.includes(` ${upperName} `))
    if (owner !== undefined) return owner[1]
    if (excepted(upperName) || !anyGlob(upperName)) return undefined
    return globOwners.find(([glob]) => namePatterns([glob])(upperName))?.[1]
  }
}

function nameShape(): (upperName: string) => string | undefined {
  const never = namePatterns([...standing.neverByName, ...standing.neverAtAll])
  const any = namePatterns(standing.namePatterns)
  return (upperName) => {
    if (!any(upperName) || never(upperName)) return undefined
    return standing.namePatterns.find((pattern) => namePatterns([pattern])(upperName))
  }
}
