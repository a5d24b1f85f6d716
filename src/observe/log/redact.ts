const secretName = String.raw`[\w.-]*(?:token|authorization|password|cookie|key-?data)`

/** A member of a JSON object whose name tells that its string, or list of strings, is secret. */
const member = new RegExp(String.raw`("${secretName}"\s*:\s*)("(?:[^"\\]|\\.)*"|\[[^\]]*\])`, 'gi')
/** The same inside a JSON string, e.g. a quoted response body. */
const quotedMember = new RegExp(String.raw`(\\"${secretName}\\"\s*:\s*)\\"(?:[^"\\]|\\\\.)*\\"`, 'gi')
/** RFC 6750 credentials, wherever they stand; shorter words are prose. */
const bearer = /\b(bearer\s+)[\w.~+/-]{6,}=*/gi
/** A JSON Web Token: ServiceAccount tokens are. Its first part is always `{"` in base64url. */
const jwt = /\beyJ[\w-]+\.[\w-]+\.[\w-]*/g

const gone = '[redacted]'

/** Takes credentials out of one line of JSON, at any depth and inside messages too. The line stays valid JSON. */
export const redactSecrets = (line: string): string =>
  line
    .replace(member, (_, name: string) => `${name}"${gone}"`)
    .replace(quotedMember, (_, name: string) => `${name}\\"${gone}\\"`)
    .replace(bearer, (_, scheme: string) => `${scheme}${gone}`)
    .replace(jwt, gone)
