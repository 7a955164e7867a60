// What the gateway calls: it leads to the handler. An error becomes the event's fault;
// uncaught, it would be a trap.
import { handler } from "./handler.js";

export function handle(event) {
  try {
    return handler(event, JSON.parse(event.params));
  } catch (error) {
    throw error instanceof Error ? error.message : String(error);
  }
}
