// A real OpenID Connect provider (npm oidc-provider) on a port of its own, for the tests of the log-in.
//   node e2e/provider.mjs REDIRECT [MILLISECONDS]
// REDIRECT: where it may send browsers back to. MILLISECONDS: its clock, where it differs from this machine's.
// One line of JSON on standard output says where it is; it ends with its standard input.
//
// PUT /control {"now": MILLISECONDS} sets its clock; {"mode": …, "amr": […], "acr": …} makes it lie from then on: the token is signed anew with what the mode says. The modes
// are what a stranger, a careless provider or a stolen key could send; the honest one is "".
import { createServer } from "node:http";
import { CompactSign, SignJWT, decodeJwt, exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const [redirect, clock] = process.argv.slice(2);
// The provider reads no other clock.
const realNow = Date.now.bind(Date);
let ahead = clock === undefined ? 0 : Number(clock) - realNow();
Date.now = () => realNow() + ahead;
const SECRET = "planted-provider-secret-0123456789abcdef";
const pair = async (kid) => {
  const { publicKey, privateKey } = await generateKeyPair("RS256", { extractable: true });
  const face = { kid, use: "sig", alg: "RS256" };
  return {
    kid,
    privateKey,
    jwk: { ...(await exportJWK(privateKey)), ...face },
    open: { ...(await exportJWK(publicKey)), ...face },
  };
};
const [own, next, stranger] = await Promise.all([pair("k1"), pair("k2"), pair("k1")]);
const control = { mode: "", amr: ["pwd"], acr: undefined };

const server = createServer((request, response) => handle(request, response));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "belfry",
      client_secret: SECRET,
      redirect_uris: [redirect],
      response_types: ["code"],
      grant_types: ["authorization_code"],
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  jwks: { keys: [own.jwk] },
  cookies: { keys: ["provider-of-a-test"] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
  claims: { openid: ["sub", "amr", "acr", "auth_time"] },
  acrValues: ["high"],
  pkce: { required: () => true },
  ttl: { AuthorizationCode: 60, IdToken: 120, Interaction: 600, Grant: 600, Session: 3_600, AccessToken: 120 },
  findAccount: (_ctx, id) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  // Nobody is asked for consent: the provider and the client belong to one house.
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid");
    await grant.save();
    return grant;
  },
});
provider.on("server_error", (_ctx, error) => console.error(error));

/** A token with other claims or another signature. */
async function bent(token) {
  const claims = decodeJwt(token);
  const signed = (payload, key = own) =>
    new SignJWT(payload).setProtectedHeader({ alg: "RS256", kid: key.kid }).sign(key.privateKey);
  const plain = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  switch (control.mode) {
    case "nonce":
      return signed({ ...claims, nonce: "another" });
    case "no_nonce":
      return signed({ ...claims, nonce: undefined });
    case "audience":
      return signed({ ...claims, aud: "somebody-else" });
    case "audiences":
      return signed({ ...claims, aud: ["belfry", "somebody-else"] });
    case "issuer":
      return signed({ ...claims, iss: "https://evil.example" });
    case "expired":
      return signed({ ...claims, exp: claims.iat - 1 });
    case "old":
      return signed({ ...claims, iat: claims.iat - 7_200, exp: claims.iat + 7_200 });
    case "early":
      return signed({ ...claims, iat: claims.iat + 600, exp: claims.iat + 1_200 });
    case "asked_long_ago":
      return signed({ ...claims, auth_time: claims.iat - 7_200 });
    case "never_asked":
      return signed({ ...claims, auth_time: undefined });
    case "none":
      return `${plain({ alg: "none" })}.${plain(claims)}.`;
    case "none_with_signature":
      return `${plain({ alg: "none", kid: "k1" })}.${plain(claims)}.${token.split(".")[2]}`;
    case "hs256":
      return new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(SECRET));
    case "hs256_of_public_key":
      return new SignJWT(claims)
        .setProtectedHeader({ alg: "HS256", kid: "k1" })
        .sign(new TextEncoder().encode(JSON.stringify(own.open)));
    case "stranger":
      return signed(claims, stranger);
    case "unknown_key":
      return signed(claims, { ...stranger, kid: "k9" });
    case "rotated":
      return signed(claims, next);
    case "bytes":
      return new CompactSign(Buffer.from("not JSON"))
        .setProtectedHeader({ alg: "RS256", kid: "k1" })
        .sign(own.privateKey);
    case "missing":
      return undefined;
    default:
      return signed({ ...claims, amr: control.amr, acr: control.acr });
  }
}

provider.use(async (ctx, following) => {
  await following();
  if (ctx.path === "/jwks" && control.mode === "rotated") ctx.body = { keys: [next.open] };
  if (ctx.path === "/token" && ctx.body?.id_token !== undefined) ctx.body.id_token = await bent(ctx.body.id_token);
});
const library = provider.callback();

const FORM = `<!doctype html><html lang="en"><title>Provider</title><form method="post">
<label>Name <input name="login" autofocus required></label><button>Log in</button></form></html>`;

async function handle(request, response) {
  const read = async () => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    return Buffer.concat(pieces).toString();
  };
  if (request.url === "/control" && request.method === "PUT") {
    const { now, ...wish } = JSON.parse(await read());
    if (now !== undefined) ahead = now - realNow();
    else Object.assign(control, { mode: "", amr: ["pwd"], acr: undefined }, wish);
    response.writeHead(204).end();
  } else if (request.url.startsWith("/interaction/") && request.method === "GET") {
    response.writeHead(200, { "content-type": "text/html" }).end(FORM);
  } else if (request.url.startsWith("/interaction/")) {
    const login = { accountId: new URLSearchParams(await read()).get("login") };
    await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  } else {
    library(request, response);
  }
}

console.log(JSON.stringify({ issuer, client_id: "belfry", client_secret: SECRET }));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
