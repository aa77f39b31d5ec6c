/**
 * What a shell is to run. Each asks `beckon __complete`, which answers in lines: a value, and behind a tab what it is; or
 * `:files` or `:directories` where the shell knows better.
 */

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** bash hands over its line as it is: it splits words at `@`, `:` and `=`, and each in its own way. */
const bash = `# Completion of beckon for bash, 3.2 or newer. In ~/.bashrc: eval "$(beckon completion bash)"
_beckon() {
  local line program=$1
  COMPREPLY=()
  [[ $program == '~'* ]] && program=$HOME\${program#\\~}
  type -P -- "$program" >/dev/null || program=beckon
  while IFS= read -r line; do
    case $line in
      :files) compopt -o default 2>/dev/null ;;
      :directories) compopt -o dirnames 2>/dev/null ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <("$program" __complete bash -- "$COMP_WORDBREAKS" "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -o nosort -F _beckon beckon 2>/dev/null || complete -F _beckon beckon
`;

const zsh = `#compdef beckon
# Completion of beckon for zsh, 5.0 or newer. In ~/.zshrc, behind compinit: eval "$(beckon completion zsh)"
_beckon() {
  local line program=\${(Q)words[1]}
  local -a values shown
  program=\${~program}
  (( \${+commands[$program]} )) || [[ -x $program ]] || program=beckon
  while IFS= read -r line; do
    case $line in
      :files) _files; return ;;
      :directories) _files -/; return ;;
      *) values+=("\${line%%$'\\t'*}"); shown+=("\${line//$'\\t'/  -- }") ;;
    esac
  done < <("$program" __complete zsh -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)
  (( $#values )) && compadd -l -V beckon -d shown -a -- values
}
if [[ $funcstack[1] == _beckon ]]; then _beckon; else compdef _beckon beckon; fi
`;

const fish = `# Completion of beckon for fish, 3.1 or newer. In ~/.config/fish/config.fish: beckon completion fish | source
function __beckon_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    command -q -- $program; or set program beckon
    set -l found ($program __complete fish -- $words[2..-1] (commandline -ct) 2>/dev/null)
    switch "$found[1]"
        case :files
            __fish_complete_path (commandline -ct)
        case :directories
            __fish_complete_directories (commandline -ct) ''
        case '*'
            printf '%s\\n' $found
    end
end
complete -c beckon -f -k -a '(__beckon_complete)'
`;

export const scripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };
