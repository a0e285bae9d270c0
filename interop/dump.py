"""Print one JSON object per record of the page on standard input.

With the argument "json" the page comes as a WAMP binary over JSON, as it goes out.
"""

import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "docs" / "clients"))
from es import Record, binary, json_binary, records  # noqa: E402

page = sys.stdin.buffer.read()
if sys.argv[1:] == ["json"]:
    text = json.loads(page)
    page = binary(text)
    if json_binary(page) != text:
        sys.exit("json_binary(binary(x)) is not x")
for record in records(page):
    e = Record(record)
    print(json.dumps({
        "id": e.id, "position": e.position, "version": e.version, "stream": e.stream, "type": e.type,
        "schema": e.schema, "tags": e.tags, "data": e.data.hex(), "causation": e.causation,
        "correlation": e.correlation, "metadata": e.metadata, "batch_seq": e.batch_seq,
        "batch_size": e.batch_size, "batch_key": e.batch_key,
        "sha256": hashlib.sha256(record).hexdigest(),
    }))
