"""Autobahn|Python: python3 autobahn_client.py URL REALM SERIALIZER

Follows the live events and obeys the test as conversation.js does.
"""

import asyncio
import base64
import hashlib
import json
import pathlib
import sys

from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp import serializer
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.types import CallOptions, SubscribeOptions

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "docs" / "clients"))
from es import Record, pages, records  # noqa: E402

SERIALIZERS = {
    "json": serializer.JsonSerializer,
    "msgpack": serializer.MsgPackSerializer,
    "cbor": serializer.CBORSerializer,
}


class Session(ApplicationSession):
    failure = "the connection was closed"

    async def onJoin(self, details):
        self.live = {}
        self.arrived = asyncio.Event()
        try:
            await self.subscribe(self.receive, "es.event.", SubscribeOptions(match="prefix", details=False))
            show({"ready": True})
            loop = asyncio.get_running_loop()
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                show(await self.obey(json.loads(line)))
            Session.failure = None
        except Exception as problem:
            Session.failure = repr(problem)
        self.leave()

    def onDisconnect(self):
        asyncio.get_running_loop().stop()

    def receive(self, record, position, previous):
        if Record(record).position != position:
            Session.failure = f"the event says {position}, its record {Record(record).position}"
            self.leave()
        self.live[position] = record
        self.arrived.set()

    async def ask(self, procedure, args, kwargs):
        result = await self.call(procedure, *args, options=CallOptions(details=True), **kwargs)
        return list(result.results or []), dict(result.kwresults or {})

    async def obey(self, order):
        if "finish" in order:
            return await self.finish(order["finish"])
        try:
            args, kwargs = await self.ask(order["call"], [inward(a) for a in order.get("args", [])], order.get("kwargs", {}))
            return {"args": args, "kwargs": kwargs}
        except ApplicationError as problem:
            return {"error": problem.error, "kwargs": problem.kwargs}

    async def finish(self, position):
        while position not in self.live:
            self.arrived.clear()
            await self.arrived.wait()
        paged, count, answers, last = hashlib.sha256(), 0, 0, 0
        async for page in pages(self.ask, max_bytes=4096):
            answers += 1
            for record in records(page.records):
                at = Record(record).position
                if at != last + 1:
                    raise ValueError(f"position {at} follows {last}")
                last = at
                count += 1
                paged.update(record)
        in_order = sorted(self.live)
        live = hashlib.sha256(b"".join(self.live[at] for at in in_order))
        return {
            "live": {"count": len(in_order), "first": in_order[0], "sha256": live.hexdigest()},
            "paged": {"count": count, "answers": answers, "sha256": paged.hexdigest()},
        }


def inward(value):
    if isinstance(value, list):
        return [inward(v) for v in value]
    return base64.b64decode(value["binary"]) if isinstance(value, dict) and "binary" in value else value


def show(value):
    print(json.dumps(value, default=lambda b: {"binary": base64.b64encode(b).decode()}), flush=True)


url, realm, name = sys.argv[1:]
runner = ApplicationRunner(url, realm, serializers=[SERIALIZERS[name]()])
runner.run(Session, log_level="critical")
if Session.failure:
    sys.exit(Session.failure)
