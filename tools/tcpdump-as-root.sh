#!/bin/sh
# Debian's tcpdump becomes another user before it listens, which takes capabilities that the agent's container has not.
exec /usr/bin/tcpdump -Z root "$@"
