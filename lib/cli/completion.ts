import { Argument, type Command } from 'commander'
import type { AddCommand } from './command.ts'

/** A command with what can follow it. */
interface Words {
  readonly name: string
  readonly summary: string
  /** Each as it is typed, with what it is for. */
  readonly options: readonly (readonly [flag: string, description: string])[]
}

const SHELLS = ['bash', 'zsh', 'fish'] as const

/** Adds `completion`. */
export const addCompletion: AddCommand = (program, terminal, finish) => {
  program
    .command('completion')
    .summary('print a script that completes commands and options')
    .description('Prints a script with which a shell completes the commands and options of dynacode.')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .action((shell: (typeof SHELLS)[number]) => {
      terminal.print(WRITERS[shell](listWords(program)))
      finish(0)
    })
}

function listWords(program: Command): readonly Words[] {
  const flagsOf = ({ options }: Command) =>
    options.flatMap(({ long, short, description }) =>
      [long, short].flatMap((flag) => (flag ? [[flag, description] as const] : [])),
    )
  const everywhere = [...flagsOf(program), ['--help', 'show help'] as const]
  return program.commands.map((command) => ({
    name: command.name(),
    summary: command.summary(),
    options: [...flagsOf(command), ...everywhere],
  }))
}

const WRITERS: Readonly<Record<(typeof SHELLS)[number], (words: readonly Words[]) => string>> = {
  bash: (words) => `# Load it with: source <(dynacode completion bash)
_dynacode() {
  local current="\${COMP_WORDS[COMP_CWORD]}" options
  case "\${COMP_WORDS[1]}" in
${words.map(({ name, options }) => `    ${name}) options="${flagsIn(options)}" ;;`).join('\n')}
  esac
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${namesIn(words)}" -- "$current"))
  elif [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  fi
}
complete -o default -F _dynacode dynacode`,

  zsh: (words) => `#compdef dynacode
# Load it with: source <(dynacode completion zsh)
_dynacode() {
  local -a commands options
  commands=(${words.map(({ name, summary }) => `\n    ${quote(`${name}:${summary}`)}`).join('')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "$words[2]" in
${words.map(({ name, options }) => `    ${name}) options=(${flagsIn(options)}) ;;`).join('\n')}
  esac
  if [[ "$PREFIX" == -* ]]; then compadd -- $options; else _files; fi
}
compdef _dynacode dynacode`,

  fish: (words) =>
    [
      '# Load it with: dynacode completion fish | source',
      ...words.map(
        ({ name, summary }) => `complete -c dynacode -n __fish_use_subcommand -a ${name} -d ${quote(summary)}`,
      ),
      ...words.flatMap(({ name, options }) =>
        options.map(([flag, description]) => {
          const kind = flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`
          return `complete -c dynacode -n '__fish_seen_subcommand_from ${name}' ${kind} -d ${quote(description)}`
        }),
      ),
    ].join('\n'),
}

const namesIn = (words: readonly Words[]) => words.map(({ name }) => name).join(' ')
const flagsIn = (options: Words['options']) => options.map(([flag]) => flag).join(' ')
/** One word for any of the shells. */
const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
