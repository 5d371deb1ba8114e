{{/* SPDX-License-Identifier: Apache-2.0 */}}
{{- define "grisaille.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "grisaille.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "grisaille.name" . -}}
{{- if contains $name .Release.Name -}}{{- .Release.Name | trunc 50 | trimSuffix "-" -}}{{- else -}}{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "grisaille.selector" -}}
app.kubernetes.io/name: {{ include "grisaille.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "grisaille.labels" -}}
{{ include "grisaille.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "grisaille.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- if .Values.image.digest -}}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{- else -}}{{ .Values.image.repository }}:{{ $tag }}{{- end -}}
{{- end -}}

{{- define "grisaille.secret" -}}
{{- if .Values.secrets.existing -}}{{ .Values.secrets.existing }}{{- else -}}{{ include "grisaille.fullname" . }}-stores{{- end -}}
{{- end -}}

{{/* The addresses: given, or those of devStores. */}}
{{- define "grisaille.redisUrl" -}}
{{- if .Values.devStores.enabled -}}redis://:{{ include "grisaille.devPassword" . }}@{{ include "grisaille.fullname" . }}-redis:6379/0{{- else -}}{{ required "redis.url, secrets.existing or devStores.enabled: where is Redis?" .Values.redis.url }}{{- end -}}
{{- end -}}
{{- define "grisaille.mongoUri" -}}
{{- $name := include "grisaille.fullname" . -}}
{{- if .Values.devStores.enabled -}}mongodb://{{ $name }}-mongo-0.{{ $name }}-mongo:27017/?replicaSet=rs0{{- else -}}{{ required "mongo.uri, secrets.existing or devStores.enabled: where is MongoDB?" .Values.mongo.uri }}{{- end -}}
{{- end -}}

{{/* role-specific: (dict "root" $ "role" "worker") */}}
{{- define "grisaille.account" -}}
{{- if and .root.Values.serviceAccount.name (not .root.Values.serviceAccount.create) -}}
{{ .root.Values.serviceAccount.name }}
{{- else if .root.Values.serviceAccount.create -}}
{{ default (include "grisaille.fullname" .root) .root.Values.serviceAccount.name }}-{{ .role }}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "grisaille.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "grisaille.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What every container of grisaille has: image, security, configuration, secrets. */}}
{{- define "grisaille.container" -}}
image: {{ include "grisaille.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "grisaille.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: config, mountPath: /etc/grisaille, readOnly: true}
  - {name: stores, mountPath: /run/secrets/grisaille, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "grisaille.env" -}}
- {name: GRISAILLE_REDIS_URL_FILE, value: /run/secrets/grisaille/redis-url}
- {name: GRISAILLE_MONGO_URI_FILE, value: /run/secrets/grisaille/mongo-uri}
{{- end -}}

{{- define "grisaille.volumes" -}}
- name: config
  configMap: {name: {{ include "grisaille.fullname" . }}}
- name: stores
  secret:
    secretName: {{ include "grisaille.secret" . }}
    items:
      - {key: redis-url, path: redis-url}
      - {key: mongo-uri, path: mongo-uri}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
{{- end -}}

{{/* The pod template of a role: (dict "root" $ "role" "worker" "values" .Values.worker) */}}
{{- define "grisaille.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "grisaille.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
    {{- with $root.Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # a change rolls the pods
    {{- if $root.Values.restartOnConfigChange }}
    checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
    {{- end }}
    checksum/secret: {{ include (print $root.Template.BasePath "/secret.yaml") $root | sha256sum }}
    {{- with $root.Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "grisaille.account" . }}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ default 75 .values.terminationGracePeriodSeconds }}
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "grisaille.podSecurity" $root | nindent 4 }}
  {{- with .values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- if $root.Values.topologySpread.enabled }}
  topologySpreadConstraints:
    {{- range $root.Values.topologySpread.keys }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "grisaille.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.role }}
    {{- end }}
  {{- end }}
  containers:
    - name: grisaille
      {{- include "grisaille.container" $root | nindent 6 }}
      args: [{{ .role }}]
      env:
        {{- include "grisaille.env" $root | nindent 8 }}
        {{- with .values.extraEnv }}{{ toYaml . | nindent 8 }}{{ end }}
      ports:
        - {name: metrics, containerPort: 9480}
        {{- if eq .role "api" }}
        - {name: http, containerPort: 8480}
        {{- end }}
      # Waiting for MongoDB at the start is no failure: /healthz is 200 then, and /readyz is not.
      startupProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 5
      {{- if eq .role "api" }}
      # the endpoint is taken out of the service before SIGTERM closes the listener
      lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
      {{- end }}
      resources: {{ toYaml .values.resources | nindent 8 }}
  volumes:
    {{- include "grisaille.volumes" $root | nindent 4 }}
{{- end -}}

{{/* The password of devStores' Redis: made once for a release; an upgrade finds it in the secret and keeps it. */}}
{{- define "grisaille.devPassword" -}}
{{- $have := lookup "v1" "Secret" .Release.Namespace (include "grisaille.secret" .) -}}
{{- if and $have (hasKey $have.data "redis-password") -}}
{{- index $have.data "redis-password" | b64dec -}}
{{- else -}}
{{- if not (hasKey .Values.devStores "generated") -}}{{- $_ := set .Values.devStores "generated" (randAlphaNum 32) -}}{{- end -}}
{{- .Values.devStores.generated -}}
{{- end -}}
{{- end -}}
