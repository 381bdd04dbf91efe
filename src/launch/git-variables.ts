import type { ProxyView } from '../api/types.ts'

type Variables = Readonly<Record<string, string>>
type Entry = readonly [key: string, value: string]

const NUMBERED = /^GIT_CONFIG_(?:KEY|VALUE)_\d+$/

/** True for the variables that `gitVariables` writes anew. */
export function isGitEntry(name: string): boolean {
  return name === 'GIT_CONFIG_COUNT' || NUMBERED.test(name)
}

/**
 * Settings for git in its environment (git-config(1), GIT_CONFIG_COUNT), behind those that are there
 * already: the later of two wins, and what agents append for their own shells comes after ours. An
 * empty value forgets what configuration files say, so that no stored key goes along.
 */
export function gitVariables(inherited: Variables, proxy: ProxyView): Record<string, string> {
  const entries: readonly Entry[] = [
    ...inheritedEntries(inherited),
    ['credential.helper', ''],
    // A proxy of the person's in ~/.gitconfig would win over HTTPS_PROXY.
    ['http.proxy', proxy.url],
    // git sends a credential only when it is asked for one, and a helper's may be blanked by an
    // agent; a header is sent at once.
    ...proxy.gitHeaders.flatMap(({ url, header }): Entry[] => [
      [`http.${url}.extraHeader`, ''],
      [`http.${url}.extraHeader`, header],
    ]),
  ]
  const variables: Record<string, string> = { GIT_CONFIG_COUNT: String(entries.length) }
  for (const [index, [key, value]] of entries.entries()) {
    variables[`GIT_CONFIG_KEY_${index}`] = key
    variables[`GIT_CONFIG_VALUE_${index}`] = value
  }
  return variables
}

/** Whole pairs below the count. One that is torn would make git refuse to do anything. */
function inheritedEntries(inherited: Variables): Entry[] {
  const count = Number(/^\d{1,9}$/.exec(inherited['GIT_CONFIG_COUNT'] ?? '')?.[0] ?? 0)
  return Object.keys(inherited)
    .map((name) => /^GIT_CONFIG_KEY_(0|[1-9]\d{0,8})$/.exec(name)?.[1])
    .filter((index) => index !== undefined && Number(index) < count)
    .sort((a, b) => Number(a) - Number(b))
    .flatMap((index): Entry[] => {
      const key = inherited[`GIT_CONFIG_KEY_${index}`]
      const value = inherited[`GIT_CONFIG_VALUE_${index}`]
      return key === undefined || value === undefined ? [] : [[key, value]]
    })
}
