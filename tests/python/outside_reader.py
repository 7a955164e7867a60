"""Reads a stream with none of Floodgate's own code, and prints what it found as one JSON document.

The message classes are generated from the committed .proto by grpcio-tools each time, and the stream is read by
nats-py, so what this says of a stream does not rest on the programs under test.
"""

import argparse
import asyncio
import importlib
import json
import pathlib
import sys
import tempfile

import nats
from grpc_tools import protoc
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

BATCH = 200
FETCH_SECONDS = 10
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def messages(proto_dir: pathlib.Path, out: str):
    """Compiles the .proto and imports what came of it."""
    files = ["floodgate/v1/floodgate.proto"]
    if protoc.main(["protoc", f"-I{proto_dir}", f"--python_out={out}", *files]) != 0:
        sys.exit("the .proto does not compile")
    sys.path.insert(0, out)
    return importlib.import_module("floodgate.v1.floodgate_pb2")


def event_id(raw: bytes) -> str:
    """The text form of an event id: `evt_` and Crockford's base32 of 16 bytes."""
    number = int.from_bytes(raw, "big")
    return "evt_" + "".join(CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


async def read(url: str, stream: str):
    """Every message of a stream, in order."""
    client = await nats.connect(url, max_reconnect_attempts=3)
    try:
        js = client.jetstream()
        state = (await js.stream_info(stream)).state
        if state.messages == 0:
            return
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL, inactive_threshold=60
        )
        subscription = await js.pull_subscribe(">", stream=stream, config=config)
        pending = 1
        while pending:
            for message in await subscription.fetch(BATCH, timeout=FETCH_SECONDS):
                pending = message.metadata.num_pending
                yield message
    finally:
        await client.close()


def lane_name(pb, lane: int) -> str:
    return pb.Lane.Name(lane).removeprefix("LANE_").lower()


async def region(pb, url: str, stream: str) -> dict:
    events, undecodable = [], 0
    async for message in read(url, stream):
        block = pb.Block()
        try:
            block.ParseFromString(message.data)
        except Exception:  # whatever protobuf raises: the message is not a block
            undecodable += 1
            continue
        for event in block.events:
            events.append(
                {
                    "id": event_id(event.id),
                    "source": event.source,
                    "type": event.type,
                    "message_id": (message.headers or {}).get("Nats-Msg-Id", ""),
                    "sequence": message.metadata.sequence.stream,
                    "raw_bytes": len(event.request.raw),
                }
            )
    return {"events": events, "undecodable": undecodable}


async def log(pb, url: str, stream: str) -> dict:
    entries, appends = [], []
    async for message in read(url, stream):
        block = pb.LogBlock()
        block.ParseFromString(message.data)
        sequence = message.metadata.sequence.stream
        kind = block.WhichOneof("content")
        appends.append(
            {"sequence": sequence, "epoch": block.epoch, "writer": block.writer.hex(), "kind": kind,
             "appended_at_us": block.appended_at_us}
        )
        if kind != "replica":
            continue
        origin = block.replica.origin
        for index, entry in enumerate(block.replica.entries):
            verdict = entry.verdict
            entries.append(
                {
                    "id": event_id(verdict.event_id),
                    "verdict": pb.Verdict.Kind.Name(verdict.kind).removeprefix("KIND_").lower(),
                    "source": verdict.source,
                    "sequence": sequence,
                    "index": index,
                    "region": origin.region,
                    "lane": lane_name(pb, origin.lane),
                    "origin": origin.sequence,
                    "incarnation": origin.incarnation,
                    "duplicate_of": [verdict.duplicate_of.sequence, verdict.duplicate_of.index],
                }
            )
    return {"entries": entries, "appends": appends}


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--proto", type=pathlib.Path, required=True, help="folder of the .proto")
    arguments.add_argument("--nats", required=True, help="URL of the server")
    arguments.add_argument("--stream", required=True)
    arguments.add_argument("--format", choices=["region", "log"], required=True)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as out:
        pb = messages(options.proto, out)
        reader = region if options.format == "region" else log
        json.dump(await reader(pb, options.nats, options.stream), sys.stdout)


asyncio.run(main())
