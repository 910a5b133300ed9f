/*
 * A TCP connection as seen from between its ends (RFC 9293 3.3.2), from flags alone:
 *
 *              SYN               ACK of the opener                 FIN of one end
 *     (new) ─────────► handshake ─────────────────► established ─────────────────► closing
 *       ▲                                                                             │ FIN of the other
 *       └── SYN of the opener ── closed, reset ◄── RST from anywhere ── any           ▼
 *                                   ▲ ───────────────────────────────────────────── closed
 */
#pragma once

#include <stdbool.h>

#include "layouts.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
#define TCP_EVENTS (TCP_FIN | TCP_SYN | TCP_RST) /* flags that may change a state */

/* The opener's first packet: SYN without ACK. */
static __always_inline bool tcp_is_opening(__u8 flags)
{
	return (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* State of a flow whose first packet here is this one. */
static __always_inline __u8 tcp_first_state(__u8 flags)
{
	return tcp_is_opening(flags) ? TCP_STATE_HANDSHAKE : TCP_STATE_ESTABLISHED;
}

/* Is it over: does a SYN of the opener begin another connection on the same ports? */
static __always_inline bool tcp_is_over(__u8 state)
{
	return state == TCP_STATE_CLOSED || state == TCP_STATE_RESET;
}

/* State after one more packet, forward (of the opener) or reply. */
static __always_inline __u8 tcp_next_state(__u8 state, bool forward, __u8 flags)
{
	if (flags & TCP_RST)
		return TCP_STATE_RESET;
	if (flags & TCP_SYN)
		return forward && tcp_is_opening(flags) && tcp_is_over(state) ? TCP_STATE_HANDSHAKE : state;
	if (flags & TCP_FIN) {
		if (tcp_is_over(state))
			return state;
		if (state == (forward ? TCP_STATE_CLOSING_REPLY : TCP_STATE_CLOSING_FORWARD))
			return TCP_STATE_CLOSED;
		return forward ? TCP_STATE_CLOSING_FORWARD : TCP_STATE_CLOSING_REPLY;
	}
	return state == TCP_STATE_HANDSHAKE && forward && (flags & TCP_ACK) ? TCP_STATE_ESTABLISHED : state;
}
