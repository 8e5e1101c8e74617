{{/* Names, labels and image references. Every name fits in 63 characters with the longest ending that is put to it. */}}

{{- define "spate.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "spate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- $name := include "spate.name" . -}}
{{- if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* For objects without a namespace: two releases of one name in two namespaces must not meet. */}}
{{- define "spate.clusterName" -}}
{{ printf "%s-%s" .Release.Namespace (include "spate.fullname" .) }}
{{- end }}

{{/* What selects pods; it never changes. Call with a dict of root and component. */}}
{{- define "spate.selector" -}}
app.kubernetes.io/name: {{ include "spate.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "spate.labels" -}}
{{- $own := include "spate.selector" . | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "spate" -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{ toYaml (mergeOverwrite (deepCopy .root.Values.commonLabels) $own) }}
{{- end }}

{{/* The metadata that all objects share: labels, and annotations if there are any. Call with root, component and maybe
annotations and labels (maps) of this object alone. */}}
{{- define "spate.metadata" -}}
labels:
  {{- $labels := mergeOverwrite (deepCopy (.labels | default dict)) (include "spate.labels" . | fromYaml) }}
  {{- toYaml $labels | nindent 2 }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "spate.serviceAccount" -}}
{{ (get .root.Values .component).serviceAccount.name | default (printf "%s-%s" (include "spate.fullname" .root) .component) }}
{{- end }}

{{/* The reference of an image. Call with root and component (operator, gateway, ledger, agent or brook). */}}
{{- define "spate.image" -}}
{{- $image := (get .root.Values .component).image -}}
{{- $registry := .root.Values.image.registry | trimSuffix "/" -}}
{{- $name := ternary $image.repository (printf "%s/%s" $registry $image.repository) (eq $registry "") -}}
{{- if $image.digest -}}
{{ $name }}@{{ $image.digest }}
{{- else -}}
{{ $name }}:{{ $image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* The ports of the programs. The agent's is the one that the operator gives to the pods it makes. */}}
{{- define "spate.port" -}}
{{ get (dict "operator" "7001" "gateway" "8080" "ledger" "7002" "agent" "8000" "metrics" "9090") . }}
{{- end }}

{{/* The namespace of the test's model. */}}
{{- define "spate.testNamespace" -}}
{{ .Values.tests.namespace | default (first .Values.watchNamespaces) | default .Release.Namespace }}
{{- end }}
