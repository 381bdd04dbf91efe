import type { AdjustFacts, Adjustment } from './profile.ts'

const SYSTEM_SETTINGS = 'GEMINI_CLI_SYSTEM_SETTINGS_PATH'

/** Either of them makes it take all but a few variables from its tools (0.61). */
const STRICT = ['GITHUB_SHA', 'SURFACE'] as const

/**
 * Its redaction takes names with TOKEN, KEY, CERT … from its tools, our certificates' among them, and no
 * list of exceptions brings those back. It has no switch on the command line, and takes settings of the
 * system from root's folders alone; so what changes is how its settings read from inside.
 */
export function adjustGemini(facts: AdjustFacts): Adjustment {
  if (facts.granted.length === 0) return {}
  const strict = STRICT.filter((name) => isStrict(name, facts.environment[name]))
  const { overlays, remarks } = withoutRedaction(facts)
  return {
    overlays,
    variables: Object.fromEntries(strict.map((name) => [name, undefined])),
    remarks: [
      ...remarks,
      ...strict.map(
        (name) => `${name} is not set for this task: Gemini would hide all else with it`,
      ),
    ],
  }
}

function isStrict(name: string, value: string | undefined): boolean {
  return name === 'SURFACE' ? value === 'Github' : Boolean(value)
}

function withoutRedaction({ level, stateFolder, workTree, environment, text }: AdjustFacts) {
  const overlays = new Map<string, string>()
  const remarks: string[] = []
  const files = [
    `${stateFolder}/settings.json`,
    `${workTree}/.gemini/settings.json`,
    environment[SYSTEM_SETTINGS] ?? '/etc/gemini-cli/settings.json',
  ]
  for (const path of files) {
    const json = text(path)
    if (!json?.includes('"environmentVariableRedaction"')) continue
    const without = level === 'scrub' ? undefined : turnedOff(json)
    if (without === undefined)
      remarks.push(`${path} may keep the lease's variables from Gemini's tools`)
    else overlays.set(path, without)
  }
  if (overlays.size > 0) remarks.push("Gemini's redaction of variables is off for this task")
  return { overlays, remarks }
}

/** `undefined` for settings that are no plain JSON. */
function turnedOff(json: string): string | undefined {
  try {
    const settings = objectIn(JSON.parse(json))
    const security = {
      ...objectIn(settings['security']),
      environmentVariableRedaction: { enabled: false },
    }
    return JSON.stringify({ ...settings, security })
  } catch {
    return undefined
  }
}

function objectIn(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? { ...(value as Record<string, unknown>) }
    : {}
}
