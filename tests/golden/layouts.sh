#!/usr/bin/env bash
# Runs one model's golden results in every layout.  layouts.sh GOLDEN_RUN MODEL_FOLDER EXPECTED_JSON
set -u
failed=0
for layout in "1 1" "2 1" "4 1" "1 2" "1 4" "2 2"; do
  # shellcheck disable=SC2086
  "$1" "$2" "$3" $layout || failed=1
done
exit $failed
