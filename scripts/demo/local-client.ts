import { connect } from 'node:net'
import { countBy } from './traffic.ts'

export interface Address {
  readonly ip: string
  readonly port: number
}

const parallel = 16
const patienceMs = 10_000

/** Connects `count` times. Who answered, by name; throws unless that is every one of `expected` and nobody else. */
export const connectAll = async (
  to: Address,
  count: number,
  expected: readonly string[],
): Promise<ReadonlyMap<string, number>> => {
  const names: string[] = []
  let left = count
  const worker = async (): Promise<void> => {
    while (left-- > 0) names.push(await ask(to))
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  const answered = countBy(names, (name) => name)
  const wrong = [...answered.keys()].filter((name) => !expected.includes(name))
  const silent = expected.filter((name) => !answered.has(name))
  if (wrong.length > 0)
    throw new Error(`${to.ip}:${to.port} was answered by ${wrong.join(', ')}, which should get nothing`)
  if (silent.length > 0)
    throw new Error(`${to.ip}:${to.port} never reached ${silent.join(', ')} in ${count} connections`)
  return answered
}

const ask = ({ ip, port }: Address): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ host: ip, port })
    socket.setEncoding('utf8').setTimeout(patienceMs, () => socket.destroy(new Error(`no answer from ${ip}:${port}`)))
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('end', () => (text === '' ? reject(new Error(`nothing came from ${ip}:${port}`)) : resolve(text.trim())))
    socket.on('error', reject)
  })
