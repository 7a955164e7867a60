// What a handler reads and answers: the types of wit/handler.wit in JavaScript's terms.
import { get } from "floodgate:handler/request@0.1.0";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The body as text; throws if it is not UTF-8. */
export const text = (event) => decoder.decode(event.body);

/** The body read as JSON. Integers beyond 2^53 lose their last digits, as everywhere in JavaScript. */
export const json = (event) => JSON.parse(text(event));

/** The rest of the event: `method`, `path`, `query` and `headers`, pairs of name and bytes. */
export const request = () => get();

/** Go on, unchanged. */
export const pass = () => ({ tag: "pass" });

/** Keep a record with this reason, and deliver nothing. */
export const drop = (reason) => ({ tag: "drop", val: reason });

/** Go on, changed; what is left out stays as it is. `headers` are pairs of name and value. */
export const change = ({ body, type, lane, headers = [] }) => ({
  tag: "change",
  val: { body: bytes(body), type, lane, headers: headers.map(pair) },
});

/** Go on with these events instead: objects with `body` and, if it is another, `type`. */
export const split = (children) => ({
  tag: "split",
  val: children.map(({ type, body = "" }) => ({ type, body: bytes(body) })),
});

/** Answer the sender, keep a record, and deliver nothing unless `deliver` says so. */
export const respond = ({ status, headers = [], body = "", deliver = false }) => ({
  tag: "respond",
  val: { status, headers: headers.map(pair), body: bytes(body), deliver },
});

const pair = ([name, value]) => [name, bytes(value)];

/** Bytes and text as they are, anything else as JSON. */
function bytes(value) {
  if (value === undefined || value instanceof Uint8Array) {
    return value;
  }
  return encoder.encode(typeof value === "string" ? value : JSON.stringify(value));
}
