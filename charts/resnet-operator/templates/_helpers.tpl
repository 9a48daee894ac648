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

{{- /* image: the reference that the cluster pulls for a name in the values; "" stays "".
       completed by registry and tag, pinned by digests, redirected by mirror, in this order */ -}}
{{- define "resnet-operator.image" -}}
{{- $images := .root.Values.images -}}
{{- with .name -}}
{{- $reference := . -}}
{{- if not (or (contains ":" (last (splitList "/" .))) (contains "@" .)) -}}
{{- $reference = printf "%s:%s" . ($images.tag | default $.root.Chart.AppVersion) -}}
{{- end -}}
{{- $digest := get ($images.digests | default dict) $reference -}}
{{- if and $images.registry (ne $reference .) (not (include "resnet-operator.host" .)) -}}
{{- $reference = printf "%s/%s" ($images.registry | trimSuffix "/") $reference -}}
{{- end -}}
{{- if not (contains "@" .) -}}
{{- if $digest -}}
{{- $reference = printf "%s@%s" $reference $digest -}}
{{- else if $images.requireDigests -}}
{{- fail (printf "images.requireDigests: %s has no digest; add it to images.digests" $reference) -}}
{{- end -}}
{{- end -}}
{{- $mirror := $images.mirror | default "" | trimSuffix "/" -}}
{{- if and $mirror (not (hasPrefix (printf "%s/" $mirror) $reference)) -}}
{{- with include "resnet-operator.host" $reference -}}
{{- $reference = trimPrefix (printf "%s/" .) $reference -}}
{{- end -}}
{{- $reference = printf "%s/%s" $mirror $reference -}}
{{- end -}}
{{- $reference -}}
{{- end -}}
{{- end -}}

{{- /* host: the registry's host in a reference, "" where there is none: "team/image" has none */ -}}
{{- define "resnet-operator.host" -}}
{{- $parts := splitList "/" . -}}
{{- if and (gt (len $parts) 1) (or (regexMatch "[.:]" (first $parts)) (eq (first $parts) "localhost")) -}}
{{- first $parts -}}
{{- end -}}
{{- end -}}

{{- /* imageMap: one of the maps of images as JSON, the chart's own entries below the user's */ -}}
{{- define "resnet-operator.imageMap" -}}
{{- $images := .root.Values.images -}}
{{- $names := dict -}}
{{- if not (has .map ($images.replace | default list)) -}}
{{- $names = deepCopy (get $images.defaults .map | default dict) -}}
{{- end -}}
{{- $references := dict -}}
{{- range $key, $name := mergeOverwrite $names (get $images .map | default dict) -}}
{{- with $name -}}
{{- $_ := set $references $key (include "resnet-operator.image" (dict "name" . "root" $.root)) -}}
{{- end -}}
{{- end -}}
{{- $references | toJson -}}
{{- end -}}

{{- define "resnet-operator.batchPriorityClass" -}}
{{- if and .Values.batch.priorityClass.create (not .Values.watchNamespaces) -}}
{{ default (printf "%s-batch" (include "resnet-operator.name" .)) .Values.batch.priorityClass.name }}
{{- else -}}
{{ .Values.batch.priorityClass.name }}
{{- end -}}
{{- end -}}
{{- /* rules: what the operator does, and nothing else. No nodes, no exec; of Secrets it may
make one for each namespace, the store's, and read none. Logs of pods, for the bytes of downloads,
unless progressFromLogs is off. */ -}}
{{- define "resnet-operator.rules" -}}
- apiGroups: [serving.resnet-operator.io]
  resources: [resnetservices, resnetbatches]
  verbs: [list, watch]
- apiGroups: [serving.resnet-operator.io]
  resources: [resnetservices/status, resnetbatches/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
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
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch, create, patch, delete]
{{- if .Values.progressFromLogs }}
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
{{- if eq .Values.autoscaling.provider "KEDA" }}
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list, watch, create, patch, delete]
{{- end }}
{{- if .Values.gatewayAPI }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [list, watch, create, patch, delete]
{{- end }}
{{- end -}}
