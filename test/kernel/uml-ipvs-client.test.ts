/**
 * Our IPVS client and its fake, judged in a guest by a kernel that has IPVS and by ipvsadm: test/uml/ipvs-client.ts says what is
 * compared with what.
 */
import t from 'tap'
import { playComparisons } from '../support/guest-comparisons.ts'
import { steps } from '../uml/ipvs-script.ts'

const outcome = await playComparisons(import.meta.url, { program: 'ipvs-client', least: 2 * steps.length + 31 })
t.comment(/^loads: .*/m.exec(outcome?.console ?? '')?.[0] ?? '')
