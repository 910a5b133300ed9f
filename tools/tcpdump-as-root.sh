#!/bin/sh
# Debian's tcpdump becomes another user before it listens, which takes a capability that the agent's container has not (SETUID).
exec /usr/bin/tcpdump -Z root "$@"
