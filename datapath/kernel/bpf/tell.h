/* What a program does last: who is told about a packet that goes no further. */
#pragma once

#include "icmp.h"
#include "reset.h"

/* Has this CPU made fewer answers in this tick than it may? */
static __always_inline bool may_answer(struct scratch *own)
{
	__u32 now = tick();

	if (own->answered_at != now) {
		own->answered_at = now;
		own->answers = 0;
	}
	return own->answers++ < ANSWERS_A_TICK;
}

/* `packet` is the one that the frame begins with. */
static __noinline int tell(struct __sk_buff *skb, const struct packet *packet, int what, enum direction direction)
{
	struct scratch *own = own_scratch();
	int error;

	if (!own || !packet)
		return VERDICT_DROP;
	if (what == TELL_END)
		return end_both(skb, packet, direction);
	if (!may_answer(own))
		return VERDICT_DROP;
	error = what == TELL_RESET ? answer_rejected(skb, packet) : answer_icmp(skb, packet, own, own->says);
	if (!error)
		send_back(skb, direction);
	return VERDICT_DROP;
}
