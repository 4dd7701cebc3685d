"""`completion`: the scripts that make the Tab key work in other shells.

They only hand the line over: what completes it is asked of the program itself (`_XMPPSH_COMPLETE`), which knows its
commands from the registry. All three ask in one form, click's for fish: the line up to the cursor, and its last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xmppsh.registry.base import command

if TYPE_CHECKING:
    from xmppsh.app.app import App

# Bash cuts words at @, = and : too. What stands before the last cut must not be in what it is given. Files are left to
# readline, which knows quotes, ~ and spaces.
BASH = r"""# Completion of xmppsh for bash; `eval "$(xmppsh completion bash)"` in ~/.bashrc, or a file of
# ~/.local/share/bash-completion/completions named xmppsh.
_xmppsh() {
    local line=${COMP_LINE:0:COMP_POINT} word cut kind value program=${COMP_WORDS[0]}
    word=${line##*[[:space:]]}
    cut=${word%"${word##*[$COMP_WORDBREAKS]}"}
    cut=${cut%@} # which readline cuts before, not after
    type -P -- "$program" >/dev/null || program=xmppsh # an alias
    COMPREPLY=()
    while IFS=, read -r kind value; do
        value=${value%%$'\t'*}
        case $kind in
            file)
                compopt -o default
                return
                ;;
            plain)
                if [[ $word == "$cut"* && $value == "$cut"* ]]; then value=${value#"$cut"}; fi
                [[ $value == *[=:/] ]] && compopt -o nospace
                if [[ $value == *[!a-zA-Z0-9@._:=,/+-]* ]]; then # $( ) may stand in an address
                    [[ $word == [\"\']* ]] && continue
                    printf -v value %q "$value"
                fi
                COMPREPLY+=("$value")
                ;;
        esac
    done < <(COMP_WORDS=$line COMP_CWORD=$word _XMPPSH_COMPLETE=fish_complete "$program" 2>/dev/null)
}
complete -o nosort -F _xmppsh xmppsh
"""
ZSH = r"""#compdef xmppsh
# Completion of xmppsh for zsh; a file named _xmppsh in a folder of $fpath, or `eval "$(xmppsh completion zsh)"` after
# compinit in ~/.zshrc.
_xmppsh() {
    local answer kind value about
    local -a values texts
    for answer in "${(@f)$(COMP_WORDS="${(j: :)words[1,CURRENT]}" COMP_CWORD="${words[CURRENT]}" \
        _XMPPSH_COMPLETE=fish_complete "${words[1]}" 2>/dev/null)}"; do
        [[ -n $answer ]] || continue
        kind=${answer%%,*} value=${${answer#*,}%%$'\t'*} about=
        [[ $answer == *$'\t'* ]] && about=${answer#*$'\t'}
        if [[ $kind == file ]]; then
            [[ ${words[CURRENT]} == --*=* ]] && compset -P '*='
            _files
            return
        fi
        values+=("$value")
        texts+=("${value}${about:+  -- $about}")
    done
    [[ ${words[CURRENT]} == --*=* ]] && compset -P '*='
    compadd -l -V xmppsh -d texts -a values
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _xmppsh "$@"
else
    compdef _xmppsh xmppsh
fi
"""
FISH = r"""# Completion of xmppsh for fish; a file named xmppsh.fish in ~/.config/fish/completions, or
# `xmppsh completion fish | source`.
function __xmppsh_complete
    set -l line (commandline -cp)
    set -l word (commandline -ct)
    set -l words (commandline -opc)
    for answer in (env COMP_WORDS="$line" COMP_CWORD="$word" _XMPPSH_COMPLETE=fish_complete $words[1] 2>/dev/null)
        set -l parts (string split -m 1 , -- $answer)
        if test "$parts[1]" = file
            set -l before (string match -r -- '^--[^=]*=' $word)
            for file in (complete -C "'' "(string replace -- "$before" '' $word))
                echo "$before$file"
            end
        else if string match -q -- '--*=*' $word
            echo (string split -m 1 = -- $word)[1]=$parts[2]
        else
            echo $parts[2]
        end
    end
end
complete --command xmppsh --no-files --arguments '(__xmppsh_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


@command("completion")
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(list(SCRIPTS)))
async def completion(app: App, shell: str) -> None:
    """Print the script for tab completion of commands, options, files and the addresses of your contacts.

    \b
    Example:  eval "$(xmppsh completion bash)"
              xmppsh completion fish > ~/.config/fish/completions/xmppsh.fish
    """
    await app.console.stdout.write(SCRIPTS[shell])
