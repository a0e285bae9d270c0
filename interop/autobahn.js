// Autobahn|JS: node autobahn.js URL REALM SERIALIZER
import autobahn from 'autobahn'
import { converse } from './conversation.js'

const [url, realm, serializer] = process.argv.slice(2)
const { JSONSerializer, MsgpackSerializer, CBORSerializer } = autobahn.serializer
const serializers = { json: JSONSerializer, msgpack: MsgpackSerializer, cbor: CBORSerializer }

// Over RawSocket the library has JSON only, and is told where as a transport.
const { protocol, hostname, port } = new URL(url)
const where = protocol === 'rs:' ? { transports: [{ type: 'rawsocket', host: hostname, port: Number(port) }] } : { url }
const connection = new autobahn.Connection({ ...where, realm, serializers: [new serializers[serializer]()], max_retries: 0 })
let done = false
connection.onclose = (reason, details) => {
  if (!done) fail(`${reason}: ${details.reason} ${details.message}`)
}
connection.onopen = (session) => {
  converse({
    json: serializer === 'json',
    async call(procedure, args, kwargs) {
      try {
        const result = await session.call(procedure, args, kwargs)
        if (result instanceof autobahn.Result) return { args: result.args ?? [], kwargs: result.kwargs ?? {} }
        return { args: result === null || result === undefined ? [] : [result], kwargs: {} }
      } catch (problem) {
        if (!(problem instanceof autobahn.Error)) throw problem
        throw { uri: problem.error, kwargs: problem.kwargs }
      }
    },
    subscribe: (prefix, receive) => session.subscribe(prefix, receive, { match: 'prefix' }),
    async close() { done = true; connection.close() },
  }).catch(fail)
}
connection.open()

function fail(problem) {
  console.error(problem)
  process.exit(1)
}
