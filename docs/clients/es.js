// Read Verbatim's pages in JavaScript: copy this file, it needs nothing else.
//
//   import { records, Record, pages, binary } from './es.js'
//
//   const call = (procedure, args, kwargs) => session.call(procedure, args, kwargs)   // autobahn-js
//   for await (const { page } of pages(call, { types: ['bank.account.'] })) {
//     for (const bytes of records(page)) {
//       const event = new Record(bytes)
//       console.log(event.position, event.type, event.stream, event.data.length)
//     }
//   }
//
// A record is a size-prefixed FlatBuffer es.Event, a page is one record after
// the other. Everything here reads in place: a Uint8Array that comes out is a
// view of the one that went in. Bytes are taken to come from a store, which has
// checked them; bytes cut short throw a RangeError.

/** Yields the records of a page, each a view of its bytes. */
export function* records(page) {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength)
  for (let at = 0; at < page.byteLength;) {
    const end = at + 4 + view.getUint32(at, true)
    if (end > page.byteLength) throw new RangeError(`the page ends inside the record at byte ${at}`)
    yield page.subarray(at, end)
    at = end
  }
}

/**
 * Yields { page, store, last, head } for every page of a selection, until the
 * answer says that there is no more. `call` makes a WAMP call and answers with
 * { args, kwargs }; `selection` holds the keyword arguments of es.read. To go on
 * another day, keep `store` and `last` and pass them as `store` and `after`.
 */
export async function* pages(call, selection = {}) {
  const { after_id, since, from_version, ...next } = selection
  for (let ask = selection, left = selection.limit ?? Infinity; ;) {
    const { args, kwargs } = await call('es.read', [], ask)
    yield { page: binary(args[0]), store: kwargs.store, last: kwargs.last, head: kwargs.head }
    left -= kwargs.count
    if (!kwargs.more || left <= 0) return
    ask = { ...next, after: kwargs.last, store: kwargs.store }
    if (left !== Infinity) ask.limit = left
  }
}

/** One event, read in place from its record. The numbers are the ids in es.fbs. */
export class Record {
  #bytes; #view; #root; #vtable

  constructor(bytes) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#root = 4 + this.#view.getUint32(4, true)
    this.#vtable = this.#root - this.#view.getInt32(this.#root, true)
  }

  /** The event's ULID, as its 26 characters. */
  get id() { return this.#ulid(0) }
  get position() { return this.#number(1) }
  get version() { return this.#number(2) }
  get stream() { return this.#string(3) }
  get type() { return this.#string(4) }
  /** The fingerprint of the schema that data was built with, 16 hex digits. */
  get schema() { const at = this.#field(5); return (at ? this.#view.getBigUint64(at, true) : 0n).toString(16).padStart(16, '0') }
  get tags() { return this.#vector(6, (at) => this.#text(at)) }
  /** The event itself: a FlatBuffer of its type, without size prefix. */
  get data() { return this.#slice(this.#follow(this.#need(7))) }
  /** The ids of what caused this event and of what it belongs to, or null. */
  get causation() { return this.#ulid(8) }
  get correlation() { return this.#ulid(9) }
  /** Keys and values, in order; a key may repeat. */
  get metadata() { return this.#vector(10, (at) => this.#meta(at)) }
  /** Place in its append, and the append's key or null. */
  get batchSeq() { return this.#uint(12) }
  get batchSize() { return this.#uint(13) }
  get batchKey() { const at = this.#field(14); return at ? this.#text(at) : null }

  // Where field `id` of the table is, 0 if it is not there.
  #field(id, table = this.#root, vtable = this.#vtable) {
    const entry = 4 + 2 * id
    const offset = entry < this.#view.getUint16(vtable, true) ? this.#view.getUint16(vtable + entry, true) : 0
    return offset && table + offset
  }
  #need(id) {
    const at = this.#field(id)
    if (!at) throw new RangeError(`field ${id} is not in the record`)
    return at
  }
  #follow(at) { return at + this.#view.getUint32(at, true) }
  #slice(at) {
    const end = at + 4 + this.#view.getUint32(at, true)
    if (end > this.#bytes.byteLength) throw new RangeError(`the record ends inside the bytes at ${at}`)
    return this.#bytes.subarray(at + 4, end)
  }
  #text(at) { return decoder.decode(this.#slice(this.#follow(at))) }
  #string(id) { return this.#text(this.#need(id)) }
  #uint(id) { const at = this.#field(id); return at ? this.#view.getUint32(at, true) : 0 }
  // Positions and versions stay below 2^53, so that they are plain numbers.
  #number(id) { const at = this.#field(id); return at ? Number(this.#view.getBigUint64(at, true)) : 0 }
  #ulid(id) {
    const at = this.#field(id)
    return at ? ulid(this.#view.getBigUint64(at, true), this.#view.getBigUint64(at + 8, true)) : null
  }
  #vector(id, read) {
    const field = this.#field(id)
    if (!field) return []
    const at = this.#follow(field)
    return Array.from({ length: this.#view.getUint32(at, true) }, (_, i) => read(at + 4 + 4 * i))
  }
  #meta(at) {
    const table = this.#follow(at)
    const vtable = table - this.#view.getInt32(table, true)
    const value = this.#field(1, table, vtable)
    return [this.#text(this.#field(0, table, vtable)), value ? this.#text(value) : '']
  }
}

/** The 26 characters of a ULID from the two 64-bit halves in a record. */
export function ulid(hi, lo) {
  let bits = (hi << 64n) | lo
  let text = ''
  for (let i = 0; i < 26; i++, bits >>= 5n) text = crockford[Number(bits & 31n)] + text
  return text
}

/**
 * The bytes of a WAMP binary. Over MessagePack and CBOR they are bytes already;
 * over JSON a binary is a string: U+0000, then base64.
 */
export function binary(value) {
  if (typeof value !== 'string') return value instanceof Uint8Array ? value : new Uint8Array(value)
  if (value[0] !== '\0') throw new TypeError('a string, not a WAMP binary')
  return Uint8Array.from(atob(value.slice(1)), (c) => c.charCodeAt(0))
}

/** The other way: bytes as the string that stands for them over JSON. */
export function jsonBinary(bytes) {
  let text = ''
  for (const b of bytes) text += String.fromCharCode(b)
  return '\0' + btoa(text)
}

const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const decoder = new TextDecoder()
