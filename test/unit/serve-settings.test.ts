import { describe, expect, it } from 'vitest'
import { readSettings, type ServeFlags } from '../../src/daemon/serve/settings.ts'

const FLAGS: ServeFlags = {
  listen: '127.0.0.1:8443',
  plainHttp: false,
  allowPrivateIssuers: false,
  logFormat: null,
}
const TLS = { tlsCert: '/c.pem', tlsKey: '/k.pem' }

describe('serving is refused', () => {
  const cases: readonly [name: string, flags: Partial<ServeFlags>, message: string][] = [
    [
      'without a certificate',
      {},
      'serving needs a certificate: tokens are never taken in clear text',
    ],
    ['with a certificate alone', { tlsCert: '/c.pem' }, '"--tls-key" is missing'],
    ['with a key alone', { tlsKey: '/k.pem' }, '"--tls-cert" is missing'],
    [
      'in clear text and with a certificate',
      { ...TLS, plainHttp: true },
      '--plain-http and a certificate exclude each other',
    ],
    ...[
      '0.0.0.0',
      '10.0.0.1',
      'broker.example',
      '[::]',
      '[2001:db8::1]',
      '[::ffff:10.0.0.1]',
      '[::ffff:0.0.0.0]',
    ].map((host): [string, Partial<ServeFlags>, string] => [
      `in clear text on ${host}`,
      { plainHttp: true, listen: `${host}:8443` },
      `plain HTTP is not served on "${host.replace(/[[\]]/g, '')}"`,
    ]),
    ...[
      'x',
      ':8443',
      '127.0.0.1',
      '127.0.0.1:',
      '127.0.0.1:0',
      '127.0.0.1:65536',
      '127.0.0.1:8443:1',
      '::1:8443',
      '[x]:1',
      'https://a:1',
    ].map((listen): [string, Partial<ServeFlags>, string] => [
      `on "${listen}"`,
      { ...TLS, listen },
      `"${listen}" is not an address to listen on`,
    ]),
    ...['0.0.0.0:443', '[::]:443', '[::ffff:0.0.0.0]:443'].map(
      (listen): [string, Partial<ServeFlags>, string] => [
        `under the name ${listen}`,
        { ...TLS, listen },
        `"${listen}" is every address of this machine, and no name for it`,
      ],
    ),
    [
      'with a public URL that is not https',
      { ...TLS, publicUrl: 'http://broker.example' },
      'the public URL "http://broker.example" is not https',
    ],
    ...[
      'broker.example',
      'https://Broker.example',
      'https://broker.example/path',
      'https://broker.example:443',
      'https://broker.example?x',
      'https://u@broker.example',
      'ftp://broker.example',
    ].map((publicUrl): [string, Partial<ServeFlags>, string] => [
      `with the public URL "${publicUrl}"`,
      { ...TLS, publicUrl },
      `"${publicUrl}" is not a public URL`,
    ]),
  ]
  it.each(cases)('%s', (_name, flags, message) => {
    expect(() => readSettings({ ...FLAGS, ...flags })).toThrow(
      expect.objectContaining({ code: 'usage', message }),
    )
  })
})

describe('the settings of a server', () => {
  it('name it by its address, where nothing else is said', () => {
    expect(readSettings({ ...FLAGS, ...TLS })).toEqual({
      host: '127.0.0.1',
      port: 8443,
      tls: { certFile: '/c.pem', keyFile: '/k.pem' },
      publicUrl: 'https://127.0.0.1:8443',
      issuerCaFile: null,
      privateIssuers: false,
    })
  })

  it.each(['127.0.0.1', 'localhost', '[::1]'])('take plain HTTP on %s', (host) => {
    const settings = readSettings({ ...FLAGS, plainHttp: true, listen: `${host}:80` })
    expect(settings).toMatchObject({ tls: null, publicUrl: `http://${host}` })
  })

  it('take a public URL with or without its final slash', () => {
    for (const publicUrl of ['https://broker.example', 'https://broker.example/']) {
      const settings = readSettings({ ...FLAGS, ...TLS, publicUrl, listen: '[::]:443' })
      expect(settings).toMatchObject({ host: '::', publicUrl: 'https://broker.example' })
    }
  })
})
