# How each program of the test cluster is started; sourced by scripts/cluster-node.
# shellcheck shell=bash disable=SC2154

# launch NAME COMMAND…: inside the node's namespaces, in the cluster's cgroup, with an environment of its own, so that
# no proxy setting and no credential of the caller gets in. Every step replaces the one before: the pid stays.
launch() {
  local name="$1"
  shift
  (
    echo $BASHPID >"$(unified)/$group/system/cgroup.procs"
    exec setsid nsenter --target "$(pid_of node)" --mount --net -- env -i PATH="$dir/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
      HOME="$dir" K8S_NODE_NAME=$node_name "$@"
  ) </dev/null >>"$dir/log/$name.log" 2>&1 9>&- &
  remember_pid "$name" $!
}

start_part() {
  local config="$dir/config" kubeconfigs="$dir/kubeconfigs" pki="$dir/pki"
  alive "$1" && return
  case "$1" in
    etcd)
      # What a crash of the machine would lose is of no interest: the data goes with the cluster.
      launch etcd etcd --data-dir "$dir/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380
      ;;
    kube-apiserver)
      launch kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address=$node_ip --bind-address=0.0.0.0 --secure-port=6443 \
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
        --token-auth-file="$pki/tokens.csv" --authorization-mode=Node,RBAC --anonymous-auth=false \
        --kubelet-client-certificate="$pki/kubelet-client.crt" --kubelet-client-key="$pki/kubelet-client.key" --kubelet-preferred-address-types=InternalIP \
        --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/tokens.pub" --service-account-signing-key-file="$pki/tokens.key" \
        --service-cluster-ip-range=$service_net --enable-admission-plugins=NodeRestriction --allow-privileged=true --profiling=false \
        --audit-policy-file="$config/audit.yaml" --audit-log-path="$dir/log/audit.log" --audit-log-maxsize=4000
      ;;
    kube-controller-manager)
      launch kube-controller-manager kube-controller-manager --kubeconfig="$kubeconfigs/kube-controller-manager" --use-service-account-credentials \
        --service-account-private-key-file="$pki/tokens.key" --root-ca-file="$pki/ca.crt" --leader-elect=false --bind-address=127.0.0.1 \
        --allocate-node-cidrs=true --cluster-cidr=$pod_net --service-cluster-ip-range=$service_net
      ;;
    kube-scheduler)
      # By default it asks for 50 things a second: a thousand pods at once would wait for it alone.
      launch kube-scheduler kube-scheduler --kubeconfig="$kubeconfigs/kube-scheduler" --leader-elect=false --bind-address=127.0.0.1 \
        --kube-api-qps=1000 --kube-api-burst=2000
      ;;
    containerd) launch containerd containerd --config "$config/containerd.toml" --log-level warn ;;
    kubelet)
      launch kubelet kubelet --config="$config/kubelet.yaml" --kubeconfig="$kubeconfigs/kubelet" --root-dir="$dir/kubelet" --cert-dir="$dir/kubelet/pki" \
        --node-ip=$node_ip --hostname-override=$node_name
      ;;
    kube-proxy) launch kube-proxy kube-proxy --config="$config/kube-proxy.yaml" ;;
    cilium-agent)
      # The labels that differ from run to run make no identity of their own: else each pod would be one more.
      launch cilium-agent cilium-agent --k8s-kubeconfig-path="$kubeconfigs/cilium" --k8s-namespace=kube-system --cluster-name=default \
        --identity-allocation-mode=crd --ipam=kubernetes --enable-ipv4 --enable-ipv6=false --routing-mode=native --ipv4-native-routing-cidr=$pod_net \
        --kube-proxy-replacement=false --enable-bpf-masquerade=false --enable-ipv4-masquerade=true --enable-l7-proxy=false --enable-hubble=false \
        --enable-health-checking=false --enable-endpoint-health-checking=false --devices=eth0 --policy-cidr-match-mode=nodes \
        --cgroup-root=/run/cilium/cgroup --lib-dir="$dir/cilium" --state-dir=/run/cilium \
        --labels='k8s:!paddock\.dev/run k8s:!paddock\.dev/session k8s:!paddock\.dev/generation'
      ;;
    kwok)
      launch kwok kwok --kubeconfig="$kubeconfigs/kwok" --config="$dir/bin/kwok-stages.yaml" --node-ip=$node_ip --node-port=10247 \
        --manage-all-nodes=false --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake
      ;;
    *) fail "no part is called $1; there are: ${parts[*]} kwok" ;;
  esac
}

# The node must be ready to go on after each: what a part needs to have done before the next is useful.
ready() {
  case "$1" in
    etcd) in_node curl -fsS --max-time 2 http://127.0.0.1:2379/health ;;
    kube-apiserver) node_kubectl get --raw /readyz ;;
    containerd) in_node ctr --address /run/containerd/containerd.sock version ;;
    cilium-agent) in_node curl -fsS --max-time 2 -H 'brief: true' http://127.0.0.1:9879/healthz ;;
    kubelet) in_node curl -fsS --max-time 2 http://127.0.0.1:10248/healthz ;;
    kube-proxy) in_node curl -fsS --max-time 2 http://127.0.0.1:10256/livez ;;
    kube-controller-manager) in_node curl -kfsS --max-time 2 https://127.0.0.1:10257/healthz ;;
    kube-scheduler) in_node curl -kfsS --max-time 2 https://127.0.0.1:10259/healthz ;;
    *) alive "$1" ;;
  esac
}
# A part that has ended is not waited for.
ready_or_dead() { ready "$1" || ! alive "$1"; }
await_part() {
  if ! wait_for 90 "$1" ready_or_dead "$1" || ! alive "$1"; then
    say "$1 does not run; the end of its log ($dir/log/$1.log):"
    tail -n 15 "$dir/log/$1.log" >&2
    return 1
  fi
}
