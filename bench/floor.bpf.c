/*
 * The floor: programs that only add or remove the 48 bytes of outer headers, and one that does
 * nothing. No parsing, no map, no route: what encapsulation costs before steering costs anything.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define OVERHEAD 48
#define ETH_HLEN 14

SEC("tc")
int nop(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

SEC("tc")
int add(struct __sk_buff *skb)
{
	/* Constant bytes; the size and the flags are the datapath's own. */
	__u64 header[OVERHEAD / 8] = {};
	void *data, *end;

	if (bpf_skb_adjust_room(skb, OVERHEAD, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP))
		return TC_ACT_SHOT;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + ETH_HLEN + OVERHEAD > end)
		return TC_ACT_SHOT;
	__builtin_memcpy(data + ETH_HLEN, header, OVERHEAD);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int take(struct __sk_buff *skb)
{
	return bpf_skb_adjust_room(skb, -OVERHEAD, BPF_ADJ_ROOM_MAC, 0) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
