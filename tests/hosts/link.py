"""The long line between a region and the centre: TCP through this process, that can be cut and slowed.

`python3 link.py LISTEN:PORT=TARGET:PORT …`; on standard input: `open`, `cut`, or `delay SECONDS`; the first and the last end a cut.
While cut nothing gets through and nobody is told; what was connected is gone when the line is whole again."""

import asyncio
import sys

CHUNK = 64 * 1024
# What one direction of one connection may have under way.
MAX_QUEUED = 512


class Line:
    def __init__(self):
        self.delay = 0.0
        self.whole = asyncio.Event()
        self.whole.set()
        self.open_writers = set()

    def obey(self, command):
        word, *rest = command.split()
        if word == "cut":
            self.whole.clear()
        elif word in ("open", "delay"):
            if not self.whole.is_set():
                self.drop()
            self.delay = float(rest[0]) if rest else 0.0
            self.whole.set()

    def drop(self):
        for writer in list(self.open_writers):
            writer.transport.abort()

    async def serve(self, target, reader, writer):
        await self.whole.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection(*target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, far_writer}
        self.open_writers |= pair
        try:
            await together(self.pump(reader, far_writer), self.pump(far_reader, writer))
        except OSError:
            pass
        finally:
            self.open_writers -= pair
            for end in pair:
                end.transport.abort()

    async def pump(self, reader, writer):
        queue = asyncio.Queue(MAX_QUEUED)
        await together(self.receive(reader, queue), self.send(queue, writer))

    async def receive(self, reader, queue):
        while data := await reader.read(CHUNK):
            await queue.put((asyncio.get_running_loop().time() + self.delay, data))
        await queue.put((0, b""))

    async def send(self, queue, writer):
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - loop.time()))
            await self.whole.wait()
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()


async def together(*works):
    """All of them; if one fails the others end too."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def main():
    line = Line()
    for pair in sys.argv[1:]:
        listen, target = (address(end) for end in pair.split("="))
        await asyncio.start_server(lambda r, w, target=target: line.serve(target, r, w), *listen)
    commands = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(commands)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    print("ready", flush=True)
    while command := await commands.readline():
        line.obey(command.decode())
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
