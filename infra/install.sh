#!/bin/sh
# Puts a Dure agent on this Linux host and joins it to a cluster:
#
#   sh install.sh --server https://HOST:6443 --token TOKEN [--node-name NAME] [--node-ip ADDRESS] [--dry-run] [-- AGENT OPTIONS]
#
# What follows `--` goes to the agent (--pod-max-pids 1024, --node-labels disk=ssd, ...); none of it may hold spaces or quotes.
# Run it from a packed directory (node infra/pack.mjs DIRECTORY) that was copied here. May be run again: it replaces the programs and keeps state.
# Needs Node.js 20.19 or newer, iproute2, nftables and util-linux, and says which is missing.
set -eu

TARGET=/opt/dure
CONFIG=/etc/dure
DRY_RUN=no
SERVER='' TOKEN='' NODE_NAME=$(uname -n | tr '[:upper:]' '[:lower:]') NODE_IP='' FURTHER=''

fail() { echo "install: $*" >&2; exit 1; }
# Shows a change, and makes it unless --dry-run was given.
change() { echo "install: $*"; [ "$DRY_RUN" = yes ] || "$@"; }

while [ $# -gt 0 ]; do
  case $1 in
    --server) SERVER=${2:?--server needs a value}; shift 2 ;;
    --token) TOKEN=${2:?--token needs a value}; shift 2 ;;
    --node-name) NODE_NAME=${2:?--node-name needs a value}; shift 2 ;;
    --node-ip) NODE_IP=${2:?--node-ip needs a value}; shift 2 ;;
    --dry-run) DRY_RUN=yes; shift ;;
    --) shift; FURTHER=$*; break ;;
    *) fail "unknown option $1" ;;
  esac
done
[ -n "$SERVER" ] || fail 'say which cluster to join: --server https://HOST:6443'
[ -n "$TOKEN" ] || [ -f "/var/lib/dure/nodes/$NODE_NAME/kubeconfig" ] || fail 'a first join needs --token (dure token create, on the server)'
[ "$(id -u)" = 0 ] || fail 'needs root'

source=$(cd "$(dirname "$0")/.." && pwd)
[ -f "$source/apps/node-agent/dist/main.cjs" ] || fail "$source is not a packed directory (node infra/pack.mjs DIRECTORY makes one)"
command -v node >/dev/null || fail 'Node.js is missing: install Node.js 20.19 or newer'
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  fail "Node.js $(node -v) is too old: 20.19 or newer is needed"
for program in ip nft nsenter mount; do
  command -v $program >/dev/null || fail "$program is missing: apt-get install -y iproute2 nftables util-linux mount (or their equivalents)"
done

node_ip_option=''
[ -z "$NODE_IP" ] || node_ip_option="--node-ip $NODE_IP"
common="--node-name $NODE_NAME --run-dir /run/dure/$NODE_NAME --cluster-dns 10.43.0.10 --cluster-domain cluster.local --service-cidr 10.43.0.0/16"
agent_args="$common $node_ip_option --data-dir /var/lib/dure/nodes/$NODE_NAME --cluster-cidr 10.42.0.0/16 --server $SERVER $FURTHER"
proxy_args="--node-name $NODE_NAME --run-dir /run/dure/$NODE_NAME --dns-address 10.43.0.10 --cluster-domain cluster.local --service-cidr 10.43.0.0/16 --kubeconfig /var/lib/dure/nodes/$NODE_NAME/kubeconfig"

if [ "$source" != "$TARGET" ]; then
  change mkdir -p "$TARGET"
  # Supervisors of running Pods execute the old dure-run: it can be replaced by another file, but not written over.
  change cp -a --remove-destination "$source/." "$TARGET/"
fi
change mkdir -p "$CONFIG" "/var/lib/dure/nodes/$NODE_NAME" /usr/local/bin
change ln -sf "$TARGET/apps/cli/bin/dure.mjs" /usr/local/bin/dure
echo "install: write $CONFIG/agent.env"
if [ "$DRY_RUN" = no ]; then
  # It holds the token.
  (umask 077; printf 'DURE_AGENT_ARGS="%s"\nDURE_PROXY_ARGS="%s"\nDURE_JOIN_TOKEN=%s\nUV_THREADPOOL_SIZE=16\n' "$agent_args" "$proxy_args" "$TOKEN" > "$CONFIG/agent.env")
fi

if [ -d /run/systemd/system ]; then
  for unit in dure-agent dure-proxy; do change cp "$TARGET/infra/systemd/$unit.service" /etc/systemd/system/; done
  change systemctl daemon-reload
  change systemctl enable dure-agent dure-proxy
  change systemctl restart dure-agent dure-proxy
elif command -v rc-update >/dev/null; then
  for service in dure-agent dure-proxy; do
    change cp "$TARGET/infra/openrc/$service" /etc/init.d/
    change chmod 755 "/etc/init.d/$service"
    change rc-update add $service default
    change rc-service $service restart
  done
else
  echo "install: neither systemd nor OpenRC runs here; start the agent and the proxy yourself, each by one line:"
  echo "  set -a; . $CONFIG/agent.env; exec node --max-semi-space-size=2 $TARGET/apps/node-agent/dist/main.cjs \$DURE_AGENT_ARGS"
  echo "  set -a; . $CONFIG/agent.env; exec node --max-semi-space-size=2 $TARGET/apps/service-proxy/dist/main.cjs \$DURE_PROXY_ARGS"
fi
echo "install: done; on the server: kubectl get node $NODE_NAME"
