import { describe, expect, test } from 'vitest'
import { type CommandLine, parseCommandLine } from './command-line.ts'
import { ConfigError } from './config-error.ts'
import { type FlagKind, flags, ignoredFlags } from './flags.ts'
import { nanoseconds, seconds } from './go-duration.ts'
import { helpText } from './help.ts'

const parse = (...argv: readonly string[]): CommandLine => parseCommandLine(argv)

const errorOf = (...argv: readonly string[]): string => {
  try {
    parseCommandLine(argv)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    if (error instanceof ConfigError) {
      expect(error.code).toBe('usage')
      return error.message
    }
  }
  return 'no error'
}

/** A text and a value for every kind of flag, each unlike any default. */
const samples: { readonly [K in FlagKind]: readonly [string, unknown] } = {
  string: ['x', 'x'],
  bool: ['true', true],
  int32: ['7', 7],
  uint32: ['7', 7],
  float32: ['7.5', 7.5],
  duration: ['1h30m', seconds(5400)],
  strings: ['10.0.0.0/8,fd00::/8', ['10.0.0.0/8', 'fd00::/8']],
  directories: ['a,b', ['a,b']],
  gates: ['A=true,B=false', { A: true, B: false }],
  ip: ['010.1.2.3', '010.1.2.3'],
  ipport: ['[::1]:80', '[::1]:80'],
  size: ['2Mi', '2Mi'],
  vmodule: [
    'a*=1,b=2',
    [
      { filePattern: 'a*', verbosity: 1 },
      { filePattern: 'b', verbosity: 2 },
    ],
  ],
  family: ['ipv6', 'IPv6'],
  version: ['false', 'false'],
}

describe.each(flags)('--$name', ({ name, kind }) => {
  const [text, value] = samples[kind]
  test('with = and with _ for -', () => {
    expect(parse(`--${name}=${text}`).flags).toEqual({ [name]: value })
    expect(parse(`--${name.replaceAll('-', '_')}=${text}`).flags).toEqual({ [name]: value })
  })
  if (kind !== 'bool' && kind !== 'version') {
    test('with a separate value', () => {
      expect(parse(`--${name}`, text).flags).toEqual({ [name]: value })
      expect(errorOf(`--${name}`)).toBe(`flag needs an argument: --${name}`)
    })
  }
  test('is in --help', () => {
    expect(helpText()).toMatch(new RegExp(`^  (-\\w, )?--${name}( |$)`, 'm'))
  })
})

describe('booleans', () => {
  test.each(['1', 't', 'T', 'true', 'TRUE', 'True'])('--cleanup=%s', (text) => {
    expect(parse(`--cleanup=${text}`).flags.cleanup).toBe(true)
  })
  test('alone means true and takes no separate value', () => {
    expect(parse('--masquerade-all').flags['masquerade-all']).toBe(true)
    expect(errorOf('--masquerade-all', 'false')).toBe('unexpected argument: false')
    expect(errorOf('--masquerade-all=')).toMatch('invalid argument "" for "--masquerade-all" flag')
  })
})

describe('repeated flags', () => {
  test('the last scalar wins', () => {
    expect(parse('--proxy-mode=ipvs', '--proxy-mode', 'nftables').flags['proxy-mode']).toBe('nftables')
  })
  test('lists and maps add up', () => {
    expect(parse('--nodeport-addresses=a,b', '--nodeport-addresses', 'c').flags['nodeport-addresses']).toEqual([
      'a',
      'b',
      'c',
    ])
    expect(parse('--feature-gates=A=true,B=true', '--feature_gates=B=0, C = t ').flags['feature-gates']).toEqual({
      A: true,
      B: false,
      C: true,
    })
    expect(parse('--manifests=a', '--manifests=b').flags.manifests).toEqual(['a', 'b'])
    expect(parse('--vmodule=a=1', '--vmodule=b=2').flags.vmodule).toHaveLength(2)
  })
})

describe('verbosity', () => {
  test.each([[['-v', '2']], [['-v=2']], [['-v2']], [['--v=2']], [['--v', '2']]])('%j', (argv) => {
    expect(parse(...argv).flags.v).toBe(2)
  })
  test.each(['-1', '2147483648', 'x', '0x2', ''])('-v=%s is refused', (text) => {
    expect(errorOf(`-v=${text}`)).toMatch(`invalid argument "${text}" for "-v, --v" flag`)
  })
})

describe('durations', () => {
  test.each([
    ['500ms', 500_000_000n],
    ['1.5h', 5_400_000_000_000n],
    ['1us', 1_000n],
    ['0', 0n],
  ])('%s', (text, value) => {
    expect(parse('--config-sync-period', text).flags['config-sync-period']).toBe(nanoseconds(value))
  })
  test('wrong ones are named', () => {
    expect(errorOf('--config-sync-period=5')).toBe(
      'invalid argument "5" for "--config-sync-period" flag: time: invalid duration "5"',
    )
  })
})

describe('empty addresses are ignored without a word', () => {
  test.each(['bind-address', 'healthz-bind-address', 'metrics-bind-address'])('--%s=', (name) => {
    expect(parse(`--${name}=`).flags).toEqual({})
  })
})

test.each([
  ['--bind-address=nope', '"nope" is not a valid IP address'],
  ['--healthz-bind-address=nope', '"nope" is not in a valid format (ip or ip:port)'],
  ['--healthz-bind-address=x:80', '"x" is not a valid IP address'],
  ['--healthz-bind-address=1.2.3.4:99999', '"99999" is not a valid port'],
  ['--feature-gates=A', 'malformed pair "A", expect string=bool'],
  ['--feature-gates=A=yes', 'invalid value of A'],
  ['--conntrack-min=2147483648', 'must be a whole number'],
  ['--kube-api-qps=many', 'must be a number'],
  ['--vmodule=a', '"a" does not have the pattern=N format'],
  ['--vmodule==1', '"=1" does not have the pattern=N format'],
  ['--log-json-info-buffer-size=big', 'is not a size'],
  ['--family=ipx', 'must be ipv4 or ipv6'],
  ['--nodeport-addresses="a', 'bad quoting'],
  ['--manifests=', 'must not be empty'],
  ['--version=1.2', 'must be true, false, raw or vX.Y.Z'],
])('%s', (word, reason) => {
  expect(errorOf(word)).toContain(reason)
})

describe('commands', () => {
  test.each([
    [[], 'run'],
    [['run'], 'run'],
    [['render', '--manifests', 'x'], 'render'],
    [['--v=2', 'render'], 'render'],
    [['cleanup'], 'cleanup'],
    [['--cleanup'], 'cleanup'],
    [['--cleanup=false'], 'run'],
    [['version'], 'version'],
    [['--version'], 'version'],
    [['--version=raw'], 'version'],
    [['--version=false'], 'run'],
    [['', 'run', ''], 'run'],
    [['--', 'render'], 'render'],
  ] as const)('%j', (argv, command) => {
    expect(parse(...argv).command).toBe(command)
  })
  test('version=raw', () => {
    expect(parse('--version=raw').versionFormat).toBe('raw')
    expect(parse('version', '--version=raw').versionFormat).toBe('raw')
    expect(parse('version').versionFormat).toBe('text')
  })
  test('a version to report is accepted with a warning', () => {
    expect(parse('--version=v1.36.2')).toMatchObject({
      command: 'run',
      warnings: [expect.stringContaining('--version')],
    })
  })
  test('other words are refused', () => {
    expect(errorOf('start')).toBe('unexpected argument: start')
    expect(errorOf('run', 'render')).toBe('unexpected argument: render')
    expect(errorOf('--', '--v=2')).toBe('unexpected argument: --v=2')
    expect(errorOf('-')).toBe('unexpected argument: -')
  })
})

describe('help', () => {
  test.each(['-h', '--help', '--help=true'])('%s', (word) => {
    expect(parse('--no-such-flag', word).help).toBe(true)
  })
  test('--help=false is nothing', () => {
    expect(parse('--help=false').help).toBe(false)
  })
  test('shows types and defaults', () => {
    expect(helpText()).toContain('--config-sync-period duration\n')
    expect(helpText()).toContain('(default 127.0.0.1:10249)')
    expect(helpText()).toContain('Serve profiles on the metrics address. No effect yet.')
    expect(helpText()).toContain('Least number of connections to track. (default 131072)')
  })
})

describe('errors', () => {
  test('are all listed, one line each, and a stray value is not blamed', () => {
    expect(errorOf('--x', 'y', '--conntrack-min=z', '-q')).toBe(
      [
        'unknown flag: --x',
        'invalid argument "z" for "--conntrack-min" flag: parsing "z": must be a whole number from -2147483648 to 2147483647',
        "unknown shorthand flag: 'q' in -q",
      ].join('\n'),
    )
  })
  test.each(['--=1', '---x'])('%s is bad syntax', (word) => {
    expect(errorOf(word)).toBe(`bad flag syntax: ${word}`)
  })
  test.each(['--constructor', '--__proto__', '--toString=1'])('%s is unknown', (word) => {
    expect(errorOf(word)).toMatch(/^(unknown flag|bad flag syntax)/)
  })
})

describe('flags of other releases', () => {
  test.each([...ignoredFlags])('--%s is ignored with one warning', (name, kind) => {
    const written = name.replaceAll('-', '_')
    const argv = kind === 'bool' ? [`--${written}`] : [`--${written}`, 'value']
    expect(parse(...argv, ...argv)).toMatchObject({
      flags: {},
      warnings: [`--${name} is accepted, but weir does not act on it`],
    })
  })
  test('deprecated ports name what to use', () => {
    expect(parse('--healthz-port=0', '--metrics-port=1').warnings).toEqual([
      '--healthz-port is deprecated: use --healthz-bind-address instead',
      '--metrics-port is deprecated: use --metrics-bind-address instead',
    ])
  })
})
