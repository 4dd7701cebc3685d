# Completion of xmppsh for fish; a file named xmppsh.fish in ~/.config/fish/completions, or
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
