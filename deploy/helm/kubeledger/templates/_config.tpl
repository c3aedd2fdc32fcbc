{{/* The settings of each service: what the chart knows, and `config` of the values on top. */}}
{{- define "kubeledger.configOf" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $base := fromYaml (include (printf "kubeledger.config.%s" $component) $root) -}}
{{- $key := get (dict "collect" "collector" "watch" "watcher" "process-logs" "logProcessor" "process-state" "stateProcessor" "alert" "alerts" "migrate" "migrate" "embedded" "embedded") $component -}}
{{- $own := (index $root.Values $key).config | default dict -}}
{{- toYaml (mergeOverwrite $base (deepCopy $own)) -}}
{{- end }}

{{- define "kubeledger.config.collect" -}}
{{- $c := .Values.collector -}}
cluster: {{ .Values.cluster | quote }}
roots: [{{ $c.paths.pods }}]
state_dir: {{ $c.paths.state }}/collect
broker: {{- include "kubeledger.broker" (list . "collect") | nindent 2 }}
health: "0.0.0.0:9600"
{{- with $c.hostFiles }}
host_files: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $c.forward.enabled }}
forward: {{- include "kubeledger.forward" . | nindent 2 }}
{{- end }}
{{- if $c.journal.enabled }}
journal:
  source: auto
  directory: {{ first $c.paths.journal }}
{{- end }}
{{- if $c.kubelet.enabled }}
kubelet:
  ca_file: {{ ternary "" "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt" $c.kubelet.insecureSkipVerify | quote }}
  insecure_skip_verify: {{ $c.kubelet.insecureSkipVerify }}
{{- end }}
{{- if $c.volumeFiles.enabled }}
volumes:
  enabled: true
  kubelet_pods: {{ $c.volumeFiles.kubeletPods }}
  host_paths: {{- toYaml $c.volumeFiles.hostPaths | nindent 4 }}
{{- end }}
samples:
  host:
    proc: /host/proc
    root: /host
    disks: [/var/log]
    bus: {{ $c.paths.dbusSocket }}
  blackbox:
    enabled: {{ $c.criSocket.enabled }}
    {{- if $c.criSocket.enabled }}
    sockets: [{{ $c.paths.criSocket }}]
    {{- end }}
{{- end }}

{{- define "kubeledger.forward" -}}
{{- with .Values.collector.forward -}}
{{- if not (or .hostPort .socket.enabled) }}{{ fail "collector.forward: give a hostPort, or set socket.enabled" }}{{ end }}
{{- if .hostPort }}
listen: "0.0.0.0:24224"
cert_file: /etc/kubeledger/forward-cert/tls.crt
key_file: /etc/kubeledger/forward-cert/tls.key
shared_key_file: /etc/kubeledger/forward-key/{{ .sharedKeySecret.key }}
{{- end }}
{{- if .socket.enabled }}
unix: {{ .socket.directory }}/forward.sock
unix_mode: {{ .socket.mode | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kubeledger.config.watch" -}}
cluster: {{ .Values.cluster | quote }}
broker: {{- include "kubeledger.broker" (list . "watch") | nindent 2 }}
health: "0.0.0.0:9603"
lease:
  namespace: {{ .Release.Namespace | quote }}
  name: {{ include "kubeledger.name" . }}-watch
{{- with .Values.watcher.certificates }}
secrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.watcher.nodePools }}
node_pools: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "kubeledger.config.process-logs" -}}
broker: {{- include "kubeledger.broker" (list . "process-logs") | nindent 2 }}
store: {{- include "kubeledger.store" (list . "process-logs") | nindent 2 }}
health: "0.0.0.0:9601"
{{- end }}

{{- define "kubeledger.config.process-state" -}}
cluster: {{ .Values.cluster | quote }}
broker: {{- include "kubeledger.broker" (list . "process-state") | nindent 2 }}
store: {{- include "kubeledger.store" (list . "process-state") | nindent 2 }}
state_dir: /data/state
health: "0.0.0.0:9602"
{{- end }}

{{- define "kubeledger.config.alert" -}}
broker: {{- include "kubeledger.broker" (list . "alert") | nindent 2 }}
store: {{- include "kubeledger.store" (list . "alert") | nindent 2 }}
health: "0.0.0.0:9604"
{{- end }}

{{- define "kubeledger.config.migrate" -}}
broker: {{- include "kubeledger.broker" (list . "migrate") | nindent 2 }}
store: {{- include "kubeledger.store" (list . "migrate") | nindent 2 }}
partitions: {{ .Values.existingKafka.partitions }}
replication: {{ .Values.existingKafka.replication }}
{{- end }}
