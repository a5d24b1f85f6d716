import { describe, expect, it } from 'vitest'
import { fakeRun } from '../exec/fake-run.ts'
import { Ipvsadm } from './ipvsadm.ts'
import { parseProcIpVs } from './proc-ip-vs.ts'

const { signal } = new AbortController()

const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr persistent 10800
  -> 0AF40002:1920      Masq    1      3          4         
UDP  CB007105:0035 wlc ops 
FWM  00000007 wlc 
  -> 0AF40003:1920      Masq    1      0          0         
TCP  [fd00:0096:0000:0000:0000:0000:0000:0010]:0050 mh (mh-port) 
  -> [fd00:0244:0000:0000:0000:0000:0000:0002]:1f90      Masq    1      0          0         
SCTP C0000201:0000 sh 
`

describe('parseProcIpVs', () => {
  it('reads virtual servers, not real ones', () => {
    expect(parseProcIpVs(table)).toEqual([
      { protocol: 'TCP', ip: '10.96.0.1', port: 443 },
      { protocol: 'UDP', ip: '203.0.113.5', port: 53 },
      { protocol: 'TCP', ip: 'fd00:96::10', port: 80 },
      { protocol: 'SCTP', ip: '192.0.2.1', port: undefined },
    ])
  })
})

describe('Ipvsadm', () => {
  it('names each kind of service', async () => {
    const { run, calls } = fakeRun({ ipvsadm: () => '' })
    await new Ipvsadm({ run }).remove(parseProcIpVs(table), signal)
    expect(calls).toEqual([
      ['ipvsadm', '-D', '-t', '10.96.0.1:443'],
      ['ipvsadm', '-D', '-u', '203.0.113.5:53'],
      ['ipvsadm', '-D', '-t', '[fd00:96::10]:80'],
      ['ipvsadm', '-D', '--sctp-service', '192.0.2.1:0'],
    ])
  })

  it('knows a kernel without IPVS', async () => {
    expect(await new Ipvsadm({ table: '/nonexistent/ip_vs' }).list(signal)).toBeUndefined()
  })

  it('reports a refusal, but not a service that is gone', async () => {
    const servers = parseProcIpVs(table)
    const answering = (stderr: string) =>
      new Ipvsadm({ run: fakeRun({ ipvsadm: () => ({ status: 255, stdout: '', stderr }) }).run })
    await answering('No such service\n').remove(servers, signal)
    await expect(answering('Permission denied\n').remove(servers, signal)).rejects.toMatchObject({ code: 'rejected' })
    await expect(new Ipvsadm({ run: fakeRun({}).run }).remove(servers, signal)).rejects.toMatchObject({
      code: 'missing',
    })
  })
})
