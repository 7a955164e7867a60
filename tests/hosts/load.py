"""Signed webhooks at a steady rate, as providers send them: half of the senders open a connection for each request, the
others keep theirs. Every outcome is a line of JSON in the file.

Standard input: one JSON object with url parts, secret, rate and file; ends on SIGTERM, once what is under way has an
answer. Rate and time are bounded: at most MAX_RATE a second for MAX_SECONDS."""

import asyncio
import base64
import hashlib
import hmac
import json
import random
import signal
import socket
import ssl
import sys
import time

MAX_RATE, MAX_SECONDS = 2000, 1800
SENDERS = 16
ANSWER_SECONDS = 30
PADDING = "x" * 600


class Sender:
    """One of the provider's senders."""

    def __init__(self, load, kept):
        self.load, self.kept = load, kept
        self.connection = None
        self.opened = 0.0
        self.port = None
        self.used = False

    async def connect(self):
        target = self.load.target
        self.opened, self.port, self.used = time.time(), None, False
        plain = socket.socket()
        try:
            plain.setblocking(False)
            await asyncio.get_running_loop().sock_connect(plain, (target["host"], target["port"]))
            self.port = plain.getsockname()[1]
            self.connection = await asyncio.open_connection(
                sock=plain, ssl=self.load.tls, server_hostname=target["name"])
        finally:
            if not self.connection:
                plain.close()

    def hang_up(self):
        if self.connection:
            self.connection[1].transport.abort()
            self.connection = None

    async def send(self, request):
        """One attempt: the status, the answer, or how it failed."""
        if not self.connection:
            try:
                await self.connect()
            except (OSError, ssl.SSLError) as error:
                return "refused", str(error)
        reader, writer = self.connection
        try:
            writer.write(request)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError) as error:
            unanswered = not getattr(error, "partial", b"")
            return ("closed" if self.used and unanswered else "reset"), str(error)
        self.used = True
        return await self.answer(head, reader)

    async def answer(self, head, reader):
        status = int(head.split(b" ", 2)[1])
        headers = head.lower()
        length = int(headers.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if b"content-length:" in headers else 0
        try:
            body = await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            return "reset", str(error)
        if not self.kept or b"connection: close" in headers:
            self.hang_up()
        return status, (body.decode(), b"retry-after:" in headers)

    async def deliver(self, number):
        request, began = self.load.request(number), time.time()
        first = None
        while True:
            try:
                outcome, detail = await asyncio.wait_for(self.send(request), ANSWER_SECONDS)
            except asyncio.TimeoutError:
                outcome, detail = "timeout", ""
            connection = {"opened": round(self.opened, 3), "port": self.port}
            if isinstance(outcome, str):
                self.hang_up()
            # A kept connection that was closed while idle: HTTP has the request sent again on another one.
            if outcome != "closed" or first:
                break
            first = connection
        self.load.note(number, began, connection | {"first": first}, outcome, detail)


class Load:
    def __init__(self, settings, file):
        self.target, self.rate, self.run = settings["target"], min(settings["rate"], MAX_RATE), settings["run"]
        self.key = base64.b64decode(settings["secret"].removeprefix("whsec_"))
        self.repeats_of = settings.get("repeats_of")
        self.file, self.stopping = file, asyncio.Event()
        self.tls = ssl.create_default_context(cafile=settings["ca"])
        self.tls.verify_flags &= ~ssl.VERIFY_X509_STRICT

    def request(self, number):
        # With `repeats_of`, every tenth event is one that another load sends too.
        run = self.repeats_of if self.repeats_of and number % 10 == 0 else self.run
        identity, now = f"msg_{run}_{number}", int(time.time())
        body = json.dumps({"type": "order.paid", "data": {"run": run, "number": number, "padding": PADDING}}).encode()
        signature = base64.b64encode(hmac.digest(self.key, f"{identity}.{now}.".encode() + body, hashlib.sha256)).decode()
        head = (f"POST /in/orders HTTP/1.1\r\nhost: {self.target['name']}\r\ncontent-type: application/json\r\n"
                f"webhook-id: {identity}\r\nwebhook-timestamp: {now}\r\nwebhook-signature: v1,{signature}\r\n"
                f"content-length: {len(body)}\r\n\r\n")
        return head.encode() + body

    def note(self, number, began, connections, outcome, detail):
        line = {"n": number, "began": round(began, 3), "ended": round(time.time(), 3), **connections, "outcome": outcome}
        if outcome == 200:
            line["id"] = json.loads(detail[0])["id"]
        elif isinstance(outcome, int):
            line["retry_after"], line["detail"] = detail[1], detail[0]
        else:
            line["detail"] = detail
        self.file.write(json.dumps(line) + "\n")

    async def work(self, index):
        sender = Sender(self, kept=index % 2 == 0)
        pause, number = SENDERS / self.rate, index
        due = time.monotonic() + random.random() * pause
        end = time.monotonic() + MAX_SECONDS
        while not self.stopping.is_set() and time.monotonic() < end:
            await asyncio.sleep(max(0, due - time.monotonic()))
            # Late is late: what a slow answer held up is not sent in a burst.
            due = max(due + pause, time.monotonic())
            await sender.deliver(number)
            number += SENDERS
        sender.hang_up()


async def main():
    settings = json.loads(sys.stdin.readline())
    with open(settings["file"], "w", buffering=1) as file:
        load = Load(settings, file)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.stopping.set)
        await asyncio.gather(*(load.work(index) for index in range(SENDERS)))


if __name__ == "__main__":
    asyncio.run(main())
