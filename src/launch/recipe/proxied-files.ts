import { join } from 'node:path'

/** Settings files for programs that take the task's roots from no variable of their own. */
export interface RecipePlaces {
  readonly wgetrc: string
  /** A folder with an empty `.curlrc`: the person's own may name a proxy, or a login. */
  readonly curlHome: string
  readonly phpFolder: string
  readonly javaTrustStore: string
}

/** Where they stand below a folder of the lease's own. */
export function recipePlaces(folder: string): RecipePlaces {
  return {
    wgetrc: join(folder, 'wgetrc'),
    curlHome: folder,
    phpFolder: join(folder, 'php'),
    javaTrustStore: join(folder, 'roots.jks'),
  }
}

/** Path → text of what has to be written there, but for Java's. Pure. */
export function recipeTexts(places: RecipePlaces, bundleFile: string): ReadonlyMap<string, string> {
  return new Map([
    // wget of GnuTLS reads no variable. This takes the place of ~/.wgetrc.
    [places.wgetrc, `ca_certificate = ${bundleFile}\n`],
    [join(places.curlHome, '.curlrc'), ''],
    [
      join(places.phpFolder, 'broker.ini'),
      `curl.cainfo=${quoted(bundleFile)}\nopenssl.cafile=${quoted(bundleFile)}\n`,
    ],
  ])
}

/** What a Java program needs to go through the proxy and to trust it; it obeys no other variable. Pure. */
export function javaOptions(proxyUrl: string, trustStore: string): string {
  const { hostname, port } = new URL(proxyUrl)
  return [
    ...['http', 'https'].flatMap((scheme) => [
      `-D${scheme}.proxyHost=${hostname}`,
      `-D${scheme}.proxyPort=${port}`,
    ]),
    `-Djavax.net.ssl.trustStore=${quoted(trustStore)}`,
    '-Djavax.net.ssl.trustStoreType=JKS',
  ].join(' ')
}

/** Neither of both formats knows an escape that the other knows, but both know either quote. */
function quoted(path: string): string {
  return path.includes("'") ? `"${path}"` : `'${path}'`
}
