/*
 * Programs of another owner on the same interface, for tests: as Cilium's and Calico's look from where ours stand. `answers` has the
 * last word about every packet, `passes` leaves it to the next, `redirects` takes it elsewhere (to the loopback interface).
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static __always_inline void see(__u32 which)
{
	__u64 *packets = bpf_map_lookup_elem(&seen, &which);

	if (packets)
		__sync_fetch_and_add(packets, 1);
}

SEC("tc")
int answers(struct __sk_buff *skb)
{
	see(0);
	return TC_ACT_OK;
}

SEC("tc")
int passes(struct __sk_buff *skb)
{
	see(1);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int redirects(struct __sk_buff *skb)
{
	see(2);
	return bpf_redirect(1, BPF_F_INGRESS);
}

char _license[] SEC("license") = "GPL";
