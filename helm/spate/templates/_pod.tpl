{{/* What the pods of all programs share. Every template here is called with a dict of root and component. */}}

{{/* Labels by which the providers mark nodes that may be taken away at short notice. */}}
{{- define "spate.notSpot" -}}
- {key: karpenter.sh/capacity-type, operator: NotIn, values: [spot]}
- {key: eks.amazonaws.com/capacityType, operator: NotIn, values: [SPOT]}
- {key: cloud.google.com/gke-spot, operator: NotIn, values: ["true"]}
- {key: cloud.google.com/gke-provisioning, operator: NotIn, values: [spot]}
- {key: kubernetes.azure.com/scalesetpriority, operator: NotIn, values: [spot]}
{{- end }}

{{/* The affinity of the values. With avoidSpot each alternative of the required node affinity (there may be none) also asks for
a node that is not spot: alternatives are joined by or, what is inside one by and. */}}
{{- define "spate.affinity" -}}
{{- $own := get .root.Values .component -}}
{{- $affinity := deepCopy $own.affinity -}}
{{- if $own.avoidSpot -}}
{{- $node := $affinity.nodeAffinity | default dict -}}
{{- $required := $node.requiredDuringSchedulingIgnoredDuringExecution | default dict -}}
{{- $notSpot := include "spate.notSpot" . | fromYamlArray -}}
{{- $terms := list -}}
{{- range $required.nodeSelectorTerms | default (list dict) -}}
{{- $terms = append $terms (set . "matchExpressions" (concat (.matchExpressions | default list) $notSpot)) -}}
{{- end -}}
{{- $_ := set $required "nodeSelectorTerms" $terms -}}
{{- $_ := set $node "requiredDuringSchedulingIgnoredDuringExecution" $required -}}
{{- $_ := set $affinity "nodeAffinity" $node -}}
{{- end -}}
{{- with $affinity -}}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end }}

{{- define "spate.spread" -}}
{{- $own := get .root.Values .component -}}
topologySpreadConstraints:
{{- if $own.topologySpreadConstraints }}
  {{- toYaml $own.topologySpreadConstraints | nindent 2 }}
{{- else }}
  {{- $selector := include "spate.selector" . | nindent 8 }}
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Metadata of the pod template. Versions are not among its labels: a new chart alone is no reason to end streams. */}}
{{- define "spate.podMetadata" -}}
{{- $own := get .root.Values .component -}}
labels:
  {{- $labels := mergeOverwrite (deepCopy .root.Values.commonLabels) $own.podLabels (include "spate.selector" . | fromYaml) (dict "spate.dev/component" .component) }}
  {{- toYaml $labels | nindent 2 }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) $own.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The fields of a pod's spec but for containers and volumes. */}}
{{- define "spate.podSpec" -}}
{{- $own := get .root.Values .component -}}
serviceAccountName: {{ include "spate.serviceAccount" . }}
automountServiceAccountToken: {{ eq .component "operator" }}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "spate.affinity" . }}
{{ . }}
{{- end }}
{{ include "spate.spread" . }}
{{- end }}

{{- define "spate.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Image, variables and limits of a program's container. */}}
{{- define "spate.container" -}}
{{- $own := get .root.Values .component -}}
name: {{ .component }}
image: {{ include "spate.image" . | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- include "spate.containerSecurity" . | nindent 2 }}
ports:
  - {name: http, containerPort: {{ include "spate.port" .component }}, protocol: TCP}
  {{- if eq .component "gateway" }}
  - {name: metrics, containerPort: {{ include "spate.port" "metrics" }}, protocol: TCP}
  {{- end }}
env:
  {{- $fields := dict "POD_NAME" "metadata.name" "POD_NAMESPACE" "metadata.namespace" "POD_IP" "status.podIP" "NODE_NAME" "spec.nodeName" }}
  {{- range $name, $path := $fields }}
  - {name: {{ $name }}, valueFrom: {fieldRef: {fieldPath: {{ $path }}}}}
  {{- end }}
  {{- range $name, $value := .env }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
  {{- with $own.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml $own.resources | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/* Options that all programs have. */}}
{{- define "spate.commonArgs" -}}
{{- $own := get .root.Values .component -}}
- --log-level={{ $own.logLevel }}
- --log-format={{ .root.Values.logFormat }}
{{- range $own.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* The claim template of a StatefulSet, which is called "state". */}}
{{- define "spate.claim" -}}
{{- $persistence := (get .root.Values .component).persistence -}}
metadata:
  name: state
  labels:
    {{- include "spate.selector" . | nindent 4 }}
  {{- with $persistence.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  accessModes:
    {{- toYaml $persistence.accessModes | nindent 4 }}
  {{- with $persistence.storageClassName }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests:
      storage: {{ $persistence.size }}
{{- end }}
