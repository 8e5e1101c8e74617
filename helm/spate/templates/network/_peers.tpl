{{/* The parts that NetworkPolicies are put together from. */}}

{{/* Pods of a program of this release. Call with root and component. */}}
{{- define "spate.peer" -}}
- podSelector:
    matchLabels:
      {{- include "spate.selector" . | nindent 6 }}
{{- end }}

{{/* Labels that the operator puts on every pod it makes. */}}
{{- define "spate.agentSelector" -}}
app.kubernetes.io/name: spate-agent
app.kubernetes.io/managed-by: spate-operator
{{- end }}

{{- define "spate.dns" -}}
- ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}

{{- define "spate.toAgents" -}}
- ports: [{port: {{ include "spate.port" "agent" }}, protocol: TCP}]
  to:
    - namespaceSelector: {}
      podSelector:
        matchLabels:
          {{- include "spate.agentSelector" . | nindent 10 }}
{{- end }}
