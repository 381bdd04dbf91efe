import type { ErrorCode } from 'yaml'

/** What the parser's codes mean to the person who wrote the file. */
const WORDS: Partial<Record<ErrorCode, string>> = {
  BAD_ALIAS: 'aliases are not accepted: write it out',
  BAD_DIRECTIVE: 'lines that start with % are not accepted',
  BAD_DQ_ESCAPE: 'an escape in double quotes is not valid: use single quotes for a plain backslash',
  BAD_INDENT: 'the indentation does not fit, or a bracket before this is not closed',
  BAD_SCALAR_START: 'text cannot start with this character: put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " on this line: put the text in quotes, or start a new line',
  BLOCK_IN_FLOW: 'inside brackets only brackets can be nested',
  DUPLICATE_KEY: 'a key stands here twice',
  KEY_OVER_1024_CHARS: 'a key is too long: is a quote missing?',
  MISSING_CHAR: 'something is missing here: a ":" after a key, a closing quote or bracket',
  MULTILINE_IMPLICIT_KEY: 'a key has to stand on one line: is a ":" or a quote missing above?',
  MULTIPLE_ANCHORS: 'anchors are not accepted',
  MULTIPLE_DOCS: 'only one document is read',
  MULTIPLE_TAGS: 'tags are not accepted',
  RESOURCE_EXHAUSTION: 'the file is nested too deeply',
  TAB_AS_INDENT: 'a tab stands here: indent with spaces',
  TAG_RESOLVE_FAILED: 'tags are not accepted',
  UNEXPECTED_TOKEN:
    'this does not belong here: is the line above complete, and text with { or } in quotes?',
}

/** Never the parser's own text: it may quote the file, and its terms are those of the YAML standard. */
export function syntaxMessage(code: string): string {
  const words = Object.hasOwn(WORDS, code) ? WORDS[code as ErrorCode] : undefined
  return `not valid YAML: ${words ?? 'the text cannot be read from here on'}`
}
