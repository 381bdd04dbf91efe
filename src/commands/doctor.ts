import { homedir } from 'node:os'
import { Flags } from '@oclif/core'
import type { DoctorReport } from '../api/types.ts'
import { BrokerCommand } from '../cli/base-command.ts'
import { doctorText, hasProblem } from '../cli/finding-text.ts'
import { isolationSection } from '../cli/isolation-checks.ts'
import { daemonSection, localSection } from '../cli/local-checks.ts'
import { isBrokerError } from '../errors.ts'
import { machineLevel } from '../launch/machine-level.ts'

export default class Doctor extends BrokerCommand {
  static override summary = 'Say what protects this machine, and what does not'
  static override description =
    'Says something useful also when the daemon cannot start. Exit code 1 when there is a problem; warnings alone are 0.'
  static override examples = ['broker doctor', 'broker doctor --probe', 'broker doctor --json']
  static override flags = {
    probe: Flags.boolean({
      description: 'try out how narrow each grant is: who enforces what, and what nobody does',
    }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Doctor)
    // First the daemon: starting it makes the folders that are looked at next.
    const daemon = await this.daemonSections(flags.probe)
    const local = [localSection(this.home), isolationSection(await this.reachedLevel())]
    const report: DoctorReport = { sections: [...local, ...daemon] }
    this.show(report, doctorText)
    if (hasProblem(report)) process.exitCode = 1
  }

  private reachedLevel() {
    const { config, state, run } = this.home
    const home = this.env['HOME'] || homedir()
    return machineLevel({ env: this.env, home, brokerFolders: [config, state, run] })
  }

  private async daemonSections(probe: boolean): Promise<DoctorReport['sections']> {
    try {
      const report = await this.request<DoctorReport>(
        'doctor',
        probe ? { query: { probe: '1' } } : {},
        'looking around',
      )
      return report.sections
    } catch (error) {
      // A task is refused, which is no problem of this machine.
      if (!isBrokerError(error) || this.env['BROKER_HANDLE']) throw error
      return [daemonSection(error)]
    }
  }
}
