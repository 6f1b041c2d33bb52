#!/bin/sh
# A Luanti server with the mod, in a world of its own, against a sandbox:
#   examples/luanti/run.sh [WORLD [ARGUMENT...]]
# Join it, and say: /grantme sms, then /sms Hello. Ctrl-C ends it all.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
world=${1:-$here/../../build/luanti}
[ $# -eq 0 ] || shift

mkdir -p "$world/worldmods" "$world/home/.minetest/games/bare"
world=$(cd "$world" && pwd)
ln -sfn "$here" "$world/worldmods/close_sms"
echo 'title = Nothing but air' >"$world/home/.minetest/games/bare/game.conf"
[ -e "$world/world.mt" ] || cat >"$world/world.mt" <<'END'
gameid = bare
backend = dummy
player_backend = sqlite3
auth_backend = sqlite3
mod_storage_backend = sqlite3
END
[ -e "$world/minetest.conf" ] || cat >"$world/minetest.conf" <<'END'
mg_name = singlenode
bind_address = 127.0.0.1
secure.trusted_mods = close_sms
close_sms.local_phone = +14154445555
close_sms.remote_phone = +18183334444
name = owner
END

# It was called Minetest before; Debian has it in directories of its own.
PATH="/usr/libexec/luanti:/usr/lib/minetest:$PATH:/usr/games"
program=$(command -v luantiserver || command -v minetestserver) ||
  { echo "no luantiserver is here" >&2; exit 1; }
export HOME="$world/home"
exec "$here/../with_sandbox.sh" "$program" --world "$world" \
  --config "$world/minetest.conf" --logfile "$world/debug.txt" "$@"
