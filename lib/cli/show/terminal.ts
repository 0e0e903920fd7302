import { styleText } from 'node:util'

/** What a command writes to. */
export interface Terminal {
  /** A line of the answer: to stdout. */
  print(line: string): void
  /** A line beside the answer: to stderr. */
  printError(line: string): void
  /** The text in a style, where colours are shown. */
  paint(style: Style, text: string): string
}

/** The styles that are used. */
export type Style = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim'

/** Writes to the process's own streams; in colours only on a terminal, and never with NO_COLOR in the environment. */
export function createTerminal(environment: NodeJS.ProcessEnv = process.env): Terminal {
  const has_colours = process.stdout.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb'
  return Object.freeze({
    print: (line: string) => void process.stdout.write(`${clean(line, has_colours)}\n`),
    printError: (line: string) => void process.stderr.write(`${clean(line, has_colours)}\n`),
    paint: (style: Style, text: string) => (has_colours ? styleText(style, text) : text),
  } satisfies Terminal)
}

/** Without what would steer a terminal, but for colours: names, code and answers come from elsewhere. */
export function clean(text: string, has_colours: boolean): string {
  return text.replace(/(?![\n\t\u007f-\u009f])\p{Cc}(\[\d+m)?/gu, (whole, colour?: string) => {
    return colour !== undefined && has_colours ? whole : (colour ?? '')
  })
}
