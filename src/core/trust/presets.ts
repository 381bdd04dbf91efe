/** What a preset knows of a CI system. Sources: the vendors' own OpenID Connect references. */
export interface Preset {
  readonly name: PresetName
  /** The one issuer of all its users; null where each organisation or installation has its own. */
  readonly issuer: string | null
  /** Matches every issuer that is known to be of this kind. */
  readonly issuers: RegExp
  /** What such an issuer looks like, for messages. */
  readonly example: string
  /** Without one of the sets of each, the rule would let in strangers. */
  readonly needs: readonly Need[]
  /** Claims that this issuer always gives as text, even where they look like numbers. */
  readonly texts: 'all' | readonly string[]
}

export interface Need {
  readonly severity: 'error' | 'warning'
  /** Each: claims that have to be named together; where there is a pattern, for every value. */
  readonly anyOf: readonly Readonly<Record<string, RegExp | null>>[]
  readonly message: string
}

export const PRESET_NAMES = ['github', 'gitlab', 'buildkite', 'circleci'] as const
export type PresetName = (typeof PRESET_NAMES)[number]

/**
 * GitHub's newer `sub`, which holds the ids of owner and repository. Joined by `@`, which no name can
 * hold: a first form with `-` could be squatted by a repository of that name.
 */
const IMMUTABLE_SUB =
  /^repo:[A-Za-z0-9-]+@[0-9]+\/[A-Za-z0-9._-]+@[0-9]+:(?:ref:refs\/(?:heads|tags)\/.|environment:.)/

const TRUE = /^true$/

/** https://docs.github.com/actions/reference/security/oidc */
const GITHUB: Preset = {
  name: 'github',
  issuer: 'https://token.actions.githubusercontent.com',
  issuers:
    /^https:\/\/(?:token\.actions\.githubusercontent\.com(?:\/[a-z0-9-]+)?|token\.actions\.[a-z0-9-]+\.ghe\.com(?:\/[a-z0-9-]+)?|[^/]+\/_services\/token)$/,
  example: 'https://token.actions.githubusercontent.com',
  texts: 'all',
  needs: [
    {
      severity: 'error',
      anyOf: [
        { repository_id: null },
        { repository_owner_id: null, job_workflow_ref: null },
        { sub: IMMUTABLE_SUB },
      ],
      message:
        'name repository_id: everyone on GitHub has tokens of this issuer, and a name can be taken over by someone else',
    },
    {
      severity: 'error',
      anyOf: [
        { ref: null },
        { environment: null },
        { job_workflow_ref: null },
        { sub: IMMUTABLE_SUB },
      ],
      message:
        'name ref, environment or job_workflow_ref: otherwise every branch of the repository is let in',
    },
    {
      severity: 'warning',
      anyOf: [{ repository_owner_id: null }, { sub: IMMUTABLE_SUB }],
      message: 'name repository_owner_id too: a repository keeps its id when it is given away',
    },
  ],
}

/** https://docs.gitlab.com/ci/secrets/id_token_authentication/ */
const GITLAB: Preset = {
  name: 'gitlab',
  issuer: 'https://gitlab.com',
  issuers: /^https:\/\/gitlab\.com$/,
  example: 'https://gitlab.com, or the address of your own GitLab',
  texts: [
    'project_id',
    'job_project_id',
    'namespace_id',
    'job_namespace_id',
    'pipeline_id',
    'job_id',
    'user_id',
    'ref_protected',
    'environment_protected',
  ],
  needs: [
    {
      severity: 'error',
      anyOf: [{ project_id: null }, { job_project_id: null }],
      message: 'name project_id: a path can be taken over by someone else',
    },
    {
      severity: 'error',
      anyOf: [{ ref_protected: TRUE }, { environment_protected: TRUE }],
      message:
        'name ref_protected: "true" or environment_protected: "true": otherwise a merge request of anyone may be let in',
    },
  ],
}

/** https://buildkite.com/docs/agent/v3/cli-oidc */
const BUILDKITE: Preset = {
  name: 'buildkite',
  issuer: 'https://agent.buildkite.com',
  issuers: /^https:\/\/agent\.buildkite\.com$/,
  example: 'https://agent.buildkite.com',
  texts: ['organization_id', 'pipeline_id', 'job_id', 'build_branch'],
  needs: [
    {
      severity: 'error',
      anyOf: [{ organization_id: null, pipeline_id: null }],
      message:
        'name organization_id and pipeline_id, and ask for them: buildkite-agent oidc request-token --claim organization_id,pipeline_id',
    },
  ],
}

/** https://circleci.com/docs/guides/permissions-authentication/openid-connect-tokens/ */
const CIRCLECI: Preset = {
  name: 'circleci',
  issuer: null,
  issuers:
    /^https:\/\/oidc\.circleci\.com\/org\/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  example: "https://oidc.circleci.com/org/ and the organisation's id",
  texts: [
    'oidc.circleci.com/project-id',
    'oidc.circleci.com/vcs-origin',
    'oidc.circleci.com/vcs-ref',
  ],
  needs: [
    {
      severity: 'error',
      anyOf: [{ 'oidc.circleci.com/project-id': null, 'oidc.circleci.com/vcs-origin': null }],
      message:
        'name oidc.circleci.com/project-id and oidc.circleci.com/vcs-origin: otherwise builds of forks are let in',
    },
  ],
}

export const PRESETS: readonly Preset[] = [GITHUB, GITLAB, BUILDKITE, CIRCLECI]

/** The preset an issuer is known to be of; null for all others. */
export function presetOf(issuer: string): Preset | null {
  return PRESETS.find(({ issuers }) => issuers.test(issuer)) ?? null
}

export function presetCalled(name: PresetName): Preset {
  const preset = PRESETS.find((one) => one.name === name)
  if (!preset) throw new TypeError(`no preset ${name}`)
  return preset
}

/** Issuers that sign for everyone in the world, and the claim that tells their users apart. */
export const PUBLIC_ISSUERS: ReadonlyMap<string, string> = new Map([
  ['https://accounts.google.com', 'sub'],
  ['https://app.terraform.io', 'terraform_workspace_id'],
])
