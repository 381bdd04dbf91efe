import { Flags } from '@oclif/core'
import type { LeaseList, LeaseView } from '../api/types.ts'
import { follow } from '../cli/follow.ts'
import { leaseRows, NO_TOKENS, noLeases } from '../cli/lease-text.ts'
import { WATCHED_LEASES } from '../cli/lease-watch.ts'
import { pagesOf, printJsonList, printNewest } from '../cli/pages.ts'
import { ServerCommand } from '../cli/server-command.ts'

const PAGE = 200

export default class Tokens extends ServerCommand {
  static override summary = 'List which tokens are live, and who holds them'
  static override description =
    'Live means: it works, or it may still work. A grant that could not be revoked yet is listed as "possibly live until" or "stuck", with the reason. For what goes through the proxy of a lease the decisions are counted, and a key that is not the lease\'s own but was tried there is told. Inside a task, the task sees itself only.'
  static override examples = [
    'broker tokens',
    'broker tokens --env staging --watch',
    'broker tokens --all --json | jq ".leases[] | select(.state == \\"failed\\")"',
  ]
  static override flags = {
    env: Flags.string({ helpValue: 'NAME', description: 'only those for this environment' }),
    all: Flags.boolean({ description: 'ended ones too' }),
    watch: Flags.boolean({ char: 'w', description: 'follow changes, until Ctrl-C' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Tokens)
    const state = flags.all ? 'all' : 'live'
    // Nothing may be drawn over the picture of --watch.
    const waiting = flags.watch ? null : 'listing'
    const fetch = (cursor?: string) => this.page({ state, environment: flags.env, cursor }, waiting)
    const pages = pagesOf(async (cursor) => {
      const { leases, nextCursor } = await fetch(cursor)
      return { items: leases, nextCursor }
    })
    if (flags.watch) {
      const show = (id: string) => this.request<LeaseView>('showLease', { params: { id } }, null)
      const live = async () => (await fetch()).leases
      await follow({ fetch: live, show }, WATCHED_LEASES, this.look, this.json)
    } else if (this.json) await printJsonList('leases', pages)
    else await this.list(pages, flags.all ? noLeases(flags.env) : NO_TOKENS)
  }

  private page(
    query: Record<string, string | undefined>,
    waiting: string | null,
  ): Promise<LeaseList> {
    return this.request('listLeases', { query: { ...query, limit: String(PAGE) } }, waiting)
  }

  private async list(
    pages: AsyncIterable<readonly LeaseView[]>,
    nothing: readonly string[],
  ): Promise<void> {
    const rows = (leases: readonly LeaseView[]) => leaseRows(leases, Date.now(), this.look)
    const advice = 'narrow them with --env, or use --json'
    const shown = await printNewest(pages, rows, this.look, advice)
    if (shown === 0) this.nothing(nothing)
  }
}
