"""The consumer: answers 200 to each delivery, once a line with its time and `webhook-id` is in the file.

`python3 consumer.py ADDRESS PORT FILE`"""

import asyncio
import sys
import time


async def serve(reader, writer, file):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            headers = dict(
                (name.strip().lower(), value.strip())
                for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:]))
            await reader.readexactly(int(headers.get(b"content-length", 0)))
            region = headers.get(b"floodgate-region", b"?").decode()
            file.write(f"{time.time():.3f} {headers.get(b'webhook-id', b'?').decode()} {region}\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def main():
    host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(path, "w", buffering=1) as file:
        server = await asyncio.start_server(lambda r, w: serve(r, w, file), host, port)
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
