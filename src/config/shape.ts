import {
  boolean,
  flushFrequency,
  gates,
  duration as goDuration,
  int32,
  type Leaf,
  number,
  quantity,
  strings,
  text,
  uint32,
  vmodules,
} from './leaf.ts'

export interface Shape {
  readonly [key: string]: Leaf<unknown> | Shape
}

/** What a file may hold in a shape: everything is optional, null counts as absent. */
export type Partially<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends Leaf<infer T> ? T | undefined : S[K] extends Shape ? Partially<S[K]> : never
}

/** A shape with every value filled in. */
export type Filled<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends Leaf<infer T> ? T : S[K] extends Shape ? Filled<S[K]> : never
}

const splitOptions = { splitStream: boolean, infoBufferSize: quantity } as const

/**
 * KubeProxyConfiguration v1alpha1 without kind and apiVersion (k8s.io/kube-proxy/config/v1alpha1/types.go of v1.36), and
 * the section `weir`, which kube-proxy ignores with a warning. Decoding, the list of fields, and the types of the defaulted configuration all follow from it.
 */
export const configurationShape = {
  featureGates: gates,
  clientConnection: {
    kubeconfig: text,
    acceptContentTypes: text,
    contentType: text,
    qps: number,
    burst: int32,
  },
  logging: {
    format: text,
    flushFrequency,
    verbosity: uint32,
    vmodule: vmodules,
    options: { text: splitOptions, json: splitOptions },
  },
  hostnameOverride: text,
  bindAddress: text,
  healthzBindAddress: text,
  metricsBindAddress: text,
  bindAddressHardFail: boolean,
  enableProfiling: boolean,
  showHiddenMetricsForVersion: text,
  mode: text,
  iptables: {
    masqueradeBit: int32,
    masqueradeAll: boolean,
    localhostNodePorts: boolean,
    syncPeriod: goDuration,
    minSyncPeriod: goDuration,
  },
  ipvs: {
    syncPeriod: goDuration,
    minSyncPeriod: goDuration,
    scheduler: text,
    excludeCIDRs: strings,
    strictARP: boolean,
    tcpTimeout: goDuration,
    tcpFinTimeout: goDuration,
    udpTimeout: goDuration,
  },
  nftables: {
    masqueradeBit: int32,
    masqueradeAll: boolean,
    syncPeriod: goDuration,
    minSyncPeriod: goDuration,
  },
  winkernel: {
    networkName: text,
    sourceVip: text,
    enableDSR: boolean,
    rootHnsEndpointName: text,
    forwardHealthCheckVip: boolean,
  },
  detectLocalMode: text,
  detectLocal: { bridgeInterface: text, interfaceNamePrefix: text },
  clusterCIDR: text,
  nodePortAddresses: strings,
  oomScoreAdj: int32,
  conntrack: {
    maxPerCore: int32,
    min: int32,
    tcpEstablishedTimeout: goDuration,
    tcpCloseWaitTimeout: goDuration,
    tcpBeLiberal: boolean,
    udpTimeout: goDuration,
    udpStreamTimeout: goDuration,
  },
  configSyncPeriod: goDuration,
  portRange: text,
  windowsRunAsService: boolean,
  weir: {
    iptables: { variant: text, ipset: boolean, dispatch: text },
    userspace: {
      threads: int32,
      redirect: text,
      portRange: text,
      connectTimeout: goDuration,
      tcpIdleTimeout: goDuration,
      udpTimeout: goDuration,
      maxConnections: int32,
      drainTimeout: goDuration,
    },
    ipvs: { drainTimeout: goDuration },
  },
} as const satisfies Shape

/** What the file says. */
export type FileSettings = Partially<typeof configurationShape>
type Defaulted = Filled<typeof configurationShape>
export type WeirSettings = Defaulted['weir']
/** The same with defaults; every address, CIDR and mode is still text. */
export type Settings = Omit<Defaulted, 'weir'> & {
  /** undefined: nothing of it was set. */
  readonly weir: WeirSettings | undefined
}

export const isLeaf = (part: Leaf<unknown> | Shape): part is Leaf<unknown> => {
  const { read } = part
  return typeof read === 'function'
}

/** Every field as its path, `iptables.masqueradeBit`. */
export const configurationFields: readonly string[] = (() => {
  const paths: string[] = []
  const walk = (shape: Shape, prefix: string): void => {
    for (const [key, part] of Object.entries(shape)) {
      if (isLeaf(part)) paths.push(prefix + key)
      else walk(part, `${prefix}${key}.`)
    }
  }
  walk(configurationShape, '')
  return paths
})()
