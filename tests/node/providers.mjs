// Signs and judges requests by the providers' own npm libraries.
//
// Reads [{"scheme": "github" | "slack" | "discord", "secret": "…", "body": "…", "headers"?: {…}}, …] on
// standard input and prints [{"headers": {…}, "valid": true | false}, …] in the same order. A request
// without headers is signed first, now. A secret of Discord is the seed of an Ed25519 key, in hex.
import { createHmac, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { text } from "node:stream/consumers";

import { Webhooks } from "@octokit/webhooks";
import bolt from "@slack/bolt";
import { verifyKey } from "discord-interactions";

// What stands before the seed in PKCS #8 (RFC 8410).
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const now = String(Math.floor(Date.now() / 1000));

function discordKey(seed) {
  return createPrivateKey({ key: Buffer.concat([PKCS8, Buffer.from(seed, "hex")]), format: "der", type: "pkcs8" });
}

function discordPublicKey(seed) {
  const { x } = createPublicKey(discordKey(seed)).export({ format: "jwk" });
  return Buffer.from(x, "base64url").toString("hex");
}

const providers = {
  github: {
    sign: async ({ secret, body }) => ({
      "x-github-event": "push",
      "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
      "x-hub-signature-256": await new Webhooks({ secret }).sign(body),
    }),
    isValid: ({ secret, body, headers }) => new Webhooks({ secret }).verify(body, headers["x-hub-signature-256"]),
  },
  // Bolt verifies, and does not sign.
  slack: {
    sign: ({ secret, body }) => ({
      "x-slack-request-timestamp": now,
      "x-slack-signature": "v0=" + createHmac("sha256", secret).update(`v0:${now}:${body}`).digest("hex"),
    }),
    isValid: ({ secret, body, headers }) => bolt.isValidSlackRequest({ signingSecret: secret, body, headers }),
  },
  // The library verifies, and does not sign.
  discord: {
    sign: ({ secret, body }) => ({
      "x-signature-timestamp": now,
      "x-signature-ed25519": sign(null, Buffer.from(now + body), discordKey(secret)).toString("hex"),
    }),
    isValid: ({ secret, body, headers }) =>
      verifyKey(body, headers["x-signature-ed25519"], headers["x-signature-timestamp"], discordPublicKey(secret)),
  },
};

async function judge(request) {
  const provider = providers[request.scheme];
  const headers = request.headers ?? (await provider.sign(request));
  let valid = false;
  try {
    valid = await provider.isValid({ ...request, headers });
  } catch {
    // A library may throw where it refuses.
  }
  return { headers, valid };
}

const requests = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify(await Promise.all(requests.map(judge))));
