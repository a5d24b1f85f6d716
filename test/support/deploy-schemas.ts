/** The shape of each manifest under deploy/, to the last field: what is not named here is not deployed. */
import { z } from 'zod'

const Labels = z.record(z.string(), z.string())
export const Meta = z.strictObject({ name: z.string(), namespace: z.string().optional(), labels: Labels.optional() })
const Probe = z.looseObject({ httpGet: z.strictObject({ path: z.string(), port: z.string() }) })
const Container = z.strictObject({
  name: z.string(),
  image: z.string(),
  imagePullPolicy: z.string(),
  args: z.array(z.string()),
  env: z.array(
    z.strictObject({
      name: z.string(),
      valueFrom: z.strictObject({ fieldRef: z.strictObject({ fieldPath: z.string() }) }),
    }),
  ),
  ports: z.array(
    z.strictObject({ name: z.string(), containerPort: z.number(), hostPort: z.number(), protocol: z.string() }),
  ),
  startupProbe: Probe,
  livenessProbe: Probe,
  readinessProbe: Probe,
  resources: z.strictObject({ requests: Labels }),
  securityContext: z.strictObject({
    privileged: z.literal(false),
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
    capabilities: z.strictObject({ drop: z.array(z.string()), add: z.array(z.string()) }),
  }),
  volumeMounts: z.array(z.strictObject({ name: z.string(), mountPath: z.string(), readOnly: z.boolean().optional() })),
})
export const DaemonSet = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('DaemonSet'),
  metadata: Meta,
  spec: z.strictObject({
    selector: z.strictObject({ matchLabels: Labels }),
    updateStrategy: z.strictObject({
      type: z.literal('RollingUpdate'),
      rollingUpdate: z.strictObject({ maxUnavailable: z.string() }),
    }),
    template: z.strictObject({
      metadata: z.strictObject({ labels: Labels }),
      spec: z.strictObject({
        serviceAccountName: z.string(),
        priorityClassName: z.literal('system-node-critical'),
        hostNetwork: z.literal(true),
        dnsPolicy: z.string(),
        nodeSelector: Labels,
        tolerations: z.array(z.strictObject({ operator: z.literal('Exists') })),
        terminationGracePeriodSeconds: z.number(),
        containers: z.tuple([Container]),
        volumes: z.array(
          z.strictObject({
            name: z.string(),
            configMap: z.strictObject({ name: z.string() }).optional(),
            hostPath: z.strictObject({ path: z.string(), type: z.string() }).optional(),
          }),
        ),
      }),
    }),
  }),
})
export const ConfigMap = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('ConfigMap'),
  metadata: Meta,
  data: Labels,
})
export const Kustomization = z.strictObject({
  apiVersion: z.literal('kustomize.config.k8s.io/v1beta1'),
  kind: z.literal('Kustomization'),
  namespace: z.string(),
  resources: z.array(z.string()),
  patches: z.array(z.strictObject({ path: z.string() })),
  images: z.tuple([z.strictObject({ name: z.string(), newName: z.string(), newTag: z.string() })]),
})
export const ServiceAccount = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('ServiceAccount'),
  metadata: Meta,
})
export const ClusterRoleBinding = z.strictObject({
  apiVersion: z.literal('rbac.authorization.k8s.io/v1'),
  kind: z.literal('ClusterRoleBinding'),
  metadata: Meta,
  roleRef: z.strictObject({ apiGroup: z.string(), kind: z.string(), name: z.string() }),
  subjects: z.array(z.strictObject({ kind: z.string(), name: z.string(), namespace: z.string() })),
})
export const SelectorPatch = z.looseObject({
  kind: z.string(),
  metadata: Meta,
  spec: z.strictObject({ template: z.strictObject({ spec: z.strictObject({ nodeSelector: Labels }) }) }),
})
export const InitPatch = z.strictObject({
  apiVersion: z.literal('apps/v1'),
  kind: z.literal('DaemonSet'),
  metadata: Meta,
  spec: z.strictObject({
    template: z.strictObject({
      spec: z.strictObject({
        initContainers: z.tuple([
          Container.pick({ name: true, image: true, imagePullPolicy: true, args: true, volumeMounts: true }).extend({
            securityContext: z.strictObject({
              privileged: z.literal(true),
              readOnlyRootFilesystem: z.literal(true),
            }),
          }),
        ]),
      }),
    }),
  }),
})
export const AffinityPatch = z.strictObject({
  spec: z.strictObject({
    template: z.strictObject({
      spec: z.strictObject({
        affinity: z.strictObject({
          nodeAffinity: z.strictObject({
            requiredDuringSchedulingIgnoredDuringExecution: z.strictObject({
              nodeSelectorTerms: z.tuple([
                z.strictObject({
                  matchExpressions: z.tuple([
                    z.strictObject({ key: z.string(), operator: z.string(), values: z.array(z.string()) }),
                  ]),
                }),
              ]),
            }),
          }),
        }),
      }),
    }),
  }),
})
export const Kubeconfig = z.looseObject({
  clusters: z.tuple([
    z.strictObject({
      name: z.string(),
      cluster: z.strictObject({ 'certificate-authority': z.string(), server: z.url() }),
    }),
  ]),
  users: z.tuple([z.strictObject({ name: z.string(), user: z.strictObject({ tokenFile: z.string() }) })]),
  contexts: z.tuple([
    z.looseObject({ name: z.string(), context: z.looseObject({ cluster: z.string(), user: z.string() }) }),
  ]),
  'current-context': z.string(),
})
