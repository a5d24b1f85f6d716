import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../../src/kernel/exec/run.ts'
import type { Variant } from '../../src/kernel/iptables/iptables.ts'
import { type Family, families } from '../../src/model/ip.ts'
import { never } from './sync-rig.ts'

/** The tool of one variant and family, as an administrator uses it. */
export const iptables = (variant: Variant, family: Family, line: string): string =>
  execFileSync(programOf(variant, family), words(line), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

/** Gives input to iptables-restore --noflush, without holding up this process, which may have the lock. */
export const restore = async (variant: Variant, family: Family, input: string): Promise<void> => {
  const wait = variant === 'legacy' ? ['-w', '5'] : []
  const { status, stderr } = await run([`${programOf(variant, family)}-restore`, ...wait, '--noflush'], {
    signal: never,
    input,
  })
  if (status !== 0) throw new Error(stderr)
}

export const saved = (variant: Variant, family: Family): string =>
  execFileSync(`${programOf(variant, family)}-save`, { encoding: 'utf8', maxBuffer: 1 << 28 })

export const ipset = (line: string, input = ''): string =>
  execFileSync('ipset', words(line), { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'] })

const programOf = (variant: Variant, family: Family): string =>
  `${family === 'IPv4' ? 'iptables' : 'ip6tables'}-${variant}`

const words = (line: string): readonly string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')

/** No rules and no sets in this namespace, whoever made them. */
export const wipeRules = async (variant: Variant): Promise<void> => {
  if (variant === 'nft') execFileSync('nft', ['flush', 'ruleset'])
  else
    for (const family of families)
      for (const table of ['filter', 'nat', 'mangle'])
        for (const what of ['-F', '-X']) iptables(variant, family, `-t ${table} ${what}`)
  // nf_tables lets go of sets a while after its rules are gone.
  for (let tries = 0; ; tries++) {
    try {
      ipset('destroy')
      return
    } catch (error) {
      if (tries > 100) throw error
      await sleep(20)
    }
  }
}
