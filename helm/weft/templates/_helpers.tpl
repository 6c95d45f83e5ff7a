{{- define "weft.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "weft.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "weft.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "weft.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "weft.selectorLabels" -}}
app.kubernetes.io/name: {{ include "weft.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "weft.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "weft.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "weft.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "weft.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "weft.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The metrics address is reached from the node alone. Empty: it is not. */}}
{{- define "weft.metricsAreLocal" -}}
{{- if or (hasPrefix "127." .Values.metrics.address) (eq "::1" .Values.metrics.address) -}}
true
{{- end -}}
{{- end }}

{{/* Where the kubelet probes: it is in the network that the agent listens in, so loopback always reaches it. */}}
{{- define "weft.probeHost" -}}
{{- if eq "0.0.0.0" .Values.metrics.address -}}
127.0.0.1
{{- else if eq "::" .Values.metrics.address -}}
::1
{{- else -}}
{{- .Values.metrics.address -}}
{{- end -}}
{{- end }}

{{- define "weft.probe" -}}
httpGet:
  host: {{ include "weft.probeHost" .root | quote }}
  port: {{ int .root.Values.metrics.port }}
  path: {{ .path }}
timeoutSeconds: 2
{{- end }}

{{/* What the schema cannot say, told before anything is installed. */}}
{{- define "weft.check" -}}
{{- if and .Values.metrics.podMonitor.enabled (include "weft.metricsAreLocal" .) -}}
{{- fail (printf "metrics.podMonitor.enabled: nothing outside the node reaches %s. Set metrics.address to 0.0.0.0" .Values.metrics.address) -}}
{{- end -}}
{{- $owners := dict -}}
{{- range $name, $segment := .Values.segments -}}
{{- if hasKey $owners $segment.address -}}
{{- fail (printf "segments.%s.address: %s is the address of %s already. Give each segment an address of its own" $name $segment.address (get $owners $segment.address)) -}}
{{- end -}}
{{- $_ := set $owners $segment.address $name -}}
{{- end -}}
{{- end }}

{{/* Keys of one TOML table, a line each. JSON's texts and numbers are TOML's too; an empty text leaves the key out. */}}
{{- define "weft.tomlKeys" -}}
{{- range $key, $value := . }}
{{- if ne "" (toString $value) }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* All sections but the segments. */}}
{{- define "weft.tomlSections" -}}
{{- $port := int .Values.metrics.port -}}
{{- $host := ternary (printf "[%s]" .Values.metrics.address) .Values.metrics.address (contains ":" .Values.metrics.address) -}}
[agent]
metrics = {{ printf "%s:%d" $host $port | toJson }}
{{- include "weft.tomlKeys" .Values.config.agent }}
{{- range $section := list "containerd" "network" "budget" "policy" }}

[{{ $section }}]
{{- include "weft.tomlKeys" (get $.Values.config $section) }}
{{- end }}
{{- end }}

{{/* One segment; what are tables in it come last, as TOML wants it. */}}
{{- define "weft.tomlSegment" -}}
[[segment]]
name = {{ toJson .name }}
{{- include "weft.tomlKeys" (omit .segment "limits" "env") }}
{{- with .segment.limits }}

[segment.limits]
{{- include "weft.tomlKeys" . }}
{{- end }}
{{- with .segment.env }}

[segment.env]
{{- range $key, $value := . }}
{{ toJson $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* The agent's configuration as files of a folder. */}}
{{- define "weft.config" -}}
weft.toml: |
  {{- include "weft.tomlSections" . | nindent 2 }}
{{- range $name, $segment := .Values.segments }}
{{ printf "segment-%s.toml" $name }}: |
  {{- include "weft.tomlSegment" (dict "name" $name "segment" $segment) | nindent 2 }}
{{- end }}
{{- end }}
