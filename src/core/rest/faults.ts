import { CHARSETS, parametersOf, phantomBits, type RestDefinition } from './definition.ts'
import { operationFaults } from './operation-faults.ts'
import { parsePath } from './path-template.ts'
import { type Fault, isFreeHeader, placeFaults } from './place-faults.ts'

/** What a guesser has to get right; RFC 6749 §10.10 asks for the same. */
const LEAST_BITS = 128

/** Names only: an address has no owner that a certificate could name for good. */
const HOST =
  /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/
/** Names that would change how the task's programs run, or that the broker itself sets. */
const RESERVED_VARIABLE =
  /^(?:BROKER_.*|(?:HTTPS?|ALL|FTP|NO)_PROXY|PATH|HOME|SHELL|USER|IFS|ENV|BASH_ENV|TMPDIR|LD_.*|DYLD_.*|NODE_.*|PYTHON.*|PERL5?.*|RUBY.*|GIT_.*|SSL_CERT_.*|.*_CA_BUNDLE|CURL_CA_BUNDLE)$/i

/** Everything that is wrong with a definition; none: it may be used. Pure. */
export function faultsOf(definition: RestDefinition): readonly Fault[] {
  return [
    ...hostFaults(definition),
    ...credentialFaults(definition),
    ...phantomFaults(definition),
    ...environmentFaults(definition),
    ...variableFaults(definition),
    ...checkFaults(definition),
    ...operationFaults(definition),
  ]
}

function hostFaults({ hosts }: RestDefinition): Fault[] {
  return hosts.flatMap((host, index) => {
    const path = ['hosts', index]
    if (!HOST.test(host)) {
      return [
        {
          path,
          message: 'a host is an exact name like api.example.com: no wildcard, no port, no address',
        },
      ]
    }
    if (hosts.indexOf(host) !== index)
      return [{ path, message: `host "${host}" stands here twice` }]
    return []
  })
}

function credentialFaults({ credential }: RestDefinition): Fault[] {
  const { header, scheme, user, password } = credential
  const faults: Fault[] = []
  const fault = (key: string, message: string) =>
    faults.push({ path: ['credential', key], message })
  if (!isFreeHeader(header)) {
    fault('header', 'this header cannot carry a credential')
  }
  if (scheme !== 'basic') {
    if (user !== null) fault('user', `"user" belongs to the scheme basic, not ${scheme}`)
    if (password !== null)
      fault('password', `"password" belongs to the scheme basic, not ${scheme}`)
  } else if ((user === null) === (password === null)) {
    fault(
      'scheme',
      'the scheme basic needs either "user" or "password": the other one is the credential',
    )
  }
  if (user !== null && !/^[\x21-\x39\x3b-\x7e]+$/.test(user)) {
    fault('user', 'a user is one word without a colon')
  }
  if (password !== null && !/^[\x20-\x7e]*$/.test(password)) {
    fault('password', 'a password is plain text of one line')
  }
  return faults
}

function phantomFaults({ phantom }: RestDefinition): Fault[] {
  const bits = Math.floor(phantomBits(phantom))
  if (bits >= LEAST_BITS) return []
  const perCharacter = Math.log2(CHARSETS[phantom.charset].length)
  const least = phantom.prefix.length + Math.ceil(LEAST_BITS / perCharacter)
  const message = `a phantom of this form has ${bits} random bits: ${LEAST_BITS} need a length of ${least}`
  return [{ path: ['phantom', 'length'], message }]
}

function environmentFaults(definition: RestDefinition): Fault[] {
  const names = parametersOf(definition)
  const path = ['environment']
  if (names.includes('')) return [{ path, message: 'the place of the environment needs a "name"' }]
  if (new Set(names).size < names.length) return [{ path, message: 'two places have one name' }]
  if (names.some((name) => name === 'connection' || name === 'provider' || name === 'credential')) {
    return [{ path, message: 'the names "connection", "provider" and "credential" are taken' }]
  }
  return definition.environment.places.flatMap((place) => placeFaults(place, path))
}

function variableFaults(definition: RestDefinition): Fault[] {
  const known = ['credential', ...parametersOf(definition)]
  const variables = Object.entries(definition.variables)
  const faults = variables.flatMap(([name, value]): Fault[] => {
    const path = ['variables', name]
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(name) || RESERVED_VARIABLE.test(name)) {
      return [{ path, message: `"${name}" cannot be a variable of a provider` }]
    }
    const stranger = placeholdersIn(value).find((word) => !known.includes(word))
    if (stranger === undefined) return []
    const all = known.map((word) => `{${word}}`).join(', ')
    return [{ path, message: `{${stranger}} is not known here: there is ${all}` }]
  })
  if (variables.some(([, value]) => placeholdersIn(value).includes('credential'))) return faults
  const message = 'no variable holds {credential}: the task would have nothing to work with'
  return [...faults, { path: ['variables'], message }]
}

/** Words in braces. */
export function placeholdersIn(text: string): readonly string[] {
  return [...text.matchAll(/\{([^{}]*)\}/g)].map(([, word = '']) => word)
}

function checkFaults({ check }: RestDefinition): Fault[] {
  if (check === null) return []
  const template = parsePath(check.path)
  if (typeof template === 'string') return [{ path: ['check', 'path'], message: template }]
  if (template.names.length === 0) return []
  return [{ path: ['check', 'path'], message: 'the path of a check has no placeholders' }]
}
