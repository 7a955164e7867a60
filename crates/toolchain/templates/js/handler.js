// The handler {{name}}.
import { change, drop, json, pass } from "./floodgate.js";

/**
 * Called for each event, on a fresh instance: nothing is remembered from one to the next.
 *
 * @param event the fields of `event` in wit/handler.wit, in camel case
 * @param params what the source's configuration says:
 *   `drop_types`, event types that nobody wants, and
 *   `stamp`, the member of the body to write the event's region to; without it, bodies stay as they are
 */
export function handler(event, { drop_types = [], stamp }) {
  if (drop_types.includes(event.type)) {
    return drop("not wanted");
  }
  if (stamp === undefined) {
    return pass();
  }
  const body = object(event);
  body[stamp] = event.region;
  return change({ body });
}

function object(event) {
  let body;
  try {
    body = json(event);
  } catch {
    // Said below.
  }
  if (body === null || typeof body !== "object" || Array.isArray(body)) {
    throw new Error("the body is not a JSON object");
  }
  return body;
}
