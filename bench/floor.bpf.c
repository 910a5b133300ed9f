/*
 * The floor: programs that only add or remove the bytes of outer headers, 48 over IPv4 and 68 over IPv6, and one that does
 * nothing. No parsing, no map, no route: what encapsulation costs before steering costs anything.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define OVER_IPV4 48
#define OVER_IPV6 68
#define ETH_HLEN 14

SEC("tc")
int nop(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

/* Constant bytes; the size and the flags are the datapath's own. */
static __always_inline int add(struct __sk_buff *skb, __u32 overhead, __u64 family)
{
	__u32 header[OVER_IPV6 / 4] = {};
	void *data, *end;

	if (bpf_skb_adjust_room(skb, overhead, BPF_ADJ_ROOM_MAC, family | BPF_F_ADJ_ROOM_ENCAP_L4_UDP))
		return TC_ACT_SHOT;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + ETH_HLEN + overhead > end)
		return TC_ACT_SHOT;
	__builtin_memcpy(data + ETH_HLEN, header, overhead);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int add_ipv4(struct __sk_buff *skb)
{
	return add(skb, OVER_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4);
}

SEC("tc")
int add_ipv6(struct __sk_buff *skb)
{
	return add(skb, OVER_IPV6, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6);
}

SEC("tc")
int take_ipv4(struct __sk_buff *skb)
{
	return bpf_skb_adjust_room(skb, -OVER_IPV4, BPF_ADJ_ROOM_MAC, 0) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tc")
int take_ipv6(struct __sk_buff *skb)
{
	return bpf_skb_adjust_room(skb, -OVER_IPV6, BPF_ADJ_ROOM_MAC, 0) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
