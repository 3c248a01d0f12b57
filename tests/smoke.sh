#!/bin/sh
# Build wheel and sdist, install the wheel by pip and the sdist by uv, each into an empty environment,
# and use what was installed away from the checkout: train, resume, measure, report, verify, export.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m venv "$work/tools"
"$work/tools/bin/pip" install --quiet --disable-pip-version-check build uv
mkdir "$work/source"  # a build leaves files beside the sources
git -C "$root" archive HEAD | tar -x -C "$work/source"
"$work/tools/bin/python" -m build --outdir "$work/dist" "$work/source" >/dev/null
rm -rf "$work/source"

use() {
    redqueen="$work/$1/bin/redqueen"
    small="--rollout.matches 1 --rollout.tasks_per_match 2 --rollout.attempts 2"
    small="$small --curriculum.seed_tasks 6 --curriculum.held_out [] --eval.tasks 6 --eval.samples 1"
    mkdir "$work/$1-use"
    cd "$work/$1-use"
    "$redqueen" --version
    "$redqueen" init --out mine.toml
    # shellcheck disable=SC2086  # a list of words
    "$redqueen" train mine.toml --steps 1 --out run $small
    "$redqueen" resume run --steps 2
    "$redqueen" report run
    "$redqueen" verify run --rows 20
    "$redqueen" export run
    "$redqueen" metrics run >metrics.csv
    cd "$root"
}

"$python" -m venv "$work/pip"
"$work/pip/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt "$work"/dist/*.whl
use pip
"$work/tools/bin/uv" venv --quiet --python "$python" "$work/uv"
"$work/tools/bin/uv" pip install --quiet --python "$work/uv/bin/python" -c constraints.txt "$work"/dist/*.tar.gz
use uv
echo "Wheel and sdist work."
