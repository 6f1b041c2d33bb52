#!/bin/sh
# Compares close.segments with two calculators from npm over the texts of
# spec/support/sms_texts.lua, and prints how many differ.
#   tools/segments_peer.sh [--write]
# --write records the calculators' answers in spec/fixtures/segments.txt, which
# spec/segments_spec.lua reads. Needs node and npm; the specs need neither.
set -eu
cd "$(dirname "$0")/.."
to=build/segments_peer
mkdir -p "$to"
[ -f "$to/package.json" ] || echo '{"private": true}' >"$to/package.json"
npm install --prefix "$to" --silent --no-audit --no-fund --ignore-scripts \
  --save-exact split-sms@0.1.7 sms-segments-calculator@1.3.0 \
  grapheme-splitter@1.0.4

make -s build LUA=lua5.4
eval "$(make -s env LUA=lua5.4)"
LUA_PATH="$PWD/?.lua;$LUA_PATH" lua5.4 tools/segments_peer.lua "$to"
NODE_PATH="$to/node_modules" node tools/segments_peer.js "$to" "$@"
