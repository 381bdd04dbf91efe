import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ensureDaemon } from '../../src/client/daemon-process.ts'
import { VERSION } from '../../src/client/version.ts'
import { FakeDaemon } from './client-fake-daemon.ts'

const STOP = 'POST /v1/daemon/stop'

describe('replacing an older daemon', () => {
  let daemon: FakeDaemon

  beforeEach(async () => {
    daemon = new FakeDaemon('0.0.0-older')
    await daemon.listen()
  })

  afterEach(() => daemon.close())

  /** Answers as the older one until told to stop; then `then` decides what becomes of that answer. */
  function stopping(then: (cut: () => void, refuse: () => void) => void): void {
    const usual = daemon.http
    daemon.http = (request, response) => {
      if (`${request.method} ${request.url}` !== STOP) return usual(request, response)
      then(
        () => response.socket?.destroy(),
        () => response.writeHead(503).end('{}'),
      )
    }
  }

  function ensure() {
    const { home, env, distFolder } = daemon.place()
    return ensureDaemon(home, env, { distFolder })
  }

  it('gives up when the older one refuses to stop', async () => {
    stopping((_cut, refuse) => refuse())
    await expect(ensure()).rejects.toMatchObject({
      code: 'daemon_unreachable',
      message: 'an older daemon refuses to stop',
    })
  })

  it('goes on when the older one takes its answer along', async () => {
    stopping((cut) => {
      Object.assign(daemon.daemon, { pid: process.pid + 1, version: VERSION })
      cut()
    })
    expect(await ensure()).toMatchObject({ version: VERSION, pid: process.pid + 1 })
    expect(daemon.asked).toContain(STOP)
  })
})
