import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Command, Flags } from '@oclif/core'
import { runningDaemon } from '../cli/daemon-probe.ts'
import { refuseInTask } from '../cli/inside-task.ts'
import { type Served, servedText } from '../cli/serve-text.ts'
import { lookOf, print } from '../cli/terminal.ts'
import { BrokerError } from '../errors.ts'
import { resolveHome } from '../lib/home.ts'

interface DaemonBundle {
  /** Resolves when it was told to stop, or at once when a daemon holds the home. */
  serveInForeground(
    flags: Readonly<Record<string, unknown>>,
    onServing: (served: Served) => void,
  ): Promise<'already running' | 'stopped'>
}

declare const __BROKER_TEST_BUILD__: boolean

export default class Serve extends Command {
  static override summary = 'Serve CI jobs over TLS: identity tokens against credentials of one run'
  static override description = [
    'Runs in the foreground, as the daemon of this home: what was connected and applied here is what is served.',
    'Ends on SIGTERM or Ctrl-C, after the requests under way. SIGHUP takes up a renewed certificate; a change of',
    'its files is noticed within a minute. The log goes to standard error.',
  ].join(' ')
  static override examples = [
    'broker serve --listen 0.0.0.0:8443 --public-url https://broker.example.com --tls-cert server.pem --tls-key server.key',
    'broker serve --plain-http',
  ]

  static override flags = {
    listen: Flags.string({
      summary: 'address and port to listen on',
      helpValue: 'HOST:PORT',
      default: '127.0.0.1:8443',
    }),
    'tls-cert': Flags.string({
      summary: 'certificate chain, PEM, its own first',
      helpValue: 'FILE',
    }),
    'tls-key': Flags.string({ summary: "the certificate's private key, PEM", helpValue: 'FILE' }),
    'plain-http': Flags.boolean({ summary: 'without TLS, on this machine alone, to try it' }),
    'public-url': Flags.string({
      summary:
        'how clients reach it, and the audience of identity tokens; default https://HOST:PORT',
      helpValue: 'URL',
    }),
    'issuer-ca': Flags.string({
      summary: 'roots of issuers of your own, PEM, besides the public ones',
      helpValue: 'FILE',
    }),
    'allow-private-issuers': Flags.boolean({
      summary: 'let issuers be in private networks and on this machine',
    }),
    'log-format': Flags.string({
      summary:
        'one line of text or one JSON object for each event; default json, on a terminal text',
      options: ['json', 'text'],
    }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Serve)
    refuseInTask(process.env, 'serve')
    // By path at run time: the one place where the command line becomes the server.
    const path = join(this.config.root, 'dist', 'daemon', 'main.js')
    const { serveInForeground }: DaemonBundle = await import(pathToFileURL(path).href)
    const look = lookOf(process.stdout, process.env)
    const outcome = await serveInForeground(
      {
        listen: flags.listen,
        tlsCert: flags['tls-cert'],
        tlsKey: flags['tls-key'],
        plainHttp: flags['plain-http'],
        publicUrl: flags['public-url'],
        issuerCa: flags['issuer-ca'],
        allowPrivateIssuers: flags['allow-private-issuers'],
        logFormat: flags['log-format'] ?? null,
        limits: testLimits(),
      },
      (served) => print(servedText(served, look)),
    )
    if (outcome === 'already running') throw await alreadyRunning()
  }

  protected override async catch(error: Error): Promise<never> {
    throw error
  }
}

/** Tests run into the limits of a server on purpose, or keep out of their way. */
function testLimits(): unknown {
  if (!__BROKER_TEST_BUILD__) return undefined
  const text = process.env['BROKER_TEST_LIMITS']
  return text === undefined ? undefined : JSON.parse(text)
}

async function alreadyRunning(): Promise<BrokerError> {
  const health = await runningDaemon(resolveHome(process.env))
  const pid = health === null ? '' : `, pid ${health.pid}`
  return new BrokerError('conflict', `a daemon of this home runs already${pid}`, {
    hint: 'end it with broker daemon stop, and serve then: it does what the daemon did as well',
  })
}
