"""Read Verbatim's pages in Python: copy this file, it needs nothing else.

    from es import Record, pages, records

    async def call(procedure, args, kwargs):                       # autobahn
        options = CallOptions(details=True)                        # keeps kwargs
        r = await session.call(procedure, *args, options=options, **kwargs)
        return r.results, r.kwresults

    async for page in pages(call, types=["bank.account."]):
        for record in records(page.records):
            event = Record(record)
            print(event.position, event.type, event.stream, len(event.data))

A record is a size-prefixed FlatBuffer es.Event, a page is one record after the
other. Slices are memoryviews of the bytes that went in: nothing is copied, and
bytes(event.data) keeps one. Bytes are taken to come from a store, which has
checked them; bytes cut short raise ValueError or struct.error.
"""

import base64
import struct
from typing import NamedTuple

_U16 = struct.Struct("<H").unpack_from
_I32 = struct.Struct("<i").unpack_from
_U32 = struct.Struct("<I").unpack_from
_U64 = struct.Struct("<Q").unpack_from
_ID = struct.Struct("<QQ").unpack_from
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Page(NamedTuple):
    """One answer of es.read; keep store and last to go on another day."""

    records: memoryview
    store: str
    last: int
    head: int


def records(page):
    """Yield the records of a page, each a memoryview of its bytes."""
    page = memoryview(page)
    at = 0
    while at < len(page):
        end = at + 4 + _U32(page, at)[0]
        if end > len(page):
            raise ValueError(f"the page ends inside the record at byte {at}")
        yield page[at:end]
        at = end


async def pages(call, **selection):
    """Yield a Page for every page of a selection, until there is no more.

    call(procedure, args, kwargs) makes a WAMP call and returns (args, kwargs);
    selection holds the keyword arguments of es.read.
    """
    left = selection.get("limit")
    starts = ("after_id", "since", "from_version")
    following = {k: v for k, v in selection.items() if k not in starts}
    while True:
        args, kwargs = await call("es.read", [], selection)
        yield Page(memoryview(binary(args[0])), kwargs["store"], kwargs["last"], kwargs["head"])
        if left is not None:
            left -= kwargs["count"]
        if not kwargs["more"] or left == 0:
            return
        selection = {**following, "after": kwargs["last"], "store": kwargs["store"]}
        if left is not None:
            selection["limit"] = left


class Record:
    """One event, read in place. The numbers are the ids in es.fbs."""

    __slots__ = ("_bytes", "_root", "_vtable")

    def __init__(self, record):
        self._bytes = memoryview(record)
        self._root = 4 + _U32(self._bytes, 4)[0]
        self._vtable = self._root - _I32(self._bytes, self._root)[0]

    @property
    def id(self):
        """The event's ULID, as its 26 characters."""
        return self._ulid(0)

    @property
    def position(self):
        return self._scalar(1, _U64)

    @property
    def version(self):
        return self._scalar(2, _U64)

    @property
    def stream(self):
        return self._text(self._need(3))

    @property
    def type(self):
        return self._text(self._need(4))

    @property
    def schema(self):
        """The fingerprint of the schema that data was built with, 16 hex digits."""
        return f"{self._scalar(5, _U64):016x}"

    @property
    def tags(self):
        return [self._text(at) for at in self._elements(6)]

    @property
    def data(self):
        """The event itself: a FlatBuffer of its type, without size prefix."""
        return self._slice(self._follow(self._need(7)))

    @property
    def causation(self):
        return self._ulid(8)

    @property
    def correlation(self):
        return self._ulid(9)

    @property
    def metadata(self):
        """Keys and values, in order; a key may repeat."""
        return [self._meta(at) for at in self._elements(10)]

    @property
    def batch_seq(self):
        """Place in its append: 0 is the first of batch_size events."""
        return self._scalar(12, _U32)

    @property
    def batch_size(self):
        return self._scalar(13, _U32)

    @property
    def batch_key(self):
        """The idempotency key of its append, or None."""
        at = self._field(14)
        return self._text(at) if at else None

    def _field(self, id, table=None, vtable=None):
        # Where field id of the table is, 0 if it is not there.
        table, vtable = table or self._root, vtable or self._vtable
        entry = 4 + 2 * id
        if entry >= _U16(self._bytes, vtable)[0]:
            return 0
        offset = _U16(self._bytes, vtable + entry)[0]
        return offset and table + offset

    def _need(self, id):
        at = self._field(id)
        if not at:
            raise ValueError(f"field {id} is not in the record")
        return at

    def _scalar(self, id, unpack):
        at = self._field(id)
        return unpack(self._bytes, at)[0] if at else 0

    def _follow(self, at):
        return at + _U32(self._bytes, at)[0]

    def _slice(self, at):
        end = at + 4 + _U32(self._bytes, at)[0]
        if end > len(self._bytes):
            raise ValueError(f"the record ends inside the bytes at {at}")
        return self._bytes[at + 4 : end]

    def _text(self, at):
        return str(self._slice(self._follow(at)), "utf-8")

    def _ulid(self, id):
        at = self._field(id)
        return ulid(*_ID(self._bytes, at)) if at else None

    def _elements(self, id):
        field = self._field(id)
        if not field:
            return range(0)
        at = self._follow(field)
        first = at + 4
        return range(first, first + 4 * _U32(self._bytes, at)[0], 4)

    def _meta(self, at):
        table = self._follow(at)
        vtable = table - _I32(self._bytes, table)[0]
        value = self._field(1, table, vtable)
        return self._text(self._field(0, table, vtable)), self._text(value) if value else ""


def ulid(hi, lo):
    """Return the 26 characters of a ULID from the two 64-bit halves in a record."""
    bits = hi << 64 | lo
    return "".join(_CROCKFORD[bits >> shift & 31] for shift in range(125, -1, -5))


def binary(value):
    """Return the bytes of a WAMP binary.

    Over MessagePack and CBOR they are bytes already; over JSON a binary is a
    string: U+0000, then base64.
    """
    if not isinstance(value, str):
        return value
    if value[:1] != "\0":
        raise ValueError("a string, not a WAMP binary")
    return base64.b64decode(value[1:], validate=True)


def json_binary(data):
    """The other way: return the string that stands for bytes over JSON."""
    return "\0" + base64.b64encode(data).decode("ascii")
