import { Flags } from '@oclif/core'
import { exitCode } from '../../api/status.ts'
import type { TestResult } from '../../api/types.ts'
import { required } from '../../cli/arguments.ts'
import { readClaims, requireFileName } from '../../cli/claims-source.ts'
import { readText } from '../../cli/input.ts'
import { ServerCommand } from '../../cli/server-command.ts'
import { requireValid } from '../../cli/template-issues.ts'
import { testRemarks, testText } from '../../cli/template-test-text.ts'
import { remark } from '../../cli/terminal.ts'
import { BrokerError } from '../../errors.ts'

export default class TemplateTest extends ServerCommand {
  static override summary = "Try an identity token's claims on the trust rules of a broker.yaml"
  static override description =
    'Says for each oidc rule whether it lets the token in, or which claim does not. FILE need not be applied. The signature and the times of the token are not checked, and its issuer is not asked. Exit code 0 when a rule lets it in, 3 when none does.'
  static override examples = [
    'broker template test broker.yaml --claims claims.json',
    'broker template test broker.yaml --claims token.jwt --audience https://broker.example',
    'printf %s "$ID_TOKEN" | broker template test broker.yaml --claims -',
  ]
  static override args = {
    file: required({ description: 'path, or - for standard input' }),
  }
  static override flags = {
    claims: Flags.string({
      description:
        'a file with a JSON object of claims or a whole identity token, or - for standard input',
      helpValue: 'FILE',
      required: true,
    }),
    audience: Flags.string({
      description: "the server's public URL, which a rule without an audience takes",
      helpValue: 'URL',
    }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(TemplateTest)
    if (args.file === '-' && flags.claims === '-') throw onlyOnce()
    requireFileName(flags.claims)
    const text = await readText(args.file)
    const source = flags.claims === '-' ? 'standard input' : flags.claims
    const { claims, fromToken } = readClaims(await readText(flags.claims), source)
    const { audience } = flags
    const body = { text, claims, ...(audience !== undefined && { audience }) }
    const result = await this.request<TestResult>('testTemplates', { body })
    requireValid(args.file, result, this.json)
    this.show(result, testText)
    if (!this.json) remark(testRemarks(result, fromToken))
    if (result.admitted.length === 0) process.exitCode = exitCode('denied')
  }
}

function onlyOnce(): BrokerError {
  return new BrokerError('usage', 'FILE and --claims cannot both be standard input', {
    hint: 'give one of them as the path of a file',
  })
}
