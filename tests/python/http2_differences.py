"""Where the server does otherwise than RFC 9113 asks, and why. A case that is mended fails until it is taken out."""

GENERAL = "h2 names PROTOCOL_ERROR for it. The connection ends all the same."
OUTCOMES = {
    GENERAL: ("connection PROTOCOL_ERROR", [
        "index-0", "index-out-of-table", "index-out-of-table-as-name", "literal-cut", "integer-too-long",
        "huffman-padding-of-a-byte", "huffman-padding-of-zeros", "huffman-end-of-string", "table-too-large",
        "table-size-after-a-field", "half-closed-data", "half-closed-headers", "reset-then-headers",
        "data-padding-without-length", "headers-padding-without-length", "headers-with-half-a-priority",
        "priority-of-4-bytes", "reset-of-3-bytes", "ping-of-6-bytes", "ping-of-9-bytes",
        "goaway-of-7-bytes", "settings-ack-with-content", "settings-of-5-bytes",
        "settings-window-too-large", "window-of-3-bytes",
    ]),
    "h2 takes any frame as the first.": ("ignored", ["preface-without-settings", "preface-then-ping"]),
    "h2 drops pseudo fields of trailers unseen.": ("401", ["trailers-with-pseudo"]),
}  # fmt: skip

# What comes instead, by the name of the case.
DIFFERENCES = {name: outcome for outcome, names in OUTCOMES.values() for name in names}
