"""Frames of HTTP/2 as bytes, right and wrong ones, and a connection that says what the server made of them."""

import select
import socket
import ssl
import struct
import time

from hpack import Decoder, Encoder
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20
CODES = [
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
]  # fmt: skip
# How long a server may take for what must come. What came of a frame is usually there within milliseconds.
LIMIT = 20.0
# How many bytes are read at once, and those of a frame's head.
READ, HEAD = 65_536, 9
# The stream of the request that shows whether the connection goes on. No case opens it.
LIVE = 9999


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def block(fields):
    """A header block by an encoder of its own, which refers to nothing of earlier blocks."""
    return Encoder().encode(fields)


def request(method="GET", path="/readyz", *more):
    return [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path), *more]


def without(name, fields):
    return [field for field in fields if field[0] != name]


def headers(fields, stream=1, flags=END_STREAM | END_HEADERS, before=b"", after=b""):
    """A HEADERS frame. `before` and `after` surround the block, as padding and priority do."""
    fragment = fields if isinstance(fields, bytes) else block(fields)
    return frame(HEADERS, flags, stream, before + fragment + after)


def data(content=b"{}", stream=1, flags=END_STREAM):
    return frame(DATA, flags, stream, content)


def settings(*values, flags=0, stream=0):
    return frame(SETTINGS, flags, stream, b"".join(struct.pack(">HI", *value) for value in values))


def number(kind, value, stream=0):
    """A frame of one 32-bit number: WINDOW_UPDATE or RST_STREAM."""
    return frame(kind, 0, stream, struct.pack(">I", value))


class Observed:
    """What a server made of a connection."""

    def __init__(self):
        self.goaway = None
        self.is_closed = False
        self.resets = {}
        self.statuses = {}
        self.ended = set()
        self.frames = []

    def is_settled(self, stream):
        """Whether nothing more is to come for a stream. Only a reset settles what cannot be answered."""
        return stream is None or stream in self.ended or stream in self.resets

    def outcome(self, stream):
        """In words: what ended the connection, or else the stream, or else how it was answered."""
        if self.goaway is not None and self.goaway != "NO_ERROR":
            return f"connection {self.goaway}" if self.is_closed else f"connection {self.goaway}, left open"
        if self.is_closed:
            return "closed"
        if self.statuses.get(LIVE) != "200":
            return "hung"
        reset = self.resets.get(stream, "NO_ERROR")
        return f"stream {reset}" if reset != "NO_ERROR" else self.statuses.get(stream, "ignored")


class Connection:
    """A TLS connection that speaks h2. TLS works on memory, so that what arrived before a reset is still read."""

    def __init__(self, port, authority):
        context = ssl.create_default_context(cafile=authority)
        context.set_alpn_protocols(["h2"])
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.shake_hands()
        self.socket.setblocking(False)
        self.decoder = Decoder()
        self.buffer, self.unsent = b"", bytearray()
        self.observed = Observed()

    def shake_hands(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                self.incoming.write(self.socket.recv(READ))
        self.socket.sendall(self.outgoing.read())
        if self.tls.selected_alpn_protocol() != "h2":
            raise SystemExit("the server does not speak h2")

    def send(self, content):
        """Adds to what is to be sent."""
        rest = memoryview(content)
        while rest:
            # A record at a time.
            rest = rest[self.tls.write(rest) :]
        self.unsent += self.outgoing.read()

    def watch(self, stream, seconds):
        """Sends and reads until the case is decided, or the seconds are over."""
        end = time.monotonic() + seconds
        while not self.is_decided(stream) and (left := end - time.monotonic()) > 0:
            select.select([self.socket], [self.socket] if self.unsent else [], [], left)
            self.write()
            self.read()
        self.socket.close()
        return self.observed

    def is_decided(self, stream):
        seen = self.observed
        return seen.is_closed or LIVE in seen.statuses and seen.is_settled(stream)

    def write(self):
        try:
            while self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            # The server ended the connection. What it said before is still to be read.
            self.unsent.clear()

    def read(self):
        try:
            content = self.socket.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        self.incoming.write(content)
        self.observed.is_closed = not content
        try:
            while content := self.tls.read(READ):
                self.buffer += content
        except ssl.SSLError:
            # All that arrived is read, or the server ended TLS.
            pass
        self.split()

    def split(self):
        """Notes each frame that arrived whole."""
        while len(self.buffer) >= HEAD:
            read, length = Frame.parse_frame_header(memoryview(self.buffer[:HEAD]))
            if len(self.buffer) < HEAD + length:
                break
            read.parse_body(memoryview(self.buffer[HEAD : HEAD + length]))
            self.buffer = self.buffer[HEAD + length :]
            self.note(read)

    def note(self, read):
        seen = self.observed
        seen.frames.append(read)
        if isinstance(read, GoAwayFrame):
            seen.goaway = CODES[read.error_code]
        elif isinstance(read, RstStreamFrame):
            seen.resets[read.stream_id] = CODES[read.error_code]
        elif isinstance(read, HeadersFrame):
            fields = dict(self.decoder.decode(read.data))
            seen.statuses.setdefault(read.stream_id, fields.get(":status", "none"))
        elif isinstance(read, SettingsFrame) and "ACK" not in read.flags:
            self.send(settings(flags=ACK))
        if "END_STREAM" in read.flags:
            seen.ended.add(read.stream_id)
