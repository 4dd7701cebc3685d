# Completion of xmppsh for bash; `eval "$(xmppsh completion bash)"` in ~/.bashrc, or a file of
# ~/.local/share/bash-completion/completions named xmppsh.
_xmppsh() {
    local line=${COMP_LINE:0:COMP_POINT} word cut kind value
    word=${line##*[[:space:]]}
    cut=${word%"${word##*[$COMP_WORDBREAKS]}"}
    COMPREPLY=()
    while IFS=, read -r kind value; do
        value=${value%%$'\t'*}
        case $kind in
            file)
                compopt -o filenames
                mapfile -t COMPREPLY < <(compgen -f -- "$value")
                return
                ;;
            plain)
                if [[ $word == "$cut"* && $value == "$cut"* ]]; then value=${value#"$cut"}; fi
                [[ $value == *[=:/] ]] && compopt -o nospace
                COMPREPLY+=("$value")
                ;;
        esac
    done < <(COMP_WORDS=$line COMP_CWORD=$word _XMPPSH_COMPLETE=fish_complete "${COMP_WORDS[0]}" 2>/dev/null)
}
complete -o nosort -F _xmppsh xmppsh
