# Completion of xmppsh for bash; `eval "$(xmppsh completion bash)"` in ~/.bashrc, or a file of
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
