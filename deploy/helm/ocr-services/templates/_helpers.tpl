{{- define "ocr.name" -}}
{{- printf "%s-%s" .Release.Name "ocr" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "ocr.labels" -}}
app.kubernetes.io/name: ocr-services
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "ocr.image" -}}
{{ .root.Values.image.registry }}/ocr-services/{{ .image }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{- define "ocr.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "ocr.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "ocr.usesSasl" -}}
{{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{/* Every service speaks to the broker and the object store. */}}
{{- define "ocr.env" -}}
- {name: OCR_KAFKA_BOOTSTRAP_SERVERS, value: {{ .Values.kafka.bootstrapServers | quote }}}
- {name: OCR_KAFKA_SECURITY_PROTOCOL, value: {{ .Values.kafka.securityProtocol | quote }}}
- {name: OCR_KAFKA_TOPIC_PREFIX, value: {{ .Values.kafka.topicPrefix | quote }}}
- {name: OCR_KAFKA_PARTITIONS, value: {{ .Values.kafka.partitions | quote }}}
- {name: OCR_KAFKA_REPLICATION_FACTOR, value: {{ .Values.kafka.replicationFactor | quote }}}
{{- if include "ocr.usesSasl" . }}
- {name: OCR_KAFKA_SASL_MECHANISM, value: {{ .Values.kafka.saslMechanism | quote }}}
- name: OCR_KAFKA_SASL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ .Values.kafka.existingSecret | quote }}, key: username}}
- name: OCR_KAFKA_SASL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.kafka.existingSecret | quote }}, key: password}}
{{- end }}
{{- if .Values.kafka.caInSecret }}
- {name: OCR_KAFKA_SSL_CA_LOCATION, value: /etc/ocr/kafka/ca.crt}
{{- end }}
- {name: OCR_S3_ENDPOINT_URL, value: {{ .Values.objectStore.endpointUrl | quote }}}
- {name: OCR_S3_PUBLIC_ENDPOINT_URL, value: {{ .Values.objectStore.publicEndpointUrl | quote }}}
- {name: OCR_S3_REGION, value: {{ .Values.objectStore.region | quote }}}
- {name: OCR_S3_UPLOADS_BUCKET, value: {{ .Values.objectStore.uploadsBucket | quote }}}
- {name: OCR_S3_RESULTS_BUCKET, value: {{ .Values.objectStore.resultsBucket | quote }}}
{{- with .Values.objectStore.existingSecret }}
- name: OCR_S3_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: access-key}}
- name: OCR_S3_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: secret-key}}
{{- end }}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end -}}

{{- define "ocr.databaseEnv" -}}
- name: OCR_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.database.existingSecret | quote }}, key: url}}
{{- end -}}

{{- define "ocr.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.kafka.caInSecret }}
- {name: kafka-ca, mountPath: /etc/ocr/kafka, readOnly: true}
{{- end }}
{{- end -}}

{{- define "ocr.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 1Gi}}
{{- if .Values.kafka.caInSecret }}
- name: kafka-ca
  secret: {secretName: {{ .Values.kafka.existingSecret | quote }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end -}}

{{/* A service: root, component, values, and what it needs beyond the rest: database, spool, port. */}}
{{- define "ocr.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "ocr.name" .root }}-{{ .component }}
  labels:
    {{- include "ocr.labels" . | nindent 4 }}
spec:
  {{- if not .scaled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  strategy:
    # The new one joins before the old one leaves; both finish what they have in hand.
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "ocr.labels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "ocr.labels" . | nindent 8 }}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ .port | quote }}
        prometheus.io/path: /metrics
    spec:
      serviceAccountName: {{ include "ocr.name" .root }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      # A worker finishes what ends within 25 s.
      terminationGracePeriodSeconds: {{ .grace | default 35 }}
      securityContext:
        {{- include "ocr.podSecurity" . | nindent 8 }}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets: {{ toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.nodeSelector }}
      nodeSelector: {{ toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations: {{ toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: topology.kubernetes.io/zone
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "ocr.labels" . | nindent 14 }}
      containers:
        - name: {{ .component }}
          image: {{ include "ocr.image" (dict "root" .root "image" .component) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          securityContext:
            {{- include "ocr.containerSecurity" . | nindent 12 }}
          env:
            {{- include "ocr.env" .root | nindent 12 }}
            {{- if .database }}
            {{- include "ocr.databaseEnv" .root | nindent 12 }}
            {{- end }}
            {{- range $name, $value := .env }}
            - {name: {{ $name }}, value: {{ $value | quote }}}
            {{- end }}
            {{- range $name, $value := .values.settings }}
            - {name: {{ $name }}, value: {{ $value | quote }}}
            {{- end }}
          ports:
            - {name: http, containerPort: {{ .port }}}
          startupProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            {{- include "ocr.mounts" .root | nindent 12 }}
            {{- if .spool }}
            - {name: spool, mountPath: /spool}
            {{- end }}
      volumes:
        {{- include "ocr.volumes" .root | nindent 8 }}
        {{- if .spool }}
        - {name: spool, emptyDir: {sizeLimit: {{ .spool }}}}
        {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "ocr.name" .root }}-{{ .component }}
  labels:
    {{- include "ocr.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "ocr.labels" . | nindent 6 }}
{{- end -}}
