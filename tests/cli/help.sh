# SPDX-License-Identifier: Apache-2.0
# Help of the tool, and of every command it lists up to the options that all have.
incise --help
for command in $(incise --help | sed -n 's/^  \([a-z]\{1,\}\)  .*/\1/p'); do
    echo "== $command"
    incise "$command" --help | sed '/^Options of every command/q'
done
