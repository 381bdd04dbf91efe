import { describe, expect, it } from 'vitest'
import { type IsolationFacts, planIsolation, workTreeOf } from '../../src/launch/isolate/plan.ts'
import { fakeFiles } from './fake-files.ts'

const MACHINE: Record<string, string> = {
  '/usr/bin/tool': '',
  '/bin': '-> usr/bin',
  '/lib64': '-> usr/lib64',
  '/usr/lib64/': '',
  '/etc/passwd': 'root',
  '/etc/shadow': 'root:x',
  '/etc/ssl/certs/ca-certificates.crt': 'roots',
  '/etc/ssl/cert.pem': '-> certs/ca-certificates.crt',
  '/etc/resolv.conf': '-> ../run/systemd/resolve/stub-resolv.conf',
  '/run/systemd/resolve/stub-resolv.conf': 'nameserver',
  '/proc/sys/kernel': '',
  '/home/u/.aws/credentials': 'key',
  '/home/u/.vimrc': 'set nu',
  '/home/u/.nvm/nvm.sh': '',
  '/home/u/.gitconfig': '[user]\n\tname = u\n[credential]\n\thelper = store\n',
  '/home/u/.local/state/broker/broker.sqlite': 'x',
  '/home/u/p/.git/config': '[core]',
  '/home/u/p/.git/HEAD': 'ref',
  '/home/u/p/.git/hooks/pre-push': '-> ../../scripts/push.sh',
  '/home/u/p/scripts/push.sh': '#!/bin/sh',
  '/home/u/p/.env': 'KEY=1',
  '/home/u/p/.env.example': 'KEY=',
  '/home/u/p/app/.env.local': 'KEY=2',
  '/home/u/p/node_modules/x/.env': 'no',
  '/home/u/p/link.env': '-> app/odd',
  '/home/u/p/app/odd': 'KEY=3',
  '/home/u/p/run.sock': 'socket:',
  '/home/u/p/.mcp.json': '{}',
  '/opt/broker/node': '',
  '/opt/broker/inside.cjs': '',
  '/lease/bundle.pem': '',
  '/lease/ca.pem': '',
  '/lease/proxy.sock': 'socket:',
}

const FACTS: IsolationFacts = {
  level: 'confine',
  uid: 1000,
  home: '/home/u',
  cwd: '/home/u/p',
  workTree: '/home/u/p',
  environment: {
    PATH: '/usr/bin:/bin',
    TOKEN: 'value-of-a-secret',
    XDG_RUNTIME_DIR: '/run/user/1000',
  },
  command: '/usr/bin/tool',
  leaseFolder: '/lease',
  cacheFolder: '/caches',
  brokerFolders: ['/home/u/.local/state/broker'],
  trust: { bundleFile: '/lease/bundle.pem', addedFile: '/lease/ca.pem' },
  names: [],
  ownFolders: [],
  relays: [{ host: '127.0.0.1', port: 8080, from: '/lease/proxy.sock' }],
  machine: 'x64',
  terminalInput: true,
  sockets: [],
  allowWrite: [],
  agentState: [],
  alsoRead: [],
  inside: { node: '/opt/broker/node', program: '/opt/broker/inside.cjs' },
}

const plan = (
  facts: Partial<IsolationFacts> = {},
  more: Record<string, string> = {},
  modes: Record<string, number> = {},
) => planIsolation({ ...FACTS, ...facts }, fakeFiles({ ...MACHINE, ...more }, modes))

/** What is mounted, in order: `[option, from, to]`, or `[option, to]`. */
function mounts(args: readonly string[]): string[][] {
  const found: string[][] = []
  for (let at = 0; at < args.length; at++) {
    const option = args[at] ?? ''
    if (['--ro-bind', '--bind', '--symlink'].includes(option)) found.push(args.slice(at, at + 3))
    else if (['--tmpfs', '--dev', '--proc'].includes(option)) found.push(args.slice(at, at + 2))
  }
  return found
}
const at = (args: readonly string[], path: string) => mounts(args).filter((m) => m.at(-1) === path)

describe('a work tree is refused', () => {
  it.each([
    ['/home/u', 'it holds the whole home'],
    ['/home', 'it holds the whole home'],
    ['/', 'it holds the whole home'],
    ['/etc', 'it belongs to the system'],
    ['/home/u/.aws', 'it is a place of keys'],
    ['/home/u/.local/state/broker', "it is the broker's own"],
  ])('%s: %s', (workTree, why) => {
    expect(() => plan({ workTree })).toThrow(
      expect.objectContaining({
        code: 'isolation_unavailable',
        message: `"${workTree}" cannot be a work tree: ${why}`,
      }),
    )
  })

  it('through a link to such a place as well', () => {
    expect(() => plan({ workTree: '/home/u/q' }, { '/home/u/q': '-> .aws' })).toThrow(
      expect.objectContaining({
        code: 'isolation_unavailable',
        message: '"/home/u/.aws" cannot be a work tree: it is a place of keys',
      }),
    )
  })

  it('with a run-later file that is a link, which a mount would follow', () => {
    const more = { '/home/u/p/.mcp.json': '-> other.json', '/home/u/p/other.json': '{}' }
    expect(() => plan({}, more)).toThrow(
      expect.objectContaining({
        code: 'isolation_unavailable',
        message: '"/home/u/p/.mcp.json" is a link and cannot be protected',
      }),
    )
    expect(() => plan({ allowWrite: ['/home/u/p/other.json'] }, more)).toThrow(expect.anything())
  })
})

describe('the arguments', () => {
  it('drop every capability, for everybody', () => {
    for (const uid of [0, 1000]) {
      expect(plan({ uid }).arguments.join(' ')).toContain('--cap-drop ALL')
    }
  })

  it('take the network away for confine alone', () => {
    expect(plan().arguments).toContain('--unshare-net')
    expect(plan({ level: 'mask' }).arguments).not.toContain('--unshare-net')
    expect(plan({ level: 'mask' }).relays).toEqual([])
    expect(plan().relays).toEqual([
      { host: '127.0.0.1', port: 8080, path: '/run/broker/relay-0.sock' },
    ])
  })

  it('never fork off user namespaces for the task, which builds sandboxes of its own', () => {
    expect(plan().arguments).not.toContain('--disable-userns')
  })

  it('hold no value of the environment', () => {
    expect(plan().arguments.join(' ')).not.toContain('value-of-a-secret')
    expect(plan().arguments).not.toContain('--setenv')
  })

  it('mount parents before what is in them', () => {
    const places = mounts(plan().arguments).map((mount) => mount.at(-1) ?? '')
    for (const [index, place] of places.entries()) {
      expect(places.slice(0, index).filter((before) => before.startsWith(`${place}/`))).toEqual([])
    }
    expect(new Set(places).size).toBe(places.length)
  })

  it('bind nothing that is not there', () => {
    const files = fakeFiles(MACHINE)
    const made = new Set([...plan().copies.keys(), ...plan().folders])
    for (const [option, from] of mounts(plan().arguments)) {
      if (
        option === '--symlink' ||
        option === '--tmpfs' ||
        option === '--dev' ||
        option === '--proc'
      )
        continue
      expect(files.entry(from ?? '') ?? made.has(from ?? ''), from).toBeTruthy()
    }
  })

  it('put nothing where a link stands', () => {
    const files = fakeFiles(MACHINE)
    for (const [option, ...rest] of mounts(plan().arguments)) {
      if (option !== '--symlink')
        expect(files.entry(rest.at(-1) ?? '')?.kind, rest.at(-1)).not.toBe('link')
    }
    expect(at(plan().arguments, '/bin')).toEqual([['--symlink', 'usr/bin', '/bin']])
  })

  it('ask for a session without the terminal only where nothing else helps, and say so', () => {
    expect(plan().arguments).not.toContain('--new-session')
    expect(plan({ machine: 'riscv64' }).arguments).toContain('--new-session')
    expect(plan({ machine: 'riscv64' }).remarks.join()).toContain('no terminal of its own')
    expect(plan({ machine: 'riscv64', terminalInput: false }).arguments).not.toContain(
      '--new-session',
    )
  })
})

describe('the system', () => {
  it("is read-only, and the shared places are the task's own", () => {
    const { arguments: args } = plan()
    expect(at(args, '/usr')).toEqual([['--ro-bind', '/usr', '/usr']])
    expect(at(args, '/etc')).toEqual([['--ro-bind', '/etc', '/etc']])
    for (const path of ['/tmp', '/run', '/var/tmp'])
      expect(at(args, path)).toEqual([['--tmpfs', path]])
    expect(at(args, '/proc')).toEqual([['--proc', '/proc']])
  })

  it('shows root what anyone may read, and lets it set nothing in the kernel', () => {
    const { arguments: args } = plan({ uid: 0 }, {}, { '/etc/shadow': 0o640 })
    expect(at(args, '/etc/shadow')).toEqual([['--ro-bind', '/lease/inside/empty', '/etc/shadow']])
    expect(at(args, '/etc/passwd')).toEqual([])
    expect(at(args, '/proc/sys')).toEqual([['--ro-bind', '/proc/sys', '/proc/sys']])
    expect(at(plan().arguments, '/proc/sys')).toEqual([])
  })

  it("has the lease's roots once, where the link leads", () => {
    const { arguments: args } = plan()
    expect(at(args, '/etc/ssl/certs/ca-certificates.crt')).toEqual([
      ['--ro-bind', '/lease/bundle.pem', '/etc/ssl/certs/ca-certificates.crt'],
    ])
    expect(at(args, '/etc/ssl/cert.pem')).toEqual([])
  })

  it('has what is ours by one mount where it stands ready, and roots that no variable names over its own alone', () => {
    const inside = { ...FACTS.inside, folder: '/lease/at-inside' }
    const bundleFile = '/lease/bundle.pem'
    const trust = { bundleFile, addedFile: bundleFile, unnamed: true } as const
    const { arguments: args } = plan({ inside, trust, relays: [] }, { '/lease/at-inside/node': '' })
    expect(at(args, '/run/broker')).toEqual([['--ro-bind', '/lease/at-inside', '/run/broker']])
    expect(at(args, '/run/broker/node')).toEqual([
      ['--ro-bind', '/opt/broker/node', '/run/broker/node'],
    ])
    expect(at(args, '/run/broker/inside.cjs')).toEqual([])
    expect(at(args, bundleFile)).toEqual([])
    expect(at(args, '/etc/ssl/certs/ca-certificates.crt')[0]?.[1]).toBe(bundleFile)
    expect(at(plan().arguments, '/run/broker')).toEqual([['--tmpfs', '/run/broker']])
    expect(at(plan().arguments, bundleFile)).toEqual([['--ro-bind', bundleFile, bundleFile]])
  })

  it("resolves names where the resolver's file is a link into /run", () => {
    const path = '/run/systemd/resolve/stub-resolv.conf'
    expect(at(plan().arguments, path)).toEqual([['--ro-bind', path, path]])
  })
})

describe('the home', () => {
  it('is empty but for what is named', () => {
    const { arguments: args, copies } = plan()
    const inHome = mounts(args)
      .map((mount) => mount.at(-1) ?? '')
      .filter((path) => path.startsWith('/home/u/') && !path.startsWith('/home/u/p'))
    expect(at(args, '/home/u')).toEqual([['--tmpfs', '/home/u']])
    expect(
      inHome.filter((path) => !at(args, path)[0]?.[1]?.startsWith('/run/broker/caches/')),
    ).toEqual(['/home/u/.nvm', '/home/u/.vimrc', '/home/u/.gitconfig'])
    expect(copies.get('/lease/inside/home-.gitconfig')).toBe('[user]\n\tname = u')
  })

  it('shows a linked setting, and no link that leads to keys', () => {
    const more = {
      '/home/u/.vimrc': '-> dot/vimrc',
      '/home/u/dot/vimrc': 'x',
      '/home/u/.inputrc': '-> .aws/credentials',
    }
    const { arguments: args } = plan({}, more)
    expect(at(args, '/home/u/.vimrc')).toEqual([
      ['--ro-bind', '/home/u/dot/vimrc', '/home/u/.vimrc'],
    ])
    expect(at(args, '/home/u/.inputrc')).toEqual([])
  })

  it('is found where a linked $HOME leads', () => {
    const { arguments: args } = plan({ home: '/h' }, { '/h': '-> /home/u' })
    expect(at(args, '/h')).toEqual([['--symlink', '/home/u', '/h']])
    expect(at(args, '/home/u')).toEqual([['--tmpfs', '/home/u']])
  })

  it('gets folders of PATH, but none with the home or the broker in it, nor one of the broker', () => {
    const PATH = '/usr/bin:/home:/home/u/.local/state/broker/bin:/srv/tools:relative'
    const more = { '/srv/tools/x': '', '/home/u/.local/state/broker/bin/x': '' }
    const { arguments: args } = plan({ environment: { PATH } }, more)
    expect(at(args, '/srv/tools')).toEqual([['--ro-bind', '/srv/tools', '/srv/tools']])
    expect(at(args, '/home')).toEqual([])
    expect(at(args, '/home/u/.local/state/broker/bin')).toEqual([])
  })
})

describe('the work tree', () => {
  const { arguments: args, masked, runLater } = plan()
  const p = '/home/u/p'

  it('is writable, with the folder above a protected file held in place', () => {
    expect(at(args, p)).toEqual([['--bind', p, p]])
    expect(at(args, `${p}/.git`)).toEqual([['--bind', `${p}/.git`, `${p}/.git`]])
    for (const path of ['.git/config', '.git/hooks', '.mcp.json', 'scripts/push.sh']) {
      expect(at(args, `${p}/${path}`)).toEqual([['--ro-bind', `${p}/${path}`, `${p}/${path}`]])
    }
  })

  it('has its secret files empty, by name and by what a link of such a name leads to', () => {
    expect(masked).toEqual([`${p}/.env`, `${p}/app/odd`, `${p}/app/.env.local`])
    for (const path of masked)
      expect(at(args, path)).toEqual([['--ro-bind', '/lease/inside/empty', path]])
    expect(at(args, `${p}/run.sock`)).toEqual([
      ['--ro-bind', '/lease/inside/empty', `${p}/run.sock`],
    ])
  })

  it('keeps its secrets where a whole folder may be written, and shows the one that was named', () => {
    expect(plan({ allowWrite: [p] }).masked).toEqual(masked)
    expect(plan({ allowWrite: [p] }).held).toEqual([])
    expect(plan({ allowWrite: [`${p}/.env`] }).masked).not.toContain(`${p}/.env`)
  })

  it('names run-later files that are not there yet, to be looked for at the end', () => {
    expect(runLater).toContain(`${p}/.cursor`)
    expect(at(args, `${p}/.cursor`)).toEqual([])
  })

  it('shuts a folder of the broker in it', () => {
    const inside = plan({ brokerFolders: [`${p}/.broker`] }, { [`${p}/.broker/state/x`]: '' })
    expect(at(inside.arguments, `${p}/.broker`)).toEqual([['--tmpfs', `${p}/.broker`]])
  })

  it('lets in the repository of a linked work tree only if that names it too', () => {
    const linked: Record<string, string> = {
      '/src/w/.git': 'gitdir: /src/main/.git/worktrees/w\n',
      '/src/main/.git/worktrees/w/commondir': '../..\n',
      '/src/main/.git/worktrees/w/gitdir': '/src/w/.git\n',
      '/src/main/.git/objects/x': '',
      '/src/main/.git/config': '',
    }
    const facts = { workTree: '/src/w', cwd: '/src/w' }
    const believed = plan(facts, linked).arguments
    expect(at(believed, '/src/main/.git')).toEqual([['--bind', '/src/main/.git', '/src/main/.git']])
    expect(at(believed, '/src/main/.git/config')[0]?.[0]).toBe('--ro-bind')
    expect(at(believed, '/src/w/.git')[0]?.[0]).toBe('--ro-bind')
    const forged = { ...linked, '/src/main/.git/worktrees/w/gitdir': '/src/other/.git\n' }
    expect(at(plan(facts, forged).arguments, '/src/main/.git')).toEqual([])
  })

  it('is the nearest repository, never the home or above', () => {
    const files = fakeFiles({ ...MACHINE, '/home/u/.git/HEAD': '', '/home/u/q/deep/x': '' })
    expect(workTreeOf('/home/u/p/app', '/home/u', files)).toBe('/home/u/p')
    expect(workTreeOf('/home/u/q/deep', '/home/u', files)).toBe('/home/u/q/deep')
  })
})
