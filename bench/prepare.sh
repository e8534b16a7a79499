# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts of bench/ with their arguments, from the root: sets up, builds, fetches the models named. Sets
# `models` and `arguments` (without --accept-gemma-terms, which scripts/models gets) and `sources`, JSON of name: folder.
terms=()
arguments=()
models=()
for argument; do
    case $argument in
    --accept-gemma-terms) terms=("$argument") ;;
    minilm | embeddinggemma)
        models+=("$argument")
        arguments+=("$argument")
        ;;
    *) arguments+=("$argument") ;;
    esac
done

scripts/setup
mkdir -p build
if ! { cmake --preset release && cmake --build --preset release; } >build/bench.log 2>&1; then
    tail -n 20 build/bench.log >&2
    exit 1
fi
sources=
for model in "${models[@]}"; do
    sources+="${sources:+, }\"$model\": \"$(scripts/models "${terms[@]}" "$model")\""
done
sources="{$sources}"
