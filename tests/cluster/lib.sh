# What the scripts of the test cluster share; sourced by them. All paths and names of the cluster stand here.
# shellcheck shell=bash disable=SC2034

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
kubernetes_version=1.35.4
etcd_version=3.6.5
cilium_version=1.20.2
kwok_version=0.8.0

# There is one test cluster a machine: what runs is written here, wherever its data is.
state=/run/paddock-cluster
# Every process of the cluster, pods and all, is below this cgroup: that is how `down` finds exactly its own.
group=paddock-cluster
# The node is a network namespace behind this link, so that no port, rule or route of the machine is touched.
link=paddock0
host_ip=10.243.0.1
node_ip=10.243.0.2
node_net=10.243.0.0/30
pod_net=10.244.0.0/16
service_net=10.245.0.0/16
api_service_ip=10.245.0.1
dns_service_ip=10.245.0.10
node_name=paddock-node
parts=(etcd kube-apiserver kube-controller-manager kube-scheduler containerd cilium-agent kubelet kube-proxy)
# Directories that some program insists on; inside the node each is a file system of its own.
covered=(/run /var/log /var/lib/cni /var/lib/kubelet)
# The kernel's settings that the kubelet changes for the whole machine; `down` puts them back.
kernel_settings=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

say() { echo "cluster: $*" >&2; }
fail() { say "$*"; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
need_root() { [ "$(id -u)" = 0 ] || fail "this needs root (containers, cgroups, network namespaces): sudo scripts/cluster $1, or name a cluster with PADDOCK_TEST_KUBECONFIG"; }

# One of up, down, start, stop at a time, on the whole machine.
lock() {
  exec 9</run
  flock --nonblock 9 || { say "waiting for another scripts/cluster to finish"; flock --wait 600 9 || fail "it has not finished in ten minutes"; }
}

# wait_for SECONDS WHAT COMMAND…: says what it waits for when that takes longer than two seconds.
wait_for() {
  local limit="$1" what="$2" begun=$SECONDS said=0
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $((SECONDS - begun)) -ge "$limit" ]; then say "$what: not within $limit s"; return 1; fi
    if [ $((SECONDS - begun)) -ge $((said + 2)) ]; then
      [ $said = 0 ] && say "waiting for $what"
      said=$(((SECONDS - begun) / 10 * 10 + 8))
    fi
    sleep 0.2
  done
}

# Nothing for a process that has ended and whose parent has not asked yet.
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'; }
# A pid file says "pid start-time": the same number given to another process later is not ours.
alive() {
  local pid started
  read -r pid started 2>/dev/null <"$state/pid/$1" || return 1
  [ -n "$started" ] && [ "$(start_time "$pid")" = "$started" ]
}
pid_of() { local pid started; alive "$1" || return 1; read -r pid started <"$state/pid/$1"; echo "$pid"; }
remember_pid() { echo "$2 $(start_time "$2")" >"$state/pid/$1"; }

cluster_dir() { cat "$state/dir" 2>/dev/null; }
in_node() { nsenter --target "$(pid_of node)" --mount --net -- "$@"; }
node_kubectl() { env -i PATH="$PATH" HOME="$(cluster_dir)" KUBECONFIG="$(cluster_dir)/kubeconfig" "$(cluster_dir)/bin/kubectl" "$@"; }

# Where the control groups are mounted: one place on a v2 machine, one for each controller on a v1 machine.
hierarchies() { findmnt -rn -t cgroup,cgroup2 -o TARGET | sort -u; }
unified() { findmnt -rn -t cgroup2 -o TARGET | head -n 1; }
# Every process of the cluster, by pid.
members() { local at; for at in $(hierarchies); do find "$at/$group" -name cgroup.procs -exec cat {} + 2>/dev/null || true; done | grep -vx 0 | sort -u; }
