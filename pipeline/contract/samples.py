"""`values` of a sample, by part (see pipeline/contract/state.py). Every key is optional: what was
not found is absent, which means unknown. Counters are as the kubelet shows them: totals since it
started. Times are Unix seconds where Prometheus has seconds, milliseconds where a key ends in
`_ms`.

metrics (kubelet /metrics; names of domain: k/k pkg/kubelet/metrics/metrics.go)
  process_start         process_start_time_seconds: a change is a kubelet restart
  version               gitVersion of kubernetes_build_info
  pleg_last_seen        kubelet_pleg_last_seen_seconds
  pleg_age              seconds from pleg_last_seen to `asked_ms`. The kubelet reads its gauges when
                        it is asked, so in a late (patient) answer this says what was true then;
                        below 0: it was read later. A few seconds are fresh
  relist_count, relist_sum, relist_over_10s      kubelet_pleg_relist_duration_seconds
  relist_starts         kubelet_pleg_relist_interval_seconds_count
  pleg_discarded        kubelet_pleg_discard_events
  ops                   {operation_type: [count, errors, seconds, over_100s]}: runtime operations;
                        `count` is of the duration histogram (finished calls), over_100s what
                        took longer than its first bound from 100 s on (119.2 s in 1.34), null if
                        there is none
  running_pods, desired_pods, running_containers {container_state: n}
  working_pods          {lifecycle: n}
  client_cert_ttl, server_cert_ttl               seconds; client_cert_renew_errors,
                        server_cert_renew_errors
  rest                  {code: n}: rest_client_requests_total, seen from the node
  evictions             {eviction_signal: n}        admission_rejections {reason: n}
  sandbox_errors, started_pods_errors, started_containers_errors
  pull_count, pull_sum  kubelet_image_pull_duration_seconds
  node_startup          {phase: seconds}
  evented_pleg_errors   kubelet_evented_pleg_connection_error_count
  shutdown_start        kubelet_graceful_shutdown_start_time_seconds, absent when 0
probes    {"failed": [[namespace, pod, container, probe_type, failed, successful], …]}: only
          those with a failure since the last sample, with their totals (none in the first sample
          of an agent's life); "total_failed", "total_successful"
resource  {"cpu_s", "memory_bytes", "containers"}
healthz   {"checks": {name: ok}, "failed": [name, …]}; with status 500 as well (outcome status);
          checks is absent when the kubelet says only `ok`
configz   the KubeletConfiguration's runtime_request_timeout_s, node_status_update_s,
          log_max_bytes, log_max_files, log_monitor_s, evented_pleg, pod_logs_dir, cgroup_driver,
          node_lease_s, cri_endpoint (unix:///…), eviction_hard {signal: threshold}
stats     {"fs": FS, "image_fs": FS, "memory": {"available", "working_set"},
           "pids": {"max", "running"}, "pods": n}; FS = {"size", "free", "inodes", "inodes_free"}
host      {"psi": {cpu|memory|io: {some_avg10, full_avg10}}, "load": [1 m, 5 m, 15 m],
           "dstate": [{pid, comm, wchan, for_s} + OF], "dstate_count",
           "fs": {mount point: FS or {"outcome": "timeout"}}, "memory": {total, available},
           "conntrack": {count, max}, "pids": {"max", "running"},
           "clock": {"offset_s", "synchronised"}, "boot_id", "uptime_s",
           "systemd": {"outcome": ok|timeout|absent|refused, "ms", "detail"},
           "units": {unit: {active, sub, main_pid, restarts, since_ms}},
           "daemons": {kubelet|containerd|dockerd|crio: {pid, state, started}},
           "shims": [{pid, comm, state, age_s} + OF],
           "runc": [{pid, state, age_s, command} + OF]}
          OF = {container, pod_uid, pod}: the container's id, or its sandbox's; the pod's uid; and
          namespace/pod where a log directory tells it. `for_s` is how long this one sleep has been
          seen. `started` is Unix seconds.
          `state` is the letter of /proc/PID/stat: D uninterruptible, T stopped. Shims are listed
          when in state D or T, runc processes when older than 10 s. D-state are processes, and of
          the daemons threads too. Units that nothing has started since boot are left out.
growth    {"newest_ms": last growth of any container's log on the node, "active": containers
           that grew within the last minute, "silent": {"since_ms", "containers": n} while all that
           were writing regularly (n of them, at least 3) have been silent since then,
           "resumed": {"since_ms", "at_ms", "containers"} once, when such a silence is over: lines
           of that time that were written in between carry the time of the resume,
           "last_ms": {namespace/pod/container: ms} of those that stopped or resumed since the last
           sample}
"""

DAEMONS = ("kubelet", "containerd", "dockerd", "crio")
