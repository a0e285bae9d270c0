// What both JavaScript clients do, once connected: follow the live events and
// obey the test, which writes one JSON object per line and reads one back.
//
//   {"call": PROCEDURE, "args": [...], "kwargs": {...}}   {"binary": BASE64} stands for bytes
//   {"finish": POSITION}                                  wait for it live, page everything, report
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { Record, binary, jsonBinary, pages, records } from '../docs/clients/es.js'

/**
 * `client` has call(procedure, args, kwargs) → { args, kwargs }, which throws
 * { uri, kwargs }; subscribe(prefix, (args, kwargs) => …); close(); and json,
 * true where bytes go out as strings.
 */
export async function converse(client) {
  const live = new Map() // position → record
  let arrived = () => {}
  const encode = (bytes) => (client.json ? jsonBinary(bytes) : bytes)

  const outward = (value) => {
    if (Array.isArray(value)) return value.map(outward)
    return value?.binary === undefined ? value : encode(new Uint8Array(Buffer.from(value.binary, 'base64')))
  }

  async function finish(position) {
    while (!live.has(position)) await new Promise((resolve) => { arrived = resolve })
    const inOrder = [...live.keys()].sort((a, b) => a - b)
    const paged = createHash('sha256')
    let count = 0, answers = 0, last = 0
    for await (const answer of pages(client.call, { max_bytes: 4096 })) {
      answers++
      for (const bytes of records(answer.page)) {
        const at = new Record(bytes).position
        if (at !== last + 1) throw new Error(`position ${at} follows ${last}`)
        last = at
        count++
        paged.update(bytes)
      }
    }
    return {
      live: { count: live.size, first: inOrder[0], sha256: digest(inOrder.map((at) => live.get(at))) },
      paged: { count, answers, sha256: paged.digest('hex') },
    }
  }

  async function obey(order) {
    if (order.finish !== undefined) return finish(order.finish)
    try {
      return await client.call(order.call, (order.args ?? []).map(outward), order.kwargs ?? {})
    } catch (problem) {
      if (problem.uri === undefined) throw problem
      return { error: problem.uri, kwargs: problem.kwargs }
    }
  }

  await client.subscribe('es.event.', (args, kwargs) => {
    const bytes = binary(args[0])
    const { position } = new Record(bytes)
    if (position !== kwargs.position) throw new Error(`the event says ${kwargs.position}, its record ${position}`)
    live.set(position, bytes)
    arrived()
  })
  print({ ready: true })
  for await (const line of createInterface({ input: process.stdin })) print(await obey(JSON.parse(line)))
  await client.close()
}

const digest = (parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest('hex')

// Bytes in an answer go to the test as {"binary": BASE64}.
const print = (value) => console.log(JSON.stringify(value, (key, v) => {
  if (v?.type === 'Buffer') return { binary: Buffer.from(v.data).toString('base64') }
  const bytes = v instanceof Uint8Array || (typeof v === 'string' && v[0] === '\0')
  return bytes ? { binary: Buffer.from(binary(v)).toString('base64') } : v
}))
