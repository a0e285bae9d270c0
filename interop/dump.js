// Prints one JSON object per record of the page on standard input. With the
// argument "json" the page comes as a WAMP binary over JSON, as it goes out.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Record, binary, jsonBinary, records } from '../docs/clients/es.js'

const input = readFileSync(0)
const page = process.argv[2] === 'json' ? binary(JSON.parse(input.toString())) : input
if (process.argv[2] === 'json' && JSON.stringify(jsonBinary(page)) !== JSON.stringify(JSON.parse(input.toString()))) {
  throw new Error('jsonBinary(binary(x)) is not x')
}
for (const bytes of records(page)) {
  const e = new Record(bytes)
  console.log(JSON.stringify({
    id: e.id, position: e.position, version: e.version, stream: e.stream, type: e.type, schema: e.schema, tags: e.tags,
    data: Buffer.from(e.data).toString('hex'), causation: e.causation, correlation: e.correlation, metadata: e.metadata,
    batch_seq: e.batchSeq, batch_size: e.batchSize, batch_key: e.batchKey,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }))
}
