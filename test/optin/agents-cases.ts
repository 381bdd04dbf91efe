import type { AgentName } from '../../src/launch/agents/profile.ts'

export interface AgentCase {
  readonly name: AgentName
  /** One variable with its login. */
  readonly login: string
  /** How it is told where its model is. */
  model(url: string): { readonly variables?: Record<string, string>; readonly args?: string[] }
  /** How it is asked for one thing and no more. */
  readonly args: readonly string[]
  /** The file with its login, and one that must not be written. Relative to the home. */
  readonly file: string
  readonly held: string
}

export const CASES: readonly AgentCase[] = [
  {
    name: 'claude',
    login: 'ANTHROPIC_API_KEY',
    model: (url) => ({
      variables: { ANTHROPIC_BASE_URL: url, CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
    }),
    args: ['-p', 'go', '--allowedTools', 'Bash'],
    file: '.claude/.credentials.json',
    held: '.claude/settings.json',
  },
  {
    name: 'codex',
    login: 'CODEX_API_KEY',
    model: (url) => ({ args: ['-c', `openai_base_url="${url}/v1"`] }),
    args: ['exec', '--skip-git-repo-check', '-m', 'gpt-5', 'go'],
    file: '.codex/auth.json',
    held: '.codex/config.toml',
  },
  {
    name: 'gemini',
    login: 'GEMINI_API_KEY',
    model: (url) => ({
      variables: { GOOGLE_GEMINI_BASE_URL: url, GEMINI_CLI_TRUST_WORKSPACE: 'true' },
    }),
    args: ['-p', 'go', '--yolo'],
    file: '.gemini/oauth_creds.json',
    held: '.gemini/settings.json',
  },
  {
    name: 'opencode',
    login: 'ANTHROPIC_API_KEY',
    model: () => ({ variables: { OPENCODE_DISABLE_MODELS_FETCH: '1' } }),
    args: ['run', '--model', 'anthropic/claude-sonnet-4-5', 'go'],
    file: '.local/share/opencode/auth.json',
    held: '.config/opencode/opencode.json',
  },
  {
    name: 'copilot',
    // Of the two it prefers this one.
    login: 'COPILOT_PROVIDER_BEARER_TOKEN',
    model: (url) => ({
      variables: {
        COPILOT_OFFLINE: 'true',
        COPILOT_PROVIDER_TYPE: 'openai',
        COPILOT_PROVIDER_BASE_URL: `${url}/v1`,
        COPILOT_MODEL: 'gpt-5',
      },
    }),
    args: ['-p', 'go', '--allow-all-tools'],
    file: '.copilot/config.json',
    held: '.copilot/mcp-config.json',
  },
  {
    name: 'aider',
    login: 'OPENAI_API_KEY',
    model: (url) => ({ variables: { OPENAI_API_BASE: `${url}/v1` } }),
    // It has no tools: its commands are the person's, `/run`.
    args: [
      '--no-git',
      '--no-check-update',
      '--no-analytics',
      '--no-show-model-warnings',
      '--yes-always',
      '--model',
      'openai/gpt-4o',
      '--message',
    ],
    file: '.aider/oauth-keys.env',
    held: '.aider.conf.yml',
  },
]

/** A home in which every agent has logged in and been set up; with keys that are none of theirs. */
export function plantedHome(
  url: string,
  secret: string,
  redacts: boolean,
): Readonly<Record<string, string>> {
  return {
    '.claude/.credentials.json': JSON.stringify({ note: secret }),
    '.claude/settings.json': '{}',
    '.claude.json': JSON.stringify({ hasCompletedOnboarding: true }),
    '.codex/auth.json': JSON.stringify({ OPENAI_API_KEY: secret }),
    // The filter that takes the lease's variables from its tools, unless something is done about it.
    '.codex/config.toml': '[shell_environment_policy]\ninherit = "core"\n',
    '.gemini/oauth_creds.json': JSON.stringify({ note: secret }),
    '.gemini/settings.json': JSON.stringify({
      security: {
        auth: { selectedType: 'gemini-api-key' },
        environmentVariableRedaction: { enabled: redacts },
      },
    }),
    '.local/share/opencode/auth.json': JSON.stringify({ openrouter: { type: 'api', key: secret } }),
    '.config/opencode/opencode.json': JSON.stringify({
      provider: { anthropic: { options: { baseURL: `${url}/v1` } } },
      permission: { '*': 'allow' },
    }),
    '.copilot/config.json': JSON.stringify({ banner: 'never' }),
    '.copilot/mcp-config.json': JSON.stringify({ mcpServers: {} }),
    '.aider/oauth-keys.env': `NOT_USED=${secret}\n`,
    '.aider.conf.yml': 'pretty: false\n',
    '.cursor/cli-config.json': JSON.stringify({ note: secret }),
  }
}
