{{- define "resnet-operator.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "resnet-operator.selector" -}}
app.kubernetes.io/name: resnet-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "resnet-operator.labels" -}}
{{ include "resnet-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* not the selector's labels: neither Service nor budget may take the test for the operator */ -}}
{{- define "resnet-operator.testLabels" -}}
app.kubernetes.io/name: resnet-operator-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "resnet-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "resnet-operator.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- /* image: a name without tag and digest becomes <registry>/<name>:<tag> */ -}}
{{- define "resnet-operator.image" -}}
{{- if or (contains ":" (last (splitList "/" .name))) (contains "@" .name) -}}
{{ .name }}
{{- else -}}
{{- with .root.Values.images.registry }}{{ . | trimSuffix "/" }}/{{ end -}}
{{ .name }}:{{ .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* rules: what the operator does, and nothing else. No secrets, no nodes, no exec, no logs. */ -}}
{{- define "resnet-operator.rules" -}}
- apiGroups: [serving.resnet-operator.io]
  resources: [resnetservices]
  verbs: [list, watch]
- apiGroups: [serving.resnet-operator.io]
  resources: [resnetservices/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list, watch, create]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [list, create]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch, create, patch, delete]
{{- if .Values.gatewayAPI }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [list, watch, create, patch, delete]
{{- end }}
{{- end -}}
