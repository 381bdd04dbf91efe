import { delimiter } from 'node:path'
import type { ProxyView } from '../api/types.ts'
import { gitVariables, isGitEntry } from './git-variables.ts'
import { javaOptions, type RecipePlaces } from './recipe/proxied-files.ts'

/** The files (PEM) that programs of the task are to trust. */
export interface Trust {
  /** For programs that add it to the roots they have. */
  readonly addedFile: string
  /** For programs that may take it for all their roots. */
  readonly bundleFile: string
}

/** What else is there for programs of the task: settings files, and `javaTrustStore` if Java is to go along. */
export type Files = Omit<RecipePlaces, 'javaTrustStore'> & {
  readonly javaTrustStore: string | undefined
}

type Variables = Readonly<Record<string, string>>

/**
 * Both cases: wget, apt and curl (for http) know the lower one alone, others the upper one. npm and
 * cargo look at these only if no file names a proxy (for cargo also that of git).
 */
const ROUTE = [
  'HTTPS_PROXY',
  'https_proxy',
  'HTTP_PROXY',
  'http_proxy',
  'npm_config_https_proxy',
  'npm_config_proxy',
  'CARGO_HTTP_PROXY',
]

/** No spaces, wildcards or ranges: hardly two programs read those alike. */
const DIRECT = ['NO_PROXY', 'no_proxy', 'npm_config_noproxy']
const LOOPBACK = 'localhost,127.0.0.1,::1'

/** Named to the whole bundle: on most systems these replace what the program trusted before. */
const BUNDLE = [
  'SSL_CERT_FILE',
  'CURL_CA_BUNDLE',
  'REQUESTS_CA_BUNDLE',
  'PIP_CERT',
  'GIT_SSL_CAINFO',
  'AWS_CA_BUNDLE',
  'CARGO_HTTP_CAINFO',
  'DENO_CERT',
  'CODEX_CA_CERTIFICATE',
  'PERL_LWP_SSL_CA_FILE',
  'npm_config_cafile',
  'CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE',
  'HTTPLIB2_CA_CERTS',
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
  'NIX_SSL_CERT_FILE',
]

/** Node, Bun and Deno add it, and Node reads it at every start: the bundle would cost 12 ms each time. */
const ADDED = 'NODE_EXTRA_CA_CERTS'

/** Node obeys the variables above only with this; a flag in NODE_OPTIONS would stop older ones. */
const NODE_OBEYS = 'NODE_USE_ENV_PROXY'
const PERL_OBEYS = 'PERL_LWP_ENV_PROXY'
const NO_PROMPT = 'GIT_TERMINAL_PROMPT'

/** They name places of settings: for wget and curl instead of the person's, which may name a proxy or a login. */
const SETTINGS = ['WGETRC', 'CURL_HOME']

/** What the caller has here stays, and ours stands behind it. */
const PHP = 'PHP_INI_SCAN_DIR'
/** Java says on standard error that it has found this one: only a task that asks gets it. */
export const JAVA = 'JAVA_TOOL_OPTIONS'

/** Variables that name files of roots, in the order in which they are looked at. */
export const ROOT_VARIABLES: readonly string[] = [ADDED, ...BUNDLE]

/** What a proxied task gets, by name, for `--dry-run`. */
export const PROXY_VARIABLES: readonly string[] = [
  ...ROUTE,
  ...DIRECT,
  NODE_OBEYS,
  PERL_OBEYS,
  ...ROOT_VARIABLES,
  ...SETTINGS,
  PHP,
  NO_PROMPT,
  'GIT_CONFIG_COUNT, GIT_CONFIG_KEY_n, GIT_CONFIG_VALUE_n',
]

const OURS: ReadonlySet<string> = new Set(
  [
    ...[...ROUTE, ...DIRECT, ...ROOT_VARIABLES, ...SETTINGS],
    ...[NODE_OBEYS, PERL_OBEYS, NO_PROMPT],
  ].map((name) => name.toUpperCase()),
)

/** Another proxy, or an exception from ours, under the names that tools have for it. */
const AROUND =
  /(?:^|[_-])(?:HTTPS?|ALL|NO|FTP|RSYNC|SOCKS[45]?|WSS?|GRPC)[_-]PROXY$|^(?:PIP_|NPM_CONFIG_(?:NO)?)PROXY$|^CLOUDSDK_PROXY_/

/** Why a variable of the caller's does not reach a proxied task; `undefined` if it does. */
export function whyReplaced(name: string): string | undefined {
  const upper = name.toUpperCase()
  if (OURS.has(upper)) return 'the lease has its own'
  if (AROUND.test(upper)) return "it would lead around the lease's proxy"
  // Bun takes it for all its roots, and others find their own there and not the lease's.
  return upper === 'SSL_CERT_DIR' ? "it would hide the lease's certificate" : undefined
}

/**
 * The environment of a task whose requests go through its lease's proxy. What is set here wins over
 * everything that was there, a `--pass`ed variable too: it would lead around the proxy. This routes;
 * it enforces nothing by itself. Pure.
 */
export function proxyEnvironment(
  environment: Variables,
  proxy: ProxyView,
  trust: Trust,
  files: Files,
): Record<string, string> {
  const result: Record<string, string> = Object.create(null)
  for (const [name, value] of Object.entries(environment)) {
    if (whyReplaced(name) === undefined && !isGitEntry(name)) result[name] = value
  }
  for (const name of ROUTE) result[name] = proxy.url
  for (const name of DIRECT) result[name] = LOOPBACK
  for (const name of BUNDLE) result[name] = trust.bundleFile
  result[ADDED] = trust.addedFile
  result[NODE_OBEYS] = '1'
  result[PERL_OBEYS] = '1'
  result[NO_PROMPT] = '0'
  result['WGETRC'] = files.wgetrc
  result['CURL_HOME'] = files.curlHome
  // An empty entry is PHP's own folder, where its extensions are switched on.
  result[PHP] = `${environment[PHP] ?? ''}${delimiter}${files.phpFolder}`
  if (files.javaTrustStore !== undefined) {
    const options = javaOptions(proxy.url, files.javaTrustStore)
    result[JAVA] = [environment[JAVA], options].filter(Boolean).join(' ')
  }
  return Object.assign(result, gitVariables(environment, proxy))
}
