"""What a client may and may not do on an HTTP/2 connection, and what RFC 9113 says that comes of it.

Frames go out after the preface and a SETTINGS frame, unless a case has a start of its own. Stream 1 is the one that
is judged. An outcome is "connection CODE" (GOAWAY, and the end), "stream CODE" (RST_STREAM, and the connection goes
on), the status of the answer, "ignored", or "closed" without a word.
"""

import struct
from dataclasses import dataclass

from http2_frames import *  # noqa: F403 - this is a table in the language of that module

MAX_FRAME = 16_384
MAX_WINDOW = 2**31 - 1
PROTOCOL, SIZE, FLOW = "connection PROTOCOL_ERROR", "connection FRAME_SIZE_ERROR", "connection FLOW_CONTROL_ERROR"
COMPRESSION, CALM = "connection COMPRESSION_ERROR", "connection ENHANCE_YOUR_CALM"
MALFORMED, CLOSED = "stream PROTOCOL_ERROR", "stream STREAM_CLOSED"
IGNORED, ENDED = "ignored", "closed"
OPEN = END_HEADERS
READY = headers(request())
# A POST whose body is still to come, and one that is answered without its body.
POST = headers(request("POST", "/in/github"), flags=OPEN)
# The server can answer, and cannot end its answer: the stream stays half-closed.
STALLED = settings((4, 0)) + READY
# A block of two frames.
PART, END = headers(request(), flags=END_STREAM), frame(CONTINUATION, END_HEADERS, 1)
GONE = number(RST_STREAM, 8, 1)


@dataclass
class Case:
    name: str
    section: str
    expected: str
    sent: bytes
    # The stream that must come to an end before the case is decided.
    stream: int | None = 1
    start: bytes = PREFACE + settings()

    def allowed(self):
        """The outcomes that RFC 9113 allows: §5.4.1 and §8.1.1 leave a choice about errors of streams."""
        outcomes = {self.expected, self.expected.replace("stream ", "connection ")}
        return outcomes | {"400"} if self.expected == MALFORMED else outcomes


def whole(name, section, expected, sent, **more):
    """A case that the connection as a whole decides."""
    return Case(name, section, expected, sent, stream=None, **more)


def malformed(name, section, fields, **more):
    return Case(name, section, MALFORMED, headers(fields), **more)


def literal(content):
    """A header block of a valid request and these bytes."""
    return headers(block(request()) + content)


def with_body(length, *contents):
    """A POST that announces this length, and these frames of data."""
    start = headers(request("POST", "/in/github", ("content-length", str(length))), flags=OPEN)
    frames = [data(content, flags=0) for content in contents[:-1]]
    return start + b"".join(frames) + data(contents[-1])


def cut(*pieces, fields=None, first=END_STREAM):
    """HEADERS and CONTINUATION frames of one block, cut at so many bytes."""
    rest, out = block(fields or request()), b""
    for size in pieces:
        out += frame(CONTINUATION, 0, 1, rest[:size]) if out else frame(HEADERS, first, 1, rest[:size])
        rest = rest[size:]
    return out + frame(CONTINUATION, END_HEADERS, 1, rest)


def many(count, make):
    return b"".join(make(index) for index in range(count))


PREFACES = [
    whole("preface", "3.4", IGNORED, b""),
    whole("preface-wrong", "3.4", ENDED, b"", start=b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + settings()),
    whole("preface-of-http1", "3.4", ENDED, b"", start=b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"),
    whole("preface-without-settings", "3.4", PROTOCOL, READY, start=PREFACE),
    whole("preface-then-ping", "3.4", PROTOCOL, frame(PING, 0, 0, bytes(8)), start=PREFACE),
]

FRAMES = [
    whole("frame-of-unknown-type", "4.1", IGNORED, frame(0x42, 0xFF, 0, b"x")),
    whole("frame-of-unknown-type-on-a-stream", "5.5", IGNORED, frame(0x42, 0, 1, b"x")),
    whole("frame-of-unknown-type-too-large", "4.2", SIZE, frame(0x42, 0, 0, bytes(MAX_FRAME + 1))),
    whole("frame-of-unknown-type-in-a-block", "5.5", PROTOCOL, PART + frame(0x42, 0, 1) + END),
    whole("frame-with-unknown-flags", "4.1", IGNORED, frame(PING, 0xFE, 0, bytes(8))),
    whole("frame-with-reserved-bit", "4.1", IGNORED, frame(PING, 0, 1 << 31, bytes(8))),
    Case("frame-of-16384-bytes", "4.2", "401", POST + data(bytes(MAX_FRAME))),
    whole("data-of-16385-bytes", "4.2", SIZE, POST + data(bytes(MAX_FRAME + 1))),
    whole("headers-of-16385-bytes", "4.2", SIZE, headers(bytes(MAX_FRAME + 1))),
    whole("settings-of-16386-bytes", "4.2", SIZE, frame(SETTINGS, 0, 0, bytes(MAX_FRAME + 2))),
]

COMPRESSED = [
    whole("index-0", "4.3", COMPRESSION, literal(b"\x80")),
    whole("index-out-of-table", "4.3", COMPRESSION, literal(b"\xff\x80\x01")),
    whole("index-out-of-table-as-name", "4.3", COMPRESSION, literal(b"\x7f\x80\x01\x01x")),
    whole("literal-cut", "4.3", COMPRESSION, literal(b"\x00\x05ab")),
    whole("integer-too-long", "4.3", COMPRESSION, literal(b"\xff" + b"\xff" * 20)),
    whole("huffman-padding-of-a-byte", "4.3", COMPRESSION, literal(b"\x00\x01x\x82\x1f\xff")),
    whole("huffman-padding-of-zeros", "4.3", COMPRESSION, literal(b"\x00\x01x\x81\x18")),
    whole("huffman-end-of-string", "4.3", COMPRESSION, literal(b"\x00\x01x\x84\xff\xff\xff\xff")),
    whole("table-too-large", "4.3", COMPRESSION, headers(b"\x3f\xe1\xff\x03" + block(request()))),
    whole("table-size-after-a-field", "4.3", COMPRESSION, literal(b"\x20")),
    Case("table-of-size-0", "4.3", "200", headers(b"\x20" + block(request()))),
]

STATES = [
    whole("stream-even", "5.1.1", PROTOCOL, headers(request(), stream=2)),
    whole("stream-lower-than-before", "5.1.1", PROTOCOL, headers(request(), stream=5) + headers(request(), stream=3)),
    whole("idle-data", "5.1", PROTOCOL, data()),
    whole("idle-reset", "5.1", PROTOCOL, GONE),
    whole("idle-window-update", "5.1", PROTOCOL, number(WINDOW_UPDATE, 1, 1)),
    whole("idle-continuation", "6.10", PROTOCOL, frame(CONTINUATION, END_HEADERS, 1, block(request()))),
    whole("idle-priority", "5.1", IGNORED, frame(PRIORITY, 0, 1, bytes(5))),
    Case("half-closed-data", "5.1", CLOSED, STALLED + data()),
    Case("half-closed-headers", "5.1", CLOSED, STALLED + READY),
    whole("half-closed-continuation", "6.10", PROTOCOL, STALLED + frame(CONTINUATION, END_HEADERS, 1, b"")),
    Case("half-closed-window-update", "5.1", "200", STALLED + number(WINDOW_UPDATE, 9, 1)),
    Case("half-closed-priority", "5.1", "200", READY + frame(PRIORITY, 0, 1, bytes(5))),
    whole("half-closed-reset", "5.1", IGNORED, STALLED + GONE),
    Case("reset-then-data", "5.1", CLOSED, POST + GONE + data()),
    Case("reset-then-headers", "5.1", CLOSED, POST + GONE + READY),
    whole("reset-then-continuation", "6.10", PROTOCOL, POST + GONE + frame(CONTINUATION, END_HEADERS, 1, b"")),
    whole("reset-then-priority", "5.1", IGNORED, POST + GONE + frame(PRIORITY, 0, 1, bytes(5))),
    whole("reset-then-window-update", "5.1", IGNORED, POST + GONE + number(WINDOW_UPDATE, 1, 1)),
    whole("reset-twice", "5.1", IGNORED, POST + GONE + GONE),
    Case("too-many-streams", "5.1.2", "stream REFUSED_STREAM",
         many(129, lambda index: headers(request("POST", "/in/github"), 1 + 2 * index, OPEN)) + GONE, stream=257),
]  # fmt: skip

SIZES = [
    whole("data-on-stream-0", "6.1", PROTOCOL, data(stream=0)),
    whole("data-padding-too-long", "6.1", PROTOCOL, POST + data(b"\x03{}", flags=PADDED | END_STREAM)),
    whole("data-padding-without-length", "6.1", SIZE, POST + data(b"", flags=PADDED | END_STREAM)),
    Case("data-padded", "6.1", "401", POST + data(b"\x02{}\0\0", flags=PADDED | END_STREAM)),
    Case("data-all-padding", "6.1", "401", POST + data(b"\x02\0\0", flags=PADDED | END_STREAM)),
    whole("headers-on-stream-0", "6.2", PROTOCOL, headers(request(), stream=0)),
    whole("headers-padding-too-long", "6.2", PROTOCOL, headers(request(), flags=PADDED | 5, before=b"\xff")),
    whole("headers-padding-without-length", "6.2", SIZE, headers(b"", flags=PADDED | 5)),
    Case("headers-padded", "6.2", "200", headers(request(), flags=PADDED | 5, before=b"\x02", after=b"\0\0")),
    Case("headers-with-priority", "6.2", "200", headers(request(), flags=PRIORITIZED | 5, before=bytes(5))),
    whole("headers-with-half-a-priority", "6.2", SIZE, headers(b"\0\0\0", flags=PRIORITIZED | 5)),
    whole("priority-on-stream-0", "6.3", PROTOCOL, frame(PRIORITY, 0, 0, bytes(5))),
    Case("priority-of-4-bytes", "6.3", "stream FRAME_SIZE_ERROR", POST + frame(PRIORITY, 0, 1, bytes(4))),
    whole("reset-on-stream-0", "6.4", PROTOCOL, number(RST_STREAM, 8)),
    whole("reset-of-3-bytes", "6.4", SIZE, POST + frame(RST_STREAM, 0, 1, bytes(3))),
    whole("reset-with-unknown-code", "7", IGNORED, POST + number(RST_STREAM, 0xFF, 1)),
    whole("push-promise", "8.4", PROTOCOL,
          POST + frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + block(request()))),
    whole("ping", "6.7", IGNORED, frame(PING, 0, 0, b"12345678")),
    whole("ping-answered", "6.7", IGNORED, frame(PING, ACK, 0, b"12345678")),
    whole("ping-on-a-stream", "6.7", PROTOCOL, frame(PING, 0, 1, bytes(8))),
    whole("ping-of-6-bytes", "6.7", SIZE, frame(PING, 0, 0, bytes(6))),
    whole("ping-of-9-bytes", "6.7", SIZE, frame(PING, 0, 0, bytes(9))),
    whole("goaway-on-a-stream", "6.8", PROTOCOL, frame(GOAWAY, 0, 1, bytes(8))),
    whole("goaway-of-7-bytes", "6.8", SIZE, frame(GOAWAY, 0, 0, bytes(7))),
]  # fmt: skip

SETTINGS_CASES = [
    whole("settings-ack-with-content", "6.5", SIZE, settings((4, 1), flags=ACK)),
    whole("settings-on-a-stream", "6.5", PROTOCOL, settings(stream=1)),
    whole("settings-of-5-bytes", "6.5", SIZE, frame(SETTINGS, 0, 0, bytes(5))),
    whole("settings-unknown", "6.5.2", IGNORED, settings((0xFF, 1))),
    whole("settings-push-2", "6.5.2", PROTOCOL, settings((2, 2))),
    whole("settings-window-too-large", "6.5.2", FLOW, settings((4, MAX_WINDOW + 1))),
    whole("settings-frame-too-small", "6.5.2", PROTOCOL, settings((5, MAX_FRAME - 1))),
    whole("settings-frame-too-large", "6.5.2", PROTOCOL, settings((5, 2**24))),
    Case("settings-table-of-size-0", "6.5.2", "200", settings((1, 0)) + READY),
    Case("settings-window-twice", "6.5.3", "200", settings((4, 0), (4, 6)) + READY),
    Case("settings-window-after-the-request", "6.9.2", "200", STALLED + settings((4, 6))),
    Case("settings-window-negative", "6.9.2", "200",
         settings((4, 3)) + READY + settings((4, 0)) + number(WINDOW_UPDATE, 6, 1)),
    whole("settings-window-over-the-most", "6.9.2", FLOW,
          settings((4, 0)) + POST + number(WINDOW_UPDATE, MAX_WINDOW, 1) + settings((4, 1))),
]  # fmt: skip

WINDOWS = [
    whole("window-0", "6.9", PROTOCOL, number(WINDOW_UPDATE, 0)),
    Case("window-0-of-a-stream", "6.9", MALFORMED, POST + number(WINDOW_UPDATE, 0, 1)),
    whole("window-of-3-bytes", "6.9", SIZE, frame(WINDOW_UPDATE, 0, 0, bytes(3))),
    whole("window-over-the-most", "6.9.1", FLOW, number(WINDOW_UPDATE, MAX_WINDOW) * 2),
    Case("window-of-a-stream-over-the-most", "6.9.1", "stream FLOW_CONTROL_ERROR",
         POST + number(WINDOW_UPDATE, MAX_WINDOW, 1) * 2),
    whole("window-with-reserved-bit", "6.9", IGNORED, number(WINDOW_UPDATE, 1 << 31 | 1)),
]  # fmt: skip

CONTINUATIONS = [
    Case("continuation", "6.10", "200", cut(4)),
    Case("continuations", "6.10", "200", cut(1, 2, 3, 0)),
    whole("continuation-on-stream-0", "6.10", PROTOCOL, PART + frame(CONTINUATION, 0, 0) + END),
    whole("continuation-of-another-stream", "6.10", PROTOCOL, PART + frame(CONTINUATION, 0, 3) + END),
    whole("continuation-after-the-end", "6.10", PROTOCOL, POST + frame(CONTINUATION, END_HEADERS, 1)),
    whole("continuation-after-its-end", "6.10", PROTOCOL, cut(4, first=0) + frame(CONTINUATION, END_HEADERS, 1)),
    whole("continuation-after-data", "6.10", PROTOCOL, POST + data(flags=0) + frame(CONTINUATION, 4, 1)),
    whole("continuation-after-ping", "6.10", PROTOCOL, PART + frame(PING, 0, 0, bytes(8)) + END),
    whole("continuation-after-priority", "6.2", PROTOCOL, PART + frame(PRIORITY, 0, 1, bytes(5)) + END),
    whole("continuation-after-headers", "6.2", PROTOCOL, PART + headers(request(), stream=3) + END),
]

ALL = [*PREFACES, *FRAMES, *COMPRESSED, *STATES, *SIZES, *SETTINGS_CASES, *WINDOWS, *CONTINUATIONS]
