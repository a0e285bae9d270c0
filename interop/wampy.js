// wampy: node wampy.js URL REALM SERIALIZER
import { Wampy } from 'wampy'
import { JsonSerializer } from 'wampy/JsonSerializer.js'
import { MsgpackSerializer } from 'wampy/MsgpackSerializer.js'
import { CborSerializer } from 'wampy/CborSerializer.js'
import WebSocket from 'ws'
import { converse } from './conversation.js'

const [url, realm, serializer] = process.argv.slice(2)
const serializers = { json: JsonSerializer, msgpack: MsgpackSerializer, cbor: CborSerializer }

let done = false
const wampy = new Wampy(url, {
  realm,
  ws: WebSocket,
  serializer: new serializers[serializer](),
  autoReconnect: false,
  onClose: () => { if (!done) fail('the connection was closed') },
  onError: fail,
})
try {
  await wampy.connect()
  await converse({
    json: serializer === 'json',
    async call(procedure, argsList, argsDict) {
      try {
        const result = await wampy.call(procedure, { argsList, argsDict })
        return { args: result.argsList ?? [], kwargs: result.argsDict ?? {} }
      } catch (problem) {
        if (problem.errorUri === undefined) throw problem
        throw { uri: problem.errorUri, kwargs: problem.argsDict }
      }
    },
    // wampy refuses a prefix that ends in a dot.
    subscribe: (prefix, receive) => wampy.subscribe(prefix.replace(/\.$/, ''), (e) => receive(e.argsList, e.argsDict), {
      match: 'prefix',
    }),
    async close() { done = true; await wampy.disconnect() },
  })
} catch (problem) {
  fail(problem)
}

function fail(problem) {
  console.error(problem)
  process.exit(1)
}
