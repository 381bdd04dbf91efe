import { join } from 'node:path'

/**
 * Where tools look for what they keep between runs, logins among it, and what stands for that place
 * in a task's own folder. None of them has to be there: a tool that finds nothing is one that nobody has
 * logged in to, and one that writes makes what is missing. Only places that hold no tool chain, no plug-in and
 * no cache are on the list.
 */
const PLACES: Readonly<Record<string, string>> = {
  AWS_CONFIG_FILE: 'aws/config',
  AWS_SHARED_CREDENTIALS_FILE: 'aws/credentials',
  BOTO_CONFIG: 'boto',
  GH_CONFIG_DIR: 'gh',
  GLAB_CONFIG_DIR: 'glab',
  KUBECONFIG: 'kube/config',
  DOCKER_CONFIG: 'docker',
  HELM_REGISTRY_CONFIG: 'helm/registry.json',
  PGPASSFILE: 'pgpass',
  PGSERVICEFILE: 'pg_service.conf',
  CLOUDSDK_CONFIG: 'gcloud',
  AZURE_CONFIG_DIR: 'azure',
  FLY_CONFIG_DIR: 'fly',
  RCLONE_CONFIG: 'rclone.conf',
  // For requests of Python; curl and git know ~/.netrc alone.
  NETRC: 'netrc',
}

/** A machine in a cloud offers its own login to whoever asks: the tool is told not to. */
const SWITCHES: Readonly<Record<string, string>> = { AWS_EC2_METADATA_DISABLED: 'true' }

/** What a task gets of these, by name, for `--dry-run`. `passed` leaves the tool its own place. */
export function toolNames(passed: readonly string[] = []): readonly string[] {
  return [...Object.keys(PLACES), ...Object.keys(SWITCHES)].filter((name) => !passed.includes(name))
}

/**
 * Variables that lead tools to `folder` (absolute) instead of the person's own settings; without one, where
 * the home is a task's own anyway, just the switches. They stand before a provider's variables,
 * which win. A name that is passed is left out: the tool then looks where it always does. Pure.
 */
export function toolVariables(
  folder: string | undefined,
  passed: readonly string[] = [],
): Record<string, string> {
  const places = folder === undefined ? [] : Object.entries(PLACES)
  const led = places.map(([name, place]) => [name, join(folder ?? '', place)] as const)
  const variables = [...led, ...Object.entries(SWITCHES)]
  return Object.fromEntries(variables.filter(([name]) => !passed.includes(name)))
}
