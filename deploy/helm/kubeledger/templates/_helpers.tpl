{{- define "kubeledger.name" -}}
{{- if contains "kubeledger" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-kubeledger" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* (list . component) */}}
{{- define "kubeledger.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: kubeledger
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "kubeledger.labels" -}}
{{- $root := index . 0 -}}
{{ include "kubeledger.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kubeledger
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{/* Labels and annotations of a pod: (list . component). A changed configuration is a new pod. */}}
{{- define "kubeledger.podMetadata" -}}
{{- $root := index . 0 -}}
labels:
  {{- include "kubeledger.labels" . | nindent 2 }}
  {{- with $root.Values.podLabels }}{{ toYaml . | nindent 2 }}{{ end }}
annotations:
  checksum/config: {{ include "kubeledger.configOf" . | sha256sum }}
  {{- with $root.Values.podAnnotations }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}

{{- define "kubeledger.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}

{{- define "kubeledger.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Pod Security "restricted": everything but the collector. */}}
{{- define "kubeledger.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kubeledger.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* /healthz is about progress: a service that answers and does nothing is restarted. Nobody sends
     requests to these pods, so there is nothing that readiness would steer. */}}
{{- define "kubeledger.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* What of the host is mounted for a socket: its directory. A runtime that was restarted listens on a
     new file, which a mount of the old one never shows; and where no such socket is, the runtime
     would make a directory of its name on the node. Directly below /run it is the file all the same. */}}
{{- define "kubeledger.socketPlace" -}}
{{- if has (dir .) (list "/run" "/var/run") }}{{ . }}{{ else }}{{ dir . }}{{ end }}
{{- end }}

{{/* existingKafka or existingClickHouse as one service has it, its own user instead of the common one:
     (list . "existingKafka" "collect"). */}}
{{- define "kubeledger.existing" -}}
{{- $all := index (index . 0).Values (index . 1) -}}
{{- $own := get $all.users (index . 2) | default dict -}}
{{- toYaml (mergeOverwrite (deepCopy (omit $all "users")) (deepCopy $own)) -}}
{{- end }}

{{/* Settings of the bus, as a service has them under `broker`: (list . "collect"). */}}
{{- define "kubeledger.broker" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- if $root.Values.embedded.enabled }}
url: {{ printf "kubeledger://%s-embedded.%s.svc:9650" (include "kubeledger.name" $root) $root.Release.Namespace }}
security: tls
ca_file: /etc/kubeledger/bus/ca.crt
password_file: /etc/kubeledger/bus-token/token
{{- else }}
{{- with fromYaml (include "kubeledger.existing" (list $root "existingKafka" $component)) }}
{{- if not .servers }}{{ fail "existingKafka.servers: name your brokers as host:port, or set embedded.enabled" }}{{ end }}
url: {{ printf "kafka://%s" (join "," .servers) }}
security: {{ .security }}
{{- if .caSecret.name }}
ca_file: /etc/kubeledger/kafka-ca/{{ .caSecret.key }}
{{- end }}
{{- if .clientCertSecret }}
cert_file: /etc/kubeledger/kafka-cert/tls.crt
key_file: /etc/kubeledger/kafka-cert/tls.key
{{- end }}
{{- if eq .security "sasl_tls" }}
sasl_mechanism: {{ .saslMechanism }}
username: {{ required (printf "existingKafka.username: SASL needs a user; or existingKafka.users.%s.username" $component) .username | quote }}
password_file: /etc/kubeledger/kafka-password/{{ .passwordSecret.key }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kubeledger.store" -}}
{{- with fromYaml (include "kubeledger.existing" (list (index . 0) "existingClickHouse" (index . 1))) }}
host: {{ required "existingClickHouse.host: name your ClickHouse, or set embedded.enabled" .host | quote }}
port: {{ .port }}
database: {{ .database | quote }}
user: {{ .user | quote }}
{{- if .passwordSecret.name }}
password_file: /etc/kubeledger/clickhouse-password/{{ .passwordSecret.key }}
{{- end }}
secure: {{ .secure }}
{{- if .caSecret.name }}
ca_file: /etc/kubeledger/clickhouse-ca/{{ .caSecret.key }}
{{- end }}
{{- if .cluster }}
cluster: {{ .cluster | quote }}
{{- end }}
ttl_days: {{ .ttlDays }}
{{- end }}
{{- end }}

{{/* Volumes and mounts that bus, store and forward input need: (list . "process-logs" "broker store")
     -> {volumes, mounts}. */}}
{{- define "kubeledger.files" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $what := index . 2 -}}
{{- $files := list -}}
{{- with $root.Values.collector.forward -}}
{{- if and (contains "forward" $what) .enabled .hostPort -}}
{{- $files = append $files (dict "name" "forward-cert" "secret" (required "collector.forward.tlsSecret: the port needs a certificate; or set hostPort 0" .tlsSecret) "keys" (list "tls.crt" "tls.key")) -}}
{{- $files = append $files (dict "name" "forward-key" "secret" (required "collector.forward.sharedKeySecret.name: the port needs a shared key; or set hostPort 0" .sharedKeySecret.name) "keys" (list .sharedKeySecret.key)) -}}
{{- end -}}
{{- end -}}
{{- if contains "broker" $what -}}
{{- if $root.Values.embedded.enabled -}}
{{- $files = append $files (dict "name" "bus" "secret" (include "kubeledger.busSecret" $root) "keys" (list "ca.crt")) -}}
{{- $files = append $files (dict "name" "bus-token" "secret" (include "kubeledger.tokenSecret" $root) "keys" (list "token")) -}}
{{- else -}}
{{- with fromYaml (include "kubeledger.existing" (list $root "existingKafka" $component)) -}}
{{- if .caSecret.name -}}{{- $files = append $files (dict "name" "kafka-ca" "secret" .caSecret.name "keys" (list .caSecret.key)) -}}{{- end -}}
{{- if .clientCertSecret -}}{{- $files = append $files (dict "name" "kafka-cert" "secret" .clientCertSecret "keys" (list "tls.crt" "tls.key")) -}}{{- end -}}
{{- if eq .security "sasl_tls" -}}{{- $files = append $files (dict "name" "kafka-password" "secret" (required (printf "existingKafka.passwordSecret.name: SASL needs a Secret with the password; or existingKafka.users.%s.passwordSecret.name" $component) .passwordSecret.name) "keys" (list .passwordSecret.key)) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (contains "store" $what) (not $root.Values.embedded.enabled) -}}
{{- with fromYaml (include "kubeledger.existing" (list $root "existingClickHouse" $component)) -}}
{{- if .passwordSecret.name -}}{{- $files = append $files (dict "name" "clickhouse-password" "secret" .passwordSecret.name "keys" (list .passwordSecret.key)) -}}{{- end -}}
{{- if .caSecret.name -}}{{- $files = append $files (dict "name" "clickhouse-ca" "secret" .caSecret.name "keys" (list .caSecret.key)) -}}{{- end -}}
{{- end -}}
{{- end -}}
volumes:
{{- range $files }}
  - name: {{ .name }}
    secret:
      secretName: {{ .secret | quote }}
      defaultMode: 0440
      items:
        {{- range .keys }}
        - {key: {{ . }}, path: {{ . }}}
        {{- end }}
{{- end }}
mounts:
{{- range $files }}
  - {name: {{ .name }}, mountPath: /etc/kubeledger/{{ .name }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "kubeledger.busSecret" -}}
{{ .Values.embedded.tlsSecret | default (printf "%s-bus" (include "kubeledger.name" .)) }}
{{- end }}
{{- define "kubeledger.tokenSecret" -}}
{{ .Values.embedded.tokenSecret | default (printf "%s-bus-token" (include "kubeledger.name" .)) }}
{{- end }}
