// Security keys: between the API's base64url and the browser's bytes.

export interface KeyChallenge {
  challenge: string;
  rp_id: string;
  credentials: string[];
}
export interface KeyAnswer {
  credential_id: string;
  client_data: string;
  authenticator_data: string;
  signature?: string;
}

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

export function toText(bytes: ArrayBuffer): string {
  const plain = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join("");
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export const keysWork = (): boolean => typeof PublicKeyCredential === "function";

const described = (credentials: string[]): PublicKeyCredentialDescriptor[] =>
  credentials.map((id) => ({ type: "public-key", id: toBytes(id) }));

/** Null when the person cancelled, or the key said no. */
export async function makeKey(asked: KeyChallenge, user: { id: string; name: string }): Promise<KeyAnswer | null> {
  try {
    const made = await navigator.credentials.create({
      publicKey: {
        challenge: toBytes(asked.challenge),
        rp: { id: asked.rp_id, name: "Belfry" },
        user: { id: new TextEncoder().encode(user.id), name: user.name, displayName: user.name },
        // ES256, Ed25519, RS256.
        pubKeyCredParams: [-7, -8, -257].map((alg) => ({ type: "public-key" as const, alg })),
        excludeCredentials: described(asked.credentials),
        authenticatorSelection: { userVerification: "discouraged", residentKey: "discouraged" },
        attestation: "none",
        timeout: 120_000,
      },
    });
    if (!(made instanceof PublicKeyCredential)) return null;
    const response = made.response as AuthenticatorAttestationResponse;
    return {
      credential_id: made.id,
      client_data: toText(response.clientDataJSON),
      authenticator_data: toText(response.getAuthenticatorData()),
    };
  } catch {
    return null;
  }
}

/** Null when the person cancelled, or the key said no. */
export async function askKey(asked: KeyChallenge): Promise<KeyAnswer | null> {
  try {
    const shown = await navigator.credentials.get({
      publicKey: {
        challenge: toBytes(asked.challenge),
        rpId: asked.rp_id,
        allowCredentials: described(asked.credentials),
        userVerification: "discouraged",
        timeout: 120_000,
      },
    });
    if (!(shown instanceof PublicKeyCredential)) return null;
    const response = shown.response as AuthenticatorAssertionResponse;
    return {
      credential_id: shown.id,
      client_data: toText(response.clientDataJSON),
      authenticator_data: toText(response.authenticatorData),
      signature: toText(response.signature),
    };
  } catch {
    return null;
  }
}
