import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { recipePlaces, recipeTexts } from '../../src/launch/recipe/proxied-files.ts'
import { toolNames, toolVariables } from '../../src/launch/recipe/tool-places.ts'
import { makeToolsFolder, toolsBase } from '../../src/launch/recipe/tools-folder.ts'
import { scrubEnvironment } from '../../src/launch/scrub.ts'
import { javaTrustStore } from '../../src/lib/java-trust-store.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recipe-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the places of tools', () => {
  it('are all in the folder, and none of them is the person’s', () => {
    const variables = toolVariables('/t')
    expect(variables['AWS_EC2_METADATA_DISABLED']).toBe('true')
    const { AWS_EC2_METADATA_DISABLED: _, ...places } = variables
    for (const [name, place] of Object.entries(places)) expect(place, name).toMatch(/^\/t\/./)
    expect(new Set(Object.values(places)).size).toBe(Object.keys(places).length)
    for (const name of [
      ...['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE', 'GH_CONFIG_DIR', 'KUBECONFIG'],
      ...['DOCKER_CONFIG', 'PGPASSFILE', 'PGSERVICEFILE', 'CLOUDSDK_CONFIG', 'AZURE_CONFIG_DIR'],
    ]) {
      expect(Object.keys(places)).toContain(name)
    }
  })

  it('of the caller never get through, unless passed', () => {
    for (const name of toolNames().filter((name) => name !== 'AWS_EC2_METADATA_DISABLED')) {
      expect(scrubEnvironment({ [name]: '/home/u/x' }).removed, name).toHaveLength(1)
    }
  })

  it('need no folder where the home is a task’s own; a cloud’s machine is not asked all the same', () => {
    expect(toolVariables(undefined)).toEqual({ AWS_EC2_METADATA_DISABLED: 'true' })
  })

  it('that are passed are left alone', () => {
    expect(toolVariables('/t', ['KUBECONFIG'])).not.toHaveProperty('KUBECONFIG')
    expect(toolVariables('/t', ['KUBECONFIG'])).toHaveProperty('GH_CONFIG_DIR')
    expect(toolNames(['AWS_EC2_METADATA_DISABLED'])).not.toContain('AWS_EC2_METADATA_DISABLED')
  })
})

describe('the folder of a task', () => {
  const gone = () => {
    const { pid } = spawnSync('true')
    return pid
  }
  const leftBehind = (name: string) => {
    mkdirSync(join(folder, name, 'aws'), { recursive: true })
    return join(folder, name)
  }

  it('is refused where the place leads elsewhere', () => {
    mkdirSync(join(folder, 'elsewhere'))
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'tools'))
    expect(() => makeToolsFolder(join(folder, 'tools'))).toThrow(
      /no folder for the task can be made in ".*\/tools"/,
    )
    expect(readdirSync(join(folder, 'elsewhere'))).toEqual([])
  })

  it('is refused where there is no place', () => {
    writeFileSync(join(folder, 'tools'), '')
    expect(() => makeToolsFolder(join(folder, 'tools'))).toThrow(
      expect.objectContaining({ code: 'internal' }),
    )
  })

  it('is the owner’s alone, a new one each time, and gone when removed', () => {
    const [one, other] = [makeToolsFolder(folder), makeToolsFolder(folder)]
    expect(one.path).not.toBe(other.path)
    expect(statSync(one.path).mode & 0o777).toBe(0o700)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    mkdirSync(join(one.path, 'gh'))
    one.remove()
    one.remove()
    expect([existsSync(one.path), existsSync(other.path)]).toEqual([false, true])
    other.remove()
  })

  it('of a process that was killed goes with the next task, and nothing else does', () => {
    const dead = leftBehind(`${gone()}-abcDEF`)
    const kept = [
      leftBehind(`${process.pid}-abcDEF`),
      leftBehind('something'),
      leftBehind('1-short'),
    ]
    makeToolsFolder(folder).remove()
    expect(existsSync(dead)).toBe(false)
    expect(kept.map((path) => existsSync(path))).toEqual([true, true, true])
  })

  it('behind which nothing is followed when it is swept', () => {
    const outside = mkdtempSync(join(tmpdir(), 'outside-'))
    writeFileSync(join(outside, 'precious'), '')
    symlinkSync(outside, join(folder, `${gone()}-abcDEF`))
    symlinkSync(outside, join(leftBehind(`${gone()}-abcDEG`), 'link'))
    makeToolsFolder(folder).remove()
    expect(readdirSync(folder)).toEqual([])
    expect(existsSync(join(outside, 'precious'))).toBe(true)
    rmSync(outside, { recursive: true })
  })

  const MODULE = join(import.meta.dirname, '../../src/launch/recipe/tools-folder.ts')
  const inChild = (program: string) =>
    spawnSync(process.execPath, [
      '--input-type=module',
      '-e',
      `import { makeToolsFolder } from ${JSON.stringify(MODULE)}
       const tools = makeToolsFolder(${JSON.stringify(folder)})
       ${program}`,
    ])

  it('goes when its process exits, and stays when it is killed', () => {
    expect(inChild('process.exit(0)').status).toBe(0)
    expect(readdirSync(folder)).toEqual([])
    expect(inChild('process.kill(process.pid, "SIGKILL")').signal).toBe('SIGKILL')
    expect(readdirSync(folder)).toHaveLength(1)
  })

  it('that was left for a task that goes on is swept after its time, not before', () => {
    const until = new Date('2026-01-01T12:00:00Z')
    expect(inChild(`tools.leaveUntil(new Date(${until.getTime()}))`).status).toBe(0)
    const [name = ''] = readdirSync(folder)
    makeToolsFolder(folder, new Date(until.getTime() - 1)).remove()
    expect(readdirSync(folder)).toEqual([name])
    makeToolsFolder(folder, until).remove()
    expect(readdirSync(folder)).toEqual([])
  })

  it('of a task in a task is not in the broker’s own', () => {
    expect(toolsBase({ run: '/run/user/1/broker' }, false)).toBe('/run/user/1/broker/tools')
    expect(toolsBase({ run: '/run/user/1/broker' }, true)).toMatch(/\/broker-tools-\d+$/)
  })
})

describe('settings for programs that obey no variable', () => {
  it('name the roots, whatever the path has in it', () => {
    const texts = (bundle: string) => [...recipeTexts(recipePlaces('/t'), bundle).values()].join('')
    expect(texts("/home/o'brien/b.pem")).toContain('curl.cainfo="/home/o\'brien/b.pem"')
    const looksFilledIn = '/a $' + '{HOME}/b.pem'
    expect(texts(looksFilledIn)).toContain(`openssl.cafile='${looksFilledIn}'`)
    expect(texts('/t/b.pem')).toContain('ca_certificate = /t/b.pem\n')
  })

  const keytool = (store: Uint8Array, ...args: string[]) => {
    writeFileSync(join(folder, 'roots.jks'), store)
    const shown = spawnSync('keytool', ['-list', '-keystore', join(folder, 'roots.jks'), ...args])
    if (!shown.error) return `${shown.stdout}${shown.stderr}`
    console.warn('SKIPPED: no keytool here')
    return undefined
  }
  const roots = rootCertificates
    .slice(0, 3)
    .map((pem) => Buffer.from(pem.replace(/-----[^-]*-----|\s/g, ''), 'base64'))

  it('for Java: a damaged one is refused by it', () => {
    const store = javaTrustStore(roots)
    store[store.length - 30] = (store.at(-30) ?? 0) ^ 1
    const shown = keytool(store, '-storepass', 'changeit')
    if (shown !== undefined) expect(shown).toMatch(/tampered|exception/i)
  })

  it('for Java: it reads all roots out of it', () => {
    const shown = keytool(javaTrustStore(roots), '-storepass', 'changeit')
    if (shown === undefined) return
    expect(shown).toContain('contains 3 entries')
    expect(shown.match(/trustedCertEntry/g)).toHaveLength(3)
  })
})
