#!/bin/sh
# Neovim with the plugin and no other settings, against a sandbox:
#   examples/neovim/run.sh [ARGUMENT...]
# Try :CloseSms on a line, or examples/neovim/run.sh hello.sms
# :help close_sms tells more.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/../with_sandbox.sh" nvim --clean \
  --cmd "set runtimepath^=$here" --cmd "silent! helptags $here/doc" \
  --cmd "let g:close_sms = {'local_phone': '+14154445555'}" \
  --cmd "let g:close_sms.remote_phone = '+18183334444'" "$@"
