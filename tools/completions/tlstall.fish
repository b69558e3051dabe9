# SPDX-License-Identifier: Apache-2.0
# Completion for fish. What it offers is what `tlstall --help` and `tlstall COMMAND --help` say.

function __tlstall_commands
    command $argv[1] --help 2>/dev/null | string replace -rf '^  ([a-z]+) +(.*)' '$1\t$2'
end

# Each line is "OPTION VALUES".
function __tlstall_options
    command $argv --help 2>/dev/null | string match -r '^ +-.*' | string trim -l |
        string replace -r '  .*' '' | string replace -a , '' | while read -a -l words
        set -l value (string match -v -- '-*' $words)[1]
        for option in (string match -- '-*' $words)
            echo $option $value
        end
    end
end

function __tlstall_arguments
    set -l words (commandline -opc)
    set -l table (__tlstall_options $words[1..2])
    set -l values (string replace -rf -- '^'(string escape --style=regex -- $words[-1])' (\S+)$' '$1' $table)[1]
    if test -n "$values"
        string match -qr '^[a-z|]+$' -- $values; and string split '|' -- $values
        return
    end
    contains -- -- $words; or string replace -r ' .*' '' -- $table
    set -l usage (command $words[1..2] --help 2>/dev/null)[1]
    string match -q '*[on|off*' -- $usage; and string replace -r '^[^[]*\[([a-z|]+)\].*' '$1' -- $usage | string split '|'
    string match -q '*PID*' -- $usage; and __fish_complete_pids
    string match -q '*PROGRAM*' -- $usage; and __fish_complete_command
end

complete -c tlstall -n __fish_use_subcommand -f -a '(__tlstall_commands tlstall)'
complete -c tlstall -n __fish_use_subcommand -f -a '--help --version'
complete -c tlstall -n 'not __fish_use_subcommand' -a '(__tlstall_arguments)'
