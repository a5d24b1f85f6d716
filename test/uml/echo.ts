/** For the guest: says what it sees, on both outputs, and ends with status 3. */
import { writeFileSync } from 'node:fs'
import { release, userInfo } from 'node:os'

const tryWriting = (path: string): string => {
  try {
    writeFileSync(path, 'x')
    return 'written'
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  }
}

const root = tryWriting('/weir-was-here')
const tmp = tryWriting('/tmp/weir-was-here')
console.log(JSON.stringify({ args: process.argv.slice(2), user: userInfo().uid, release: release(), root, tmp }))
for (let i = 0; i < 5000; i++) console.log(`line ${i}`)
console.error('said to standard error')
process.stdout.write('no end of line')
process.exitCode = 3
