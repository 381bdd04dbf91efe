import { describe, expect, it } from 'vitest'
import { scrubEnvironment } from '../../src/launch/scrub.ts'
import standing from '../../src/launch/standing-credentials.json' with { type: 'json' }

const removedNames = (env: Record<string, string>, options = {}) =>
  scrubEnvironment(env, options).removed.map(({ name }) => name)

/** `n` characters of an alphabet, different each time the seed is. */
function letters(
  n: number,
  alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
) {
  return Array.from({ length: n }, (_, i) => alphabet[(i * 17 + n) % alphabet.length]).join('')
}
const hex = (n: number) => letters(n, '0123456789abcdef')

describe('what never gets through', () => {
  it('removes BROKER_ variables, even if passed', () => {
    const env = { BROKER_HOME: '/x', BROKER_HANDLE: 'bkh', broker_x: '1' }
    const { kept, removed } = scrubEnvironment(env, { pass: ['BROKER_HOME', 'BROKER_HANDLE'] })
    expect(kept).toEqual({})
    expect(removed).toHaveLength(3)
  })

  it('removes every name on the list, whatever its value', () => {
    const lists = Object.values(standing.names).map((names) => names.split(' '))
    expect(lists.flat().length).toBeGreaterThan(450)
    for (const names of [...lists, standing.loaders]) {
      for (const name of names) {
        const plain = name.replaceAll('*', 'SOME')
        expect(removedNames({ [plain]: 'plain' }), plain).toEqual([plain])
      }
    }
  })

  it('removes a name that looks like a credential', () => {
    const names = ['MY_TOKEN', 'ACME_SECRET_VALUE', 'X_API_KEY', 'SIGNING_KEY', 'FOO_PASSWORD']
    names.push('ACME_DSN', 'ACME_PAT', 'acme_token', 'SESSION_COOKIE', 'ACME_CREDS', 'DB_PWD')
    for (const name of names) expect(removedNames({ [name]: 'plain' }), name).toEqual([name])
  })

  it('removes what would make the child run other code', () => {
    const env = {
      LD_PRELOAD: '/x.so',
      DYLD_INSERT_LIBRARIES: '/x',
      LD_AUDIT: '/x.so',
      GCONV_PATH: '/x',
      OPENSSL_MODULES: '/x',
      NODE_OPTIONS: '--require /x',
      npm_config_node_options: '--require /x',
      PERL5OPT: '-Mx',
      RUBYOPT: '-rx',
      JAVA_TOOL_OPTIONS: '-javaagent:/x.jar',
      _JAVA_OPTIONS: '-javaagent:/x.jar',
      JDK_JAVA_OPTIONS: '-javaagent:/x.jar',
      DOTNET_STARTUP_HOOKS: '/x.dll',
      PROMPT_COMMAND: 'x',
      'BASH_FUNC_git%%': '() { x; }',
      PHPRC: '/x',
      GIT_PROXY_COMMAND: 'x',
      GIT_EXEC_PATH: '/x',
      GIT_TEMPLATE_DIR: '/x',
      BASH_ENV: '/x',
      ENV: '/x',
      PYTHONSTARTUP: '/x',
      GIT_SSH_COMMAND: 'x',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'core.fsmonitor',
      GIT_CONFIG_VALUE_0: 'x',
      GIT_ASKPASS: 'x',
      SSH_ASKPASS: 'x',
    }
    expect(scrubEnvironment(env).kept).toEqual({})
  })

  it('removes the ways to programs of the person outside of the task', () => {
    const env = {
      TMUX: '/tmp/tmux-1000/default,1,0',
      STY: '1.pts-0',
      VSCODE_IPC_HOOK_CLI: '/run/user/1000/x.sock',
      VSCODE_GIT_IPC_HANDLE: '/run/user/1000/x.sock',
      VSCODE_GIT_ASKPASS_EXTRA_ARGS: '--ms-enable-electron-run-as-node',
      VSCODE_INSPECTOR_OPTIONS: ':::{"inspectorIpc":"/tmp/x.sock"}',
      NVIM: '/run/user/1000/nvim.1.0',
      SWAYSOCK: '/run/user/1000/sway.sock',
      KITTY_LISTEN_ON: 'unix:/tmp/kitty',
      SSH_AUTH_SOCK: '/tmp/ssh-x/agent.1',
      DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/1000/bus',
    }
    expect(scrubEnvironment(env, { strict: true }).kept).toEqual({})
    expect(scrubEnvironment(env).kept).toEqual({})
  })

  it('removes what would send a minted database password to another server', () => {
    const env = {
      PGHOSTADDR: '10.0.0.1',
      PGOPTIONS: '-c role=x',
      PGSSLMODE: 'disable',
      PGPORT: '1',
    }
    expect(removedNames(env)).toEqual(Object.keys(env).sort())
  })

  it('removes a name too long to be looked at', () => {
    const name = 'MAX_'.repeat(250_000)
    expect(removedNames({ [name]: 'x' })).toEqual([name])
  })

  it('says names and reasons, never a value', () => {
    const env = { GITHUB_TOKEN: 'hunter2', OTHER: 'https://u:hunter2@h' }
    expect(JSON.stringify(scrubEnvironment(env).removed)).not.toContain('hunter2')
  })
})

describe('values that look like credentials, under an innocent name', () => {
  const corpus: Record<string, string> = {
    'aws id': 'AKIAIOSFODNN7EXAMPLE',
    'aws secret in text': `aws_secret_access_key = ${letters(40)}`,
    'github classic': `ghp_${letters(36)}`,
    'github app': `ghs_${letters(36)}`,
    'github fine-grained': `github_pat_${letters(22)}_${letters(59)}`,
    gitlab: `glpat-${letters(20)}`,
    stripe: `sk_live_${letters(24)}`,
    'stripe restricted': `rk_test_${letters(24)}`,
    'stripe webhook': `whsec_${letters(32)}`,
    slack: `xoxb-${letters(12, '0123456789')}-${letters(24)}`,
    'slack webhook': `https://hooks.slack.com/services/T000/B000/${letters(24)}`,
    openai: `sk-proj-${letters(48)}`,
    anthropic: `sk-ant-api03-${letters(90)}`,
    'google api': `AIza${letters(35)}`,
    'google oauth': `ya29.${letters(60)}`,
    'google service account': '{"type": "service_account", "project_id": "x"}',
    sendgrid: `SG.${letters(22)}.${letters(43)}`,
    twilio: `AC${hex(32)}`,
    npm: `npm_${letters(36)}`,
    pypi: `pypi-${letters(60)}`,
    digitalocean: `dop_v1_${hex(64)}`,
    supabase: `sbp_${hex(40)}`,
    neon: `napi_${letters(60, 'abcdefghijklmnopqrstuvwxyz0123456789')}`,
    planetscale: `pscale_tkn_${letters(40)}`,
    fly: `FlyV1 fm2_${letters(80)}`,
    heroku: `HRKU-${letters(40)}`,
    netlify: `nfp_${letters(36)}`,
    sentry: `sntrys_${letters(60)}`,
    docker: `dckr_pat_${letters(27)}`,
    pulumi: `pul-${hex(40)}`,
    vault: `hvs.${letters(90)}`,
    doppler: `dp.pt.${letters(40)}`,
    onepassword: `ops_ey${letters(200)}`,
    huggingface: `hf_${letters(34)}`,
    databricks: `dapi${hex(32)}`,
    linear: `lin_api_${letters(40)}`,
    shopify: `shpat_${hex(32)}`,
    jwt: `eyJ${letters(30)}.eyJ${letters(60)}.${letters(43)}`,
    'private key': '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==',
    'url with a password': 'postgres://app:hunter2@db.internal:5432/app',
    'url with an empty user': 'redis://:hunter2@cache:6379',
    'url with a token as its user': `https://${letters(24)}@forge.example/o/r.git`,
    'url with a signature': `https://x.blob.example/a?sv=1&sig=${letters(40)}`,
    'url with a key': `https://api.example/v1?api_key=${letters(24)}`,
    'bearer header': `x-a: b, Authorization: Bearer ${letters(24)}`,
    'basic header': `Authorization: Basic ${Buffer.from('me:hunter2').toString('base64')}`,
    'password in options': '-Dhttps.proxyUser=me -Dhttps.proxyPassword=hunter2',
    'password in a connection string': 'Server=db;User Id=sa;Password=hunter2;',
    'password in json': '{"user": "sa", "password": "hunter2"}',
    'azure key': `DefaultEndpointsProtocol=https;AccountKey=${letters(86)}==;`,
    'discord webhook': `https://discord.com/api/webhooks/12345678/${letters(60)}`,
    'google client secret': `GOCSPX-${letters(28)}`,
    atlassian: `ATATT3${letters(180)}`,
    groq: `gsk_${letters(52)}`,
    xai: `xai-${letters(80)}`,
    perplexity: `pplx-${letters(48)}`,
    replicate: `r8_${letters(37)}`,
    tailscale: `tskey-auth-${letters(16)}-${letters(32)}`,
    rubygems: `rubygems_${hex(48)}`,
    circleci: `CCIPAT_${letters(22)}_${hex(40)}`,
    age: `AGE-SECRET-KEY-1${letters(58, '023456789ACDEFGHJKLMNPQRSTUVWXYZ')}`,
    grafana: `glsa_${letters(32)}_${hex(8)}`,
    'new relic': `NRAK-${letters(27, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789')}`,
    notion: `ntn_${letters(46)}`,
    figma: `figd_${letters(40)}`,
    postman: `PMAK-${hex(24)}-${hex(34)}`,
    terraform: `${letters(14)}.atlasv1.${letters(67)}`,
    resend: `re_${letters(8)}_${letters(24)}`,
    'in the middle of text': `Authorization: Bearer ghp_${letters(36)} (mine)`,
  }
  for (const [name, value] of Object.entries(corpus)) {
    it(`removes ${name}`, () => {
      expect(scrubEnvironment({ PLAIN: value }).removed).toMatchObject([
        { name: 'PLAIN', why: expect.stringMatching(/^its value looks like a secret/) },
      ])
    })
  }

  it('takes no long time over a value made to be slow', () => {
    const seeds = ['a', 'eyJ-', 'eyJaaaaaaaa.', '://a:', 'a://', '"type" ', 'aws secret ', 'sk-']
    seeds.push(...Object.values(corpus).map((value) => value.slice(0, -2)))
    for (const seed of seeds) {
      const value = seed.repeat(Math.ceil(1_000_000 / seed.length)).slice(0, 1_000_000)
      const began = performance.now()
      scrubEnvironment({ PLAIN: value })
      expect(performance.now() - began, JSON.stringify(seed.slice(0, 20))).toBeLessThan(1000)
    }
  })
})

/** As found on the machines of people who develop, made up. */
const DEVELOPER = {
  PATH: '/home/u/.nvm/versions/node/v24/bin:/usr/bin:/bin',
  HOME: '/home/u',
  USER: 'u',
  LOGNAME: 'u',
  SHELL: '/bin/zsh',
  PWD: '/home/u/src/app',
  OLDPWD: '/home/u/src',
  TERM: 'xterm-256color',
  COLORTERM: 'truecolor',
  TERM_PROGRAM: 'iTerm.app',
  TERM_SESSION_ID: 'w0t0p0:AAAA-BBBB',
  ITERM_SESSION_ID: 'w0t0p0:AAAA-BBBB',
  LANG: 'en_US.UTF-8',
  LC_ALL: 'en_US.UTF-8',
  TZ: 'Europe/Berlin',
  EDITOR: 'vim',
  VISUAL: 'code --wait',
  PAGER: 'less -R',
  LESS: '-R',
  LS_COLORS: 'rs=0:di=01;34:ln=01;36',
  SHLVL: '2',
  DISPLAY: ':0',
  WAYLAND_DISPLAY: 'wayland-0',
  XAUTHORITY: '/run/user/1000/gdm/Xauthority',
  XDG_SESSION_TYPE: 'wayland',
  XDG_SESSION_ID: '3',
  XDG_RUNTIME_DIR: '/run/user/1000',
  XDG_CONFIG_HOME: '/home/u/.config',
  DESKTOP_SESSION: 'gnome',
  SESSION_MANAGER: 'local/host:@/tmp/.ICE-unix/1,unix/host:/tmp/.ICE-unix/1',
  KEYBOARD_LAYOUT: 'de',
  NVM_DIR: '/home/u/.nvm',
  NVM_BIN: '/home/u/.nvm/versions/node/v24/bin',
  PYENV_ROOT: '/home/u/.pyenv',
  PYENV_SHELL: 'zsh',
  VIRTUAL_ENV: '/home/u/src/app/.venv',
  CONDA_DEFAULT_ENV: 'base',
  GOPATH: '/home/u/go',
  CARGO_HOME: '/home/u/.cargo',
  RUSTUP_HOME: '/home/u/.rustup',
  JAVA_HOME: '/usr/lib/jvm/default',
  SDKMAN_DIR: '/home/u/.sdkman',
  PNPM_HOME: '/home/u/.local/share/pnpm',
  BUNDLE_GEMFILE: '/home/u/src/app/Gemfile',
  DIRENV_DIR: '-/home/u/src/app',
  DIRENV_DIFF: 'eJxszrEOgjAQxvF3-eYOLRSBbq4mjm7mhpNWaVIKqW1C4rsbHdzc_8l-3wMbmyWqf3tKZ7Ek4P',
  CI: 'true',
  GITHUB_ACTIONS: 'true',
  GITHUB_SHA: 'ffac537e6cbbf934b08745a378932722df287a53',
  GITHUB_REPOSITORY: 'acme/app',
  GITHUB_WORKSPACE: '/home/runner/work/app/app',
  GITHUB_API_URL: 'https://api.github.com',
  RUNNER_OS: 'Linux',
  CI_COMMIT_SHA: 'ffac537e6cbbf934b08745a378932722df287a53',
  CI_PROJECT_URL: 'https://gitlab.com/acme/app',
  GIT_AUTHOR_NAME: 'A U Thor',
  GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'A U Thor',
  GIT_TERMINAL_PROMPT: '0',
  npm_package_name: 'app',
  npm_package_author_name: 'A U Thor',
  npm_lifecycle_event: 'test',
  npm_config_registry: 'https://registry.npmjs.org/',
  npm_execpath: '/usr/lib/node_modules/npm/bin/npm-cli.js',
  NODE_ENV: 'development',
  NODE_EXTRA_CA_CERTS: '/etc/ssl/corp.pem',
  SSL_CERT_FILE: '/etc/ssl/cert.pem',
  REQUESTS_CA_BUNDLE: '/etc/ssl/cert.pem',
  GIT_SSL_CAINFO: '/etc/ssl/cert.pem',
  HTTPS_PROXY: 'http://proxy.corp.example:3128',
  NO_PROXY: 'localhost,127.0.0.1',
  API_URL: 'https://api.example.com/v1?x=1',
  BASE_URL: 'http://localhost:4873/@scope/pkg',
  PORT: '3000',
  DEBUG: 'app:*',
  AWS_REGION: 'eu-central-1',
  KUBE_EDITOR: 'vim',
  TOKENIZERS_PARALLELISM: 'false',
  MAX_THINKING_TOKENS: '8000',
  USE_AUTH: 'true',
  NEXT_PUBLIC_API_KEY_NAME: 'x',
  STRIPE_PUBLISHABLE_KEY: 'pk_test_x',
  MANPATH: '/usr/share/man',
  INFOPATH: '/usr/share/info',
  BASH_COMPAT: '5.1',
  GPG_TTY: '/dev/pts/3',
  HOSTNAME: 'laptop',
  // They only sound or look like something else.
  SSH_URL: 'ssh://git@forge.example/o/r.git',
  SENTRY_DSN: 'https://0123456789abcdef0123456789abcdef@o1.ingest.sentry.io/1',
  DESCRIPTION: 'Basic authentication, or a bearer that nobody-has-ever-seen',
  SUDO_PROMPT: '[sudo] password for %p: ',
  TEMPLATE: 'postgres password=$PASSWORD user=app',
  SEARCH_URL: 'https://example.com/?token=short&auth=1',
  PYTHONPATH: '/home/u/src/app',
  LD_LIBRARY_PATH: '/opt/lib',
  LESSOPEN: '| /usr/bin/lesspipe %s',
}

describe('what a developer needs', () => {
  it('is all still there', () => {
    const { kept, removed } = scrubEnvironment(DEVELOPER)
    expect(removed).toEqual([])
    expect(kept).toEqual(DEVELOPER)
  })

  it('is the well-known part of it with strict, plus what is passed', () => {
    const { kept } = scrubEnvironment(
      { ...DEVELOPER, MY_TOKEN: 'x' },
      { strict: true, pass: ['MY_TOKEN'] },
    )
    expect(kept).toMatchObject({ PATH: DEVELOPER.PATH, HOME: '/home/u', CI: 'true', MY_TOKEN: 'x' })
    expect(kept).not.toHaveProperty('API_URL')
    expect(kept).not.toHaveProperty('GITHUB_SHA')
  })

  it('is not a way for a secret to pass with strict', () => {
    expect(removedNames({ EDITOR: `vim ghp_${letters(36)}` }, { strict: true })).toEqual(['EDITOR'])
  })

  it('keeps a variable called __proto__ a variable', () => {
    const env = Object.fromEntries([['__proto__', 'x']])
    expect(Object.keys(scrubEnvironment(env).kept)).toEqual(['__proto__'])
  })
})
